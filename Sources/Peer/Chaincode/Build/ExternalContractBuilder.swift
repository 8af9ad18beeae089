internal import Foundation

/// Programs of the operator that build and run contracts.
///
/// - Source: Fabric v3.1 documentation, "External Builders and Launchers"; package `core/container/externalbuilder`.
struct ExternalContractBuilder: ContractBuilder {
    let builder: ExternalBuilder
    /// The peer's own environment, of which the builder gets what its configuration says.
    let environment: [String: String]

    var name: String { self.builder.name }

    func takes(_ package: ChaincodePackage, _ build: BuildFolder) async -> Bool {
        // Without the program, or when it fails, the next builder is asked.
        guard let detect = self.command("detect", [build.source, build.metadata]) else { return false }
        return (try? await build.run(detect)) == .exited(0)
    }

    func build(_ build: BuildFolder) async throws(ContractError) {
        guard let step = self.command("build", [build.source, build.metadata, build.output]) else {
            throw ContractError("external builder '\(self.name)' has no program \(self.path("build"))")
        }
        do {
            try await build.require(step)
            if let release = self.command("release", [build.output, build.release]) {
                try await build.require(release)
            }
        } catch {
            throw ContractError("external builder '\(self.name)' failed: \(error)")
        }
        _ = try self.result(build)
    }

    func result(_ build: BuildFolder) throws(ContractError) -> BuiltContract {
        let connection = build.release.appendingPathComponent("chaincode/server/connection.json")
        if let json = FileManager.default.contents(atPath: connection.path) {
            return .service(try ServiceAddress(json: json))
        }
        guard let run = self.command("run", [build.output]) else {
            throw ContractError(
                """
                external builder '\(self.name)' has no program \(self.path("run")) and released no \
                chaincode/server/connection.json, so its contracts can't be reached
                """
            )
        }
        return .program(run)
    }

    private func path(_ program: String) -> String { "\(self.builder.path)/bin/\(program)" }

    /// `nil` if the builder has no such program.
    private func command(_ program: String, _ folders: [URL]) -> LaunchPlan? {
        let path = self.path(program)
        guard FileManager.default.isExecutableFile(atPath: path) else { return nil }
        let names = self.builder.propagatedEnvironment + ["LD_LIBRARY_PATH", "LIBPATH", "PATH", "TMPDIR"]
        return LaunchPlan(
            path: path,
            arguments: folders.map(\.path),
            environment: self.environment.filter { names.contains($0.key) },
            folder: self.builder.path,
            connection: .external
        )
    }
}
