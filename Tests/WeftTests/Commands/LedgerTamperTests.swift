import ArgumentParser
import Channel
import FabricProtos
import Foundation
import Ledger
import Peer
import Testing
import WeftContract

@testable import weft

@Suite final class LedgerTamperTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("weft-\(UUID().uuidString)").path

    deinit { try? FileManager.default.removeItem(atPath: self.folder) }

    /// Runs the command on the folder.
    private func tamper(_ arguments: String...) throws {
        let command = try #require(
            try LedgerTamperCommand.parseAsRoot([self.folder] + arguments) as? LedgerTamperCommand
        )
        try command.run()
    }

    private func ledger() throws -> Ledger {
        try Ledger(channelID: ChannelID("emissions"), stores: LedgerStores.open(folder: self.folder))
    }

    /// Writes a block that sets two keys of contract `emissions`, one of them composite.
    private func writeLedger() throws {
        let ledger = try self.ledger()
        let simulator = TransactionSimulator(snapshot: ledger.snapshot(), transactionID: "t")
        for key in ["total", try CompositeKey("record", ["14328"]).text] {
            try simulator.setValue(Data("true".utf8), namespace: "emissions", key: key)
        }
        let transaction = TransactionToCommit(
            code: .valid,
            id: "t",
            readWriteSet: try simulator.results().publicSet
        )
        let block = Common_Block.next(after: nil, envelopes: [Data("envelope".utf8)])
        _ = try ledger.commit(BlockToCommit(block: block, transactions: [transaction]))
    }

    private func value(_ key: String) throws -> String? {
        try self.ledger().snapshot().value(namespace: "emissions", key: key).map {
            String(decoding: $0.value, as: UTF8.self)
        }
    }

    @Test func `One value is falsified, and keeps its version`() throws {
        try self.writeLedger()
        try self.tamper("--key", "record", "--key", "14328", "--value", "false")
        #expect(try self.value(CompositeKey("record", ["14328"]).text) == "false")
        #expect(try self.value("total") == "true")
        try self.tamper("--key", "total", "--value", "false")
        #expect(try self.value("total") == "false")
        let version = try self.ledger().snapshot().value(namespace: "emissions", key: "total")?.version
        #expect(version == Version(block: 0, transaction: 0))
    }

    @Test func `What can't be falsified is named`() throws {
        #expect(throws: (any Error).self) { try self.tamper("--value", "x") }
        try self.writeLedger()
        let error = #expect(throws: Failure.self) { try self.tamper("--key", "record", "--value", "x") }
        #expect(error?.description == "there is no key record of emissions in \(self.folder)")
    }
}
