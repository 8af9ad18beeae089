import Channel
import FabricProtos
import Foundation
import KeyValueStore
import Synchronization
import Testing

@testable import Ledger

/// Blocks that become durable together are judged, stored and recovered as if each had come alone.
@Suite struct StagedBlocksTests {
    /// Every way to cut five blocks into groups: bit *n* ends a group after block *n*.
    static let cuts = 0..<16

    /// Commits `inputs`, from the ledger's height on, in the groups of `cut`.
    private func commit(_ inputs: [BlockToCommit], _ cut: Int, _ ledger: Ledger) throws {
        for input in inputs where input.block.header.number >= ledger.stagedState().height {
            _ = try ledger.stage(input)
            if cut >> input.block.header.number & 1 == 1 { _ = try ledger.commitStaged() }
        }
        _ = try ledger.commitStaged()
    }

    @Test(arguments: cuts) func groupsLeaveTheSameLedger(_ cut: Int) throws {
        var reference = try TestChain()
        let inputs = try CrashTests.inputs(&reference)
        let chain = try TestChain()
        try self.commit(inputs, cut, chain.ledger)
        #expect(try CrashTests.contents(chain.stores) == CrashTests.contents(reference.stores))
        #expect(chain.ledger.lastCommitHash == reference.ledger.lastCommitHash)
        #expect(chain.ledger.height == reference.ledger.height)
    }

    @Test func nobodySeesABlockThatIsStaged() throws {
        var chain = try TestChain()
        let transaction = try chain.transaction {
            try $0.setValue(Data("1".utf8), namespace: "cc", key: "k")
        }
        let codes = try chain.ledger.stage(chain.input([transaction]))
        #expect(codes == [.valid])
        #expect(chain.ledger.height == 0 && chain.ledger.lastHeader == nil)
        #expect(try chain.ledger.block(0) == nil)
        #expect(try !chain.ledger.containsTransaction(transaction.id))
        #expect(try chain.ledger.snapshot().value(namespace: "cc", key: "k") == nil)
        #expect(chain.ledger.stagedState().height == 1)
        #expect(try chain.ledger.stagedState().containsTransaction(transaction.id))
        #expect(
            try chain.ledger.stagedState().value(namespace: "cc", key: "k")?.value == Data("1".utf8)
        )
        let committed = try chain.ledger.commitStaged()
        #expect(committed.map(\.codes) == [[.valid]])
        #expect(chain.ledger.height == 1)
        #expect(try chain.ledger.commitStaged().isEmpty)
    }

    /// Conflicts with a block that nobody has seen yet.
    @Test func conflictsWithStagedBlocksAreFound() throws {
        var chain = try TestChain()
        try chain.run { try $0.setValue(Data("1".utf8), namespace: "cc", key: "a") }
        let writer = try chain.transaction { try $0.setValue(Data("2".utf8), namespace: "cc", key: "b") }
        let remover = try chain.transaction { try $0.deleteValue(namespace: "cc", key: "a") }
        let readers = try [
            chain.transaction { _ = try $0.value(namespace: "cc", key: "a") },
            chain.transaction { _ = try $0.value(namespace: "cc", key: "b") },
            chain.transaction { _ = try $0.value(namespace: "cc", key: "c") },
            chain.transaction {
                let range = try $0.range(namespace: "cc", start: "b", end: "d")
                while try range.next() != nil {}
            },
        ]
        let first = chain.input([writer])
        _ = try chain.ledger.stage(first)
        let second = chain.input([remover], after: first)
        _ = try chain.ledger.stage(second)
        let third = chain.input(readers + [writer], after: second)
        #expect(
            try chain.ledger.stage(third) == [
                .mvccReadConflict, .mvccReadConflict, .valid, .phantomReadConflict, .duplicateTxid,
            ]
        )
        #expect(try chain.ledger.commitStaged().count == 3)
        #expect(chain.ledger.height == 4)
        #expect(throws: LedgerError.self) { try chain.ledger.stage(second) }
    }

    /// The worst that a loss of power can do at any moment: of the log and of private data only what was synced is
    /// left, but of the state, which is never synced, everything.
    @Test(arguments: cuts) func theStateIsNeverAheadOfTheLog(_ cut: Int) throws {
        var reference = try TestChain()
        let inputs = try CrashTests.inputs(&reference)
        let expected = try CrashTests.contents(reference.stores)

        let diary = Diary()
        let chain = try TestChain(diary.stores)
        try self.commit(inputs, cut, chain.ledger)
        for moment in 0...diary.count {
            let stores = try diary.storesAfterLossOfPower(at: moment)
            let ledger = try TestChain(stores).ledger
            #expect(ledger.height == ledger.log.height)
            try self.commit(inputs, cut, ledger)
            #expect(try CrashTests.contents(stores) == expected, "loss of power before write \(moment)")
        }
    }

    @Test(arguments: CrashTests.Target.allCases, FailingStore.Failure.allCases)
    func aFailedGroupIsThereWhollyOrNotAtAll(
        _ target: CrashTests.Target,
        _ failure: FailingStore.Failure
    ) throws {
        var reference = try TestChain()
        let inputs = try CrashTests.inputs(&reference)
        let expected = try CrashTests.contents(reference.stores)
        for cut in Self.cuts {
            for writes in 0..<3 {
                let stores = LedgerStores.inMemory()
                var used = stores
                let failing: FailingStore
                switch target {
                case .log:
                    failing = FailingStore(stores.log)
                    used.log = failing
                case .private:
                    failing = FailingStore(stores.private)
                    used.private = failing
                case .derived:
                    failing = FailingStore(stores.derived)
                    used.derived = failing
                }
                let ledger = try TestChain(used).ledger
                failing.fail(after: writes, failure)
                do {
                    try self.commit(inputs, cut, ledger)
                } catch {
                    #expect("\(error)".contains("No space left on device"))
                    let before = ledger.height
                    #expect(throws: LedgerError.self) { try ledger.commitStaged() }
                    #expect(ledger.stagedState().height == before, "nothing is staged any more")
                    failing.repair()
                    try ledger.reopen()
                    #expect(ledger.height == ledger.log.height && ledger.height >= before)
                }
                failing.repair()
                try self.commit(inputs, cut, ledger)
                #expect(try CrashTests.contents(stores) == expected)
                #expect(ledger.lastCommitHash == reference.ledger.lastCommitHash)
            }
        }
    }
}

extension TestChain {
    /// A block of these transactions after one that is not committed yet.
    fileprivate func input(_ transactions: [Transaction], after previous: BlockToCommit) -> BlockToCommit {
        var input = self.input(transactions)
        input.block = Common_Block.next(
            after: previous.block.header,
            envelopes: transactions.map(\.envelope)
        )
        return input
    }
}

/// Notes every write to the three stores of a ledger, in order.
private final class Diary: Sendable {
    enum Name: CaseIterable, Sendable { case log, `private`, derived }
    struct Write: Sendable {
        var store: Name
        var batch: WriteBatch
        var isDurable: Bool
    }

    private let writes = Mutex<[Write]>([])

    var count: Int { self.writes.withLock { $0.count } }

    var stores: LedgerStores {
        LedgerStores(
            log: NotingStore(self, .log),
            private: NotingStore(self, .private),
            derived: NotingStore(self, .derived)
        )
    }

    func note(_ write: Write) { self.writes.withLock { $0.append(write) } }

    /// What is left when the power fails after the first `count` writes.
    func storesAfterLossOfPower(at count: Int) throws -> LedgerStores {
        let writes = Array(self.writes.withLock { $0.prefix(count) })
        let stores = LedgerStores.inMemory()
        for name in Name.allCases {
            let store = name == .log ? stores.log : name == .private ? stores.private : stores.derived
            let own = writes.filter { $0.store == name }
            let end = name == .derived ? own.endIndex : (own.lastIndex { $0.isDurable }.map { $0 + 1 } ?? 0)
            for write in own[..<end] { try store.write(write.batch, durably: true) }
        }
        return stores
    }
}

private final class NotingStore: KeyValueStore {
    private let store = MemoryStore()
    private let diary: Diary
    private let name: Diary.Name

    init(_ diary: Diary, _ name: Diary.Name) {
        self.diary = diary
        self.name = name
    }

    func write(_ batch: WriteBatch, durably: Bool) {
        self.store.write(batch, durably: durably)
        self.diary.note(Diary.Write(store: self.name, batch: batch, isDurable: durably))
    }

    func value(forKey key: Data) -> Data? { self.store.value(forKey: key) }
    func makeCursor() -> any KeyValueCursor { self.store.makeCursor() }
    func snapshot() -> any KeyValueReader { self.store.snapshot() }
    func reopen() {}
    func approximateSize(from start: Data, to end: Data) -> UInt64 { 0 }
    func compact(from start: Data?, to end: Data?) {}
}
