internal import Foundation
internal import Logging

/// Builds packages, and knows what was built before.
struct ContractBuilds: Sendable {
    let builders: [any ContractBuilder]
    let timeout: Duration
    let logger: Logger
    /// Unpacks packages, apart from the threads that everything else runs on.
    private let executor = BlockingExecutor(name: "weft-build", threads: 1)

    /// - Parameters:
    ///   - options: the operator's builders come first, then those of this peer.
    ///   - logger: where it is noted who built what.
    init(_ options: LaunchOptions, logger: Logger) {
        let environment = options.environment
        self.builders =
            options.builders.map { ExternalContractBuilder(builder: $0, environment: environment) }
            + [
                ServicePackageBuilder(),
                PythonBuilder(options: options.python, limits: options.limits, environment: environment),
                ExecutableBuilder(limits: options.limits),
            ]
        self.timeout = options.buildTimeout
        self.logger = logger
    }

    /// `build-info.json`, which is written when everything else is there.
    private struct Information: Codable {
        var builder_name: String
    }

    /// What the package was built into, by the builder that did it; built now unless it was before.
    ///
    /// - Throws: ``ContractError`` with what the build printed last.
    func result(
        of package: ChaincodePackage,
        _ folder: ContractFolder
    ) async throws(ContractError) -> BuiltContract {
        let result = await withTaskExecutorPreference(self.executor) {
            () async -> Result<BuiltContract, ContractError> in
            do throws(ContractError) {
                return .success(try await self.builtNow(package, folder))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func builtNow(
        _ package: ChaincodePackage,
        _ folder: ContractFolder
    ) async throws(ContractError) -> BuiltContract {
        let build = BuildFolder(
            root: folder.build,
            packageID: package.id,
            mark: folder.mark,
            log: ContractLog(file: folder.buildLog),
            timeout: self.timeout
        )
        if let data = FileManager.default.contents(atPath: build.information.path),
            let information = try? JSONDecoder().decode(Information.self, from: data)
        {
            guard let builder = self.builders.first(where: { $0.name == information.builder_name }) else {
                throw ContractError(
                    """
                    package \(package.id) was built with builder '\(information.builder_name)', which isn't configured \
                    any more; configure it again, or remove \(folder.build.path) to have the package built anew
                    """
                )
            }
            return try builder.result(build)
        }
        try folder.prepare()
        try build.unpack(package)
        guard let builder = await self.builder(of: package, build) else {
            try ContractFolder.remove(folder.build)
            throw self.unknown(package)
        }
        self.logger.info(
            "builds a contract",
            metadata: ["package": "\(package.id)", "builder": "\(builder.name)"]
        )
        do {
            try await builder.build(build)
            let result = try builder.result(build)
            try self.finish(build, builder)
            return result
        } catch {
            self.logger.error(
                "can't build a contract",
                metadata: ["package": "\(package.id)", "reason": "\(error)"]
            )
            // Only the log is kept.
            try ContractFolder.remove(folder.build)
            throw ContractError(
                "could not build chaincode: \(error) (all of it is in \(folder.buildLog.path))"
            )
        }
    }

    private func builder(
        of package: ChaincodePackage,
        _ build: BuildFolder
    ) async -> (any ContractBuilder)? {
        for builder in self.builders where await builder.takes(package, build) { return builder }
        return nil
    }

    private func finish(_ build: BuildFolder, _ builder: any ContractBuilder) throws(ContractError) {
        do {
            let json = try JSONEncoder().encode(Information(builder_name: builder.name))
            try json.write(to: build.information, options: .atomic)
        } catch {
            throw ContractError("can't write \(build.information.path): \(error)")
        }
    }

    private func unknown(_ package: ChaincodePackage) -> ContractError {
        ContractError(
            """
            package \(package.id) is of type "\(package.type.prefix(100))", which this peer can't run: it has no \
            Docker, and no builder of its takes the package (\(self.builders.map(\.name).joined(separator: ", "))). \
            Configure an external builder; or build the contract and install the program as a package of type \
            executable; or run it as a service and install a package of type ccaas, whose code.tar.gz holds \
            connection.json with the service's address
            """
        )
    }
}

/// Packages of type `ccaas` or `external`: the contract runs elsewhere, where `connection.json` says.
struct ServicePackageBuilder: ContractBuilder {
    let name = "weft ccaas"

    static let types: Set<String> = ["ccaas", "external"]

    func takes(_ package: ChaincodePackage, _ build: BuildFolder) -> Bool {
        Self.types.contains(package.type)
    }

    func build(_ build: BuildFolder) throws(ContractError) { _ = try self.result(build) }

    func result(_ build: BuildFolder) throws(ContractError) -> BuiltContract {
        let file = build.source.appendingPathComponent("connection.json")
        guard let json = FileManager.default.contents(atPath: file.path) else {
            throw ContractError("code.tar.gz of the package has no connection.json")
        }
        return .service(try ServiceAddress(json: json))
    }
}
