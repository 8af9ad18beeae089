import CertificateAuthority
import Channel
import FabricProtos
import Foundation
import Logging
import Peer
import Subprocess

/// Tests a contract without a network.
///
/// A contract in Swift has its own tests, which run it in process on a ledger in memory. Anything else is built and
/// started as a peer would, and asked what it can do; a contract in Python has its own tests run before, in the
/// environment that was built.
struct ContractTestRun: Sendable {
    /// What was seen.
    struct Outcome: Sendable {
        /// The commands of the contract's own tests that ran, and whether they passed.
        var tests: (command: String, passed: Bool)?
        var trial: ContractTrial.Report?

        var hasPassed: Bool { self.tests?.passed ?? true }
    }

    let path: String
    /// How the contract is built and run; `nil` to tell by its files.
    let type: String?
    /// Whether what tests print goes to standard error, since standard output is for the answer.
    let isQuiet: Bool
    let logger: Logger
    /// Takes a line about each step.
    let tell: @Sendable (String) -> Void

    /// Tests.
    ///
    /// - Throws: ``Failure`` or `ContractError` that says what can't be built or started.
    func run() async throws -> Outcome {
        if self.type == nil, FileManager.default.fileExists(atPath: "\(self.path)/Package.swift") {
            return Outcome(tests: try await self.test(["swift", "test", "--package-path", self.path]))
        }
        let name = URL(fileURLWithPath: self.path).standardizedFileURL.lastPathComponent.prefix { $0 != "." }
        let source = try ContractSource(
            path: self.path,
            type: self.type,
            label: name.isEmpty ? "contract" : String(name)
        )
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("weft-contract-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        return try await self.tryOut(source, in: folder.path)
    }

    // MARK: - The contract's own tests

    /// Runs a command whose status says whether the tests passed.
    private func test(_ command: [String], as short: String? = nil) async throws -> (
        command: String, passed: Bool
    ) {
        let text = short ?? command.joined(separator: " ")
        self.tell("runs \(text)")
        // Before what the command prints, also where standard output is a file.
        fflush(nil)
        let status: TerminationStatus
        do {
            let arguments = Arguments(Array(command.dropFirst()))
            let program = Executable.name(command.first ?? "")
            status =
                self.isQuiet
                ? try await Subprocess.run(
                    program,
                    arguments: arguments,
                    output: .currentStandardError,
                    error: .currentStandardError
                ).terminationStatus
                : try await Subprocess.run(
                    program,
                    arguments: arguments,
                    output: .currentStandardOutput,
                    error: .currentStandardError
                ).terminationStatus
        } catch {
            throw Failure("can't run \(text): \(error)")
        }
        return (text, status.isSuccess)
    }

    /// The command for tests in Python: with pytest where the contract's requirements brought it, else with unittest.
    private func pythonTests(in source: URL, _ python: String) async throws -> [String] {
        let inPlace = ["env", "-C", source.path, "PYTHONDONTWRITEBYTECODE=1", python, "-m"]
        let hasPytest = try await Subprocess.run(
            .name("env"),
            arguments: [python, "-c", "import pytest"],
            output: .discarded
        ).terminationStatus.isSuccess
        return inPlace
            + (hasPytest
                ? ["pytest", "-q", "-p", "no:cacheprovider"] : ["unittest", "discover", "-p", "*test*.py"])
    }

    /// Whether files are tests, by the names that pytest and unittest look for.
    private static func hasTests(_ source: URL) -> Bool {
        let files = FileManager.default.enumerator(atPath: source.path)
        while let path = files?.nextObject() as? String {
            let name = path.split(separator: "/").last ?? ""
            if name.hasSuffix(".py"), name.hasPrefix("test_") || name.hasSuffix("_test.py") { return true }
        }
        return false
    }

    // MARK: - The trial

    private func tryOut(_ source: ContractSource, in folder: String) async throws -> Outcome {
        let authority = try OrganizationAuthority.create(
            at: "\(folder)/organization",
            Organization(domain: "trial.example", mspID: "TrialMSP"),
            now: Date()
        )
        let user = MSPFolder(
            try authority.issue(IssueRequest(name: "user", role: .client), now: Date()).path + "/msp"
        )
        let mspID = try MSPID("TrialMSP")
        var launching = LaunchOptions()
        launching.environment = ProcessInfo.processInfo.environment
        let trial = ContractTrial(
            folder: "\(folder)/data",
            launching: launching,
            signer: try user.signingIdentity(mspID: mspID),
            msp: try MSP(try user.configuration(mspID: mspID).config, version: .v3_0),
            logger: self.logger
        )
        self.tell("builds \(source.id)")
        let tests = TestResult()
        let report = try await trial.run(source.package) { files, python in
            if let python, Self.hasTests(files) {
                let command = try await self.pythonTests(in: files, python)
                let short = "python " + command.drop { $0 != "-m" }.joined(separator: " ")
                await tests.set(try await self.test(command, as: short))
            }
            self.tell("starts it")
        }
        return Outcome(tests: await tests.value, trial: report)
    }
}

/// What came of the contract's own tests.
private actor TestResult {
    private(set) var value: (command: String, passed: Bool)?

    func set(_ value: (command: String, passed: Bool)) { self.value = value }
}
