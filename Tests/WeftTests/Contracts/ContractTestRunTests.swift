import FabricProtos
import Foundation
import Logging
import Peer
import Testing

@testable import weft

/// Contracts that are tested without a network.
@Suite struct ContractTestRunTests {
    private func run(_ files: [String: String]) async throws -> ContractTestRun.Outcome {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            let file = folder.appendingPathComponent(name)
            try Data(text.utf8).write(to: file)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
        }
        return try await ContractTestRun(
            path: folder.path,
            type: nil,
            isQuiet: true,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            tell: { _ in }
        ).run()
    }

    private func reason(_ files: [String: String]) async throws -> String {
        let error = await #expect(throws: ContractError.self) { try await self.run(files) }
        return error?.description ?? ""
    }

    @Test func aContractThatDoesNotStartIsShownWithWhatItPrinted() async throws {
        let reason = try await self.reason(["chaincode": "#!/bin/sh\necho no configuration; exit 3\n"])
        #expect(
            reason.contains("it exited with status 3") && reason.contains("no configuration"),
            "\(reason)"
        )
    }

    @Test func whatCannotBeBuiltIsSaid() async throws {
        let reason = try await self.reason(["go.mod": "module trade\n", "main.go": "package main\n"])
        #expect(reason.contains("of type \"golang\"") && reason.contains("type executable"), "\(reason)")
    }

    @Test func metadataListsTransactionsAndOtherAnswersHaveNone() {
        let metadata = #"{"contracts": {"B": {"transactions": [{"name": "x"}, {"name": "y"}]}, "A": {}}}"#
        let found = ContractTestCommand.transactions(.success(Data(metadata.utf8)))
        #expect(found?.map(\.contract) == ["A", "B"] && found?.map(\.names) == [[], ["x", "y"]])
        #expect(ContractTestCommand.transactions(.success(Data("one".utf8))) == nil)
        #expect(ContractTestCommand.transactions(.failure("unknown function")) == nil)
    }
}
