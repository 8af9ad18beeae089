internal import Foundation

/// Packages of type `executable` or `binary`: a program that is run as it is.
struct ExecutableBuilder: ContractBuilder {
    let name = "weft executable"
    let limits: ProcessLimits

    static let types: Set<String> = ["executable", "binary"]

    func takes(_ package: ChaincodePackage, _ build: BuildFolder) -> Bool {
        Self.types.contains(package.type)
    }

    func build(_ build: BuildFolder) throws(ContractError) {
        let path = try self.program(build).path
        do {
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        } catch {
            throw ContractError("can't make \(path) executable: \(error.localizedDescription)")
        }
        _ = try self.result(build)
    }

    func result(_ build: BuildFolder) throws(ContractError) -> BuiltContract {
        let description = try ProgramDescription(in: build.source)
        return .program(
            LaunchPlan(
                path: try self.program(build).path,
                arguments: description.arguments ?? [],
                folder: build.source.path,
                connection: try description.connection(else: .client),
                limits: self.limits
            )
        )
    }

    private func program(_ build: BuildFolder) throws(ContractError) -> URL {
        let description = try ProgramDescription(in: build.source)
        let path = try description.program(
            in: build.source,
            usual: ["chaincode", "bin/chaincode"],
            suffix: ""
        )
        return build.source.appendingPathComponent(path)
    }
}
