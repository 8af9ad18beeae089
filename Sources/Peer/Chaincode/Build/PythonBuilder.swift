internal import Foundation

/// Packages of type `python`: a virtual environment with what `requirements.txt` names.
struct PythonBuilder: ContractBuilder {
    let name = "weft python"
    let options: LaunchOptions.Python
    let limits: ProcessLimits
    /// The peer's own environment, of which `pip` gets its settings, proxies and certificates.
    let environment: [String: String]

    func takes(_ package: ChaincodePackage, _ build: BuildFolder) -> Bool { package.type == "python" }

    func build(_ build: BuildFolder) async throws(ContractError) {
        let program = try self.program(build)
        try FileOwner.give(build.output, to: self.limits.user, mode: 0o755)
        try await build.require(
            self.step(build, "/usr/bin/env", [self.options.program, "-m", "venv", self.venv(build)])
        )
        let folder = program.deletingLastPathComponent()
        let candidates = [folder, build.source].map { $0.appendingPathComponent("requirements.txt").path }
        if let requirements = candidates.first(where: FileManager.default.fileExists(atPath:)) {
            var arguments = ["-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
            if let index = self.options.index { arguments += ["--index-url", index] }
            arguments += ["-r", requirements]
            try await build.require(self.step(build, self.python(build), arguments))
        }
        _ = try self.result(build)
    }

    func result(_ build: BuildFolder) throws(ContractError) -> BuiltContract {
        let description = try ProgramDescription(in: build.source)
        let program = try self.program(build)
        return .program(
            LaunchPlan(
                path: self.python(build),
                arguments: ["-u", program.path] + (description.arguments ?? []),
                environment: ["PYTHONDONTWRITEBYTECODE": "1"],
                folder: program.deletingLastPathComponent().path,
                // Fabric's shim for Python listens without TLS unless the contract itself asks for it.
                connection: try description.connection(else: .socket),
                limits: self.limits
            )
        )
    }

    private func program(_ build: BuildFolder) throws(ContractError) -> URL {
        let description = try ProgramDescription(in: build.source)
        let usual = ["chaincode.py", "main.py", "contract.py"]
        let path = try description.program(
            in: build.source,
            usual: usual + usual.map { "src/\($0)" },
            suffix: ".py"
        )
        return build.source.appendingPathComponent(path)
    }

    private func venv(_ build: BuildFolder) -> String { build.output.appendingPathComponent("venv").path }

    private func python(_ build: BuildFolder) -> String { self.venv(build) + "/bin/python" }

    private func step(_ build: BuildFolder, _ path: String, _ arguments: [String]) -> LaunchPlan {
        var environment = self.environment.filter { name, _ in
            let upper = name.uppercased()
            return upper.hasPrefix("PIP_") || upper.hasSuffix("_PROXY")
                || ["PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "LANG"].contains(upper)
        }
        environment["HOME"] = build.output.path
        return LaunchPlan(
            path: path,
            arguments: arguments,
            environment: environment,
            folder: build.source.path,
            connection: .server,
            limits: self.limits
        )
    }
}
