import Channel
import FabricProtos
import Foundation
import KeyValueStore
import Testing

@testable import Ledger

/// What `LedgerVerification` says of a ledger on disk, whole or tampered with.
@Suite final class LedgerVerificationTests {
    private let folder: String

    init() throws {
        self.folder =
            FileManager.default.temporaryDirectory.appendingPathComponent("weft-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: self.folder) }

    /// Writes the recorded chain to the folder and closes it; `compacted` puts everything into tables.
    private func writeLedger(compacted: Bool = false) throws {
        let stores = try LedgerStores.open(folder: self.folder)
        let ledger = try Ledger(channelID: ChannelID("vecmain"), stores: stores)
        for block in try RecordedChain.load("main").blocks {
            _ = try ledger.commit(BlockToCommit(recorded: block))
        }
        guard compacted else { return }
        stores.log.compact(from: nil, to: nil)
        stores.derived.compact(from: nil, to: nil)
    }

    private func change(_ store: String, _ body: (any KeyValueStore, inout WriteBatch) throws -> Void) throws
    {
        let opened = try LevelDBStore(folder: "\(self.folder)/\(store)")
        var batch = WriteBatch()
        try body(opened, &batch)
        try opened.write(batch, durably: true)
    }

    private func flipByte(in store: String, suffix: String, at fraction: Double) throws -> String {
        let path = "\(self.folder)/\(store)"
        let names = try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(suffix) }
        let name = try #require(
            names.max { left, right in
                func size(_ name: String) -> Int {
                    (try? Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))?.count ?? 0
                }
                return size(left) < size(right)
            }
        )
        let url = URL(fileURLWithPath: "\(path)/\(name)")
        var contents = try Data(contentsOf: url)
        contents[Int(Double(contents.count) * fraction)] ^= 1
        try contents.write(to: url)
        return "\(store)/\(name)"
    }

    @Test(arguments: [false, true]) func aWholeLedgerIsIntact(compacted: Bool) throws {
        try self.writeLedger(compacted: compacted)
        var steps: [BlockNumber] = []
        let report = try LedgerVerification.run(
            folder: self.folder,
            progress: { done, _ in steps.append(done) }
        )
        #expect(report.findings.isEmpty)
        #expect(report.isIntact)
        #expect(report.height == 107)
        #expect(report.verifiedBlocks == 107)
        #expect(
            report.commitHash.hexadecimal == (try RecordedChain.load("main").recorded.chain.last?.commitHash)
        )
        #expect(steps.last == 107)
    }

    @Test func aFolderWithoutALedgerIsRefused() throws {
        #expect(throws: LedgerError.self) { try LedgerVerification.run(folder: self.folder) }
    }

    @Test func aLedgerInUseIsRefused() throws {
        let stores = try LedgerStores.open(folder: self.folder)
        _ = try Ledger(channelID: ChannelID("vecmain"), stores: stores)
        let error = #expect(throws: KeyValueStoreError.self) {
            try LedgerVerification.run(folder: self.folder)
        }
        #expect(error?.code == .locked)
        _ = stores
    }

    @Test func aFlippedByteInATableOfTheLogIsNamedWithTheFirstUnreadableBlock() throws {
        try self.writeLedger(compacted: true)
        let file = try self.flipByte(in: "log", suffix: ".ldb", at: 0.5)
        let report = try LedgerVerification.run(folder: self.folder)
        #expect(report.findings.first?.file == file)
        let unreadable = try #require(report.findings.first { $0.block != nil }?.block)
        #expect(unreadable == report.verifiedBlocks)
        #expect((10..<100).contains(unreadable))
    }

    @Test func aFlippedByteInTheJournalOfTheLogIsNamedWithTheFirstUnreadableBlock() throws {
        try self.writeLedger()
        let file = try self.flipByte(in: "log", suffix: ".log", at: 0.5)
        let report = try LedgerVerification.run(folder: self.folder)
        let finding = try #require(report.findings.first)
        #expect(finding.file == file)
        let block = try #require(finding.block)
        #expect((10..<100).contains(block))
    }

    /// A peer that catches up writes many blocks at once, which are one record of the journal.
    @Test(arguments: [(0.3, 0), (0.7, 50)])
    func aFlippedByteInManyBlocksWrittenAtOnceIsNamedWithTheFirstOfThem(
        _ fraction: Double,
        _ first: BlockNumber
    ) throws {
        let blocks = try RecordedChain.load("main").blocks
        try self.appendToLog(Array(blocks[..<50]), Array(blocks[50...]))
        let file = try self.flipByte(in: "log", suffix: ".log", at: fraction)
        let finding = try #require(try LedgerVerification.run(folder: self.folder).findings.first)
        #expect(finding.file == file)
        #expect(finding.block == first)
    }

    @Test func aFlippedByteInAJournalIsNamedWithTheBlockAfterThoseInTables() throws {
        let blocks = try RecordedChain.load("main").blocks
        try self.appendToLog(Array(blocks[..<60]))
        // Opening moves what is in the journal to a table.
        try self.appendToLog(Array(blocks[60...]))
        let file = try self.flipByte(in: "log", suffix: ".log", at: 0.5)
        let finding = try #require(try LedgerVerification.run(folder: self.folder).findings.first)
        #expect(finding.file == file)
        #expect(finding.block == 60)
    }

    /// Appends each list of blocks with one write.
    private func appendToLog(_ writes: [Common_Block]...) throws {
        let log = try BlockLog(store: try LedgerStores.open(folder: self.folder).log)
        for blocks in writes { try log.append(blocks) }
    }

    @Test func aRewrittenValueOfTheStateIsNamedWithItsTransaction() throws {
        try self.writeLedger()
        let version = try StateTampering.rewrite(
            folder: self.folder,
            namespace: "scriptcc",
            key: "k007",
            value: Data("tampered".utf8)
        )
        #expect(version == Version(block: 95, transaction: 2))
        let report = try LedgerVerification.run(folder: self.folder)
        #expect(report.findings.count == 1)
        #expect(report.findings.first?.block == 95)
        #expect(report.findings.first?.transaction == 2)
        #expect(report.findings.first?.message.contains("k007") == true)
    }

    @Test func removedAndInventedKeysOfTheStateAreNamed() throws {
        try self.writeLedger()
        try self.change("derived") { _, batch in
            batch.removeValue(forKey: DerivedKey.state(Bytes("scriptcc".utf8), Bytes("k007".utf8)))
            batch.set(
                VersionedValue(value: Data("x".utf8), version: Version(block: 3, transaction: 0)).encoded,
                forKey: DerivedKey.state(Bytes("scriptcc".utf8), Bytes("invented".utf8))
            )
        }
        let findings = try LedgerVerification.run(folder: self.folder).findings
        #expect(findings.map(\.block) == [3, 95])
        #expect(findings[0].message.contains("no transaction put it there"))
        #expect(findings[1].message.contains("missing"))
    }

    @Test func aRewrittenTransactionIsNamedWithItsBlock() throws {
        try self.writeLedger()
        try self.change("log") { store, batch in
            let key = LogKey.envelope(50, 0)
            var envelope = try #require(try store.value(forKey: key))
            envelope[envelope.index(before: envelope.endIndex)] ^= 1
            batch.set(envelope, forKey: key)
        }
        let report = try LedgerVerification.run(folder: self.folder)
        #expect(report.findings.first?.block == 50)
        #expect(report.findings.first?.message.contains("data hash") == true)
        #expect(report.verifiedBlocks == 50)
    }

    @Test func aRewrittenVerdictIsNamedWithItsTransaction() throws {
        try self.writeLedger()
        // Block 15, transaction 1 is an MVCC conflict: say that it is valid.
        try self.change("log") { store, batch in
            let key = LogKey.summary(15)
            let encoded = try #require(try store.value(forKey: key))
            var summary = try #require(BlockSummary(encoded: encoded, number: 15))
            summary.metadata[2][1] = 0
            batch.set(summary.encoded, forKey: key)
        }
        let finding = try #require(try LedgerVerification.run(folder: self.folder).findings.first)
        #expect(finding.block == 15)
        #expect(finding.transaction == 1)
    }

    @Test func aJudgeThatDisagreesIsHeard() throws {
        try self.writeLedger()
        let report = try LedgerVerification.run(folder: self.folder) { block, _ in
            var transactions = BlockToCommit(recorded: block).transactions
            if block.header.number == 10 { transactions[0].code = .badCreatorSignature }
            return transactions
        }
        #expect(report.findings.first?.block == 10)
        #expect(report.findings.first?.transaction == 0)
        #expect(report.findings.first?.message.contains("badCreatorSignature") == true)
    }

    @Test func stateThatLagsBehindTheLogIsComparedWhereItStands() throws {
        try self.writeLedger()
        try FileManager.default.removeItem(atPath: "\(self.folder)/derived")
        #expect(try LedgerVerification.run(folder: self.folder).isIntact)
    }
}
