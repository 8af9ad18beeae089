import Channel
import FabricProtos
import Foundation
import KeyValueStore
import Testing

@testable import Ledger

/// Whatever write a crash or a full disk hits, the ledger opens again with whole blocks and goes on.
@Suite struct CrashTests {
    enum Target: CaseIterable, Sendable { case log, `private`, derived }

    @Test(arguments: Target.allCases, FailingStore.Failure.allCases)
    func everyBlockIsThereWhollyOrNotAtAll(_ target: Target, _ failure: FailingStore.Failure) throws {
        // The same blocks without a failure.
        var reference = try TestChain()
        let inputs = try Self.inputs(&reference)
        let expected = try Self.contents(reference.stores)

        for failing in 0..<inputs.count {
            let stores = LedgerStores.inMemory()
            var chain = try TestChain(stores)
            for input in inputs.prefix(failing) { _ = try chain.ledger.commit(input) }
            let before = chain.ledger.height

            var broken = stores
            let store = FailingStore(
                target == .log ? stores.log : target == .private ? stores.private : stores.derived
            )
            switch target {
            case .log: broken.log = store
            case .private: broken.private = store
            case .derived: broken.derived = store
            }
            chain = try TestChain(broken)
            store.fail(after: 0, failure)
            do {
                _ = try chain.ledger.commit(inputs[failing])
                // A block without private data writes nothing to the private store.
                #expect(target == .private)
            } catch {
                #expect("\(error)".contains("No space left on device"))
                #expect(chain.ledger.height == before)
                #expect(chain.ledger.snapshot().height == before)
                let again = #expect(throws: LedgerError.self) { try chain.ledger.commit(inputs[failing]) }
                #expect(again?.code == .stopped)
            }

            chain = try TestChain(stores)
            #expect(chain.ledger.height == chain.ledger.log.height)
            for input in inputs where input.block.header.number >= chain.ledger.height {
                _ = try chain.ledger.commit(input)
            }
            #expect(try Self.contents(stores) == expected, "crash at block \(failing)")
            #expect(chain.ledger.lastCommitHash == reference.ledger.lastCommitHash)
        }
    }

    @Test(arguments: Target.allCases, FailingStore.Failure.allCases)
    func goesOnWithoutARestartOnceTheDiskIsMended(_ target: Target, _ failure: FailingStore.Failure) throws {
        var reference = try TestChain()
        let inputs = try Self.inputs(&reference)
        let expected = try Self.contents(reference.stores)

        for failing in 0..<inputs.count {
            let stores = LedgerStores.inMemory()
            let store = FailingStore(
                target == .log ? stores.log : target == .private ? stores.private : stores.derived
            )
            var used = stores
            switch target {
            case .log: used.log = store
            case .private: used.private = store
            case .derived: used.derived = store
            }
            let ledger = try TestChain(used).ledger
            for input in inputs.prefix(failing) { _ = try ledger.commit(input) }
            let before = ledger.height
            let snapshot = ledger.snapshot()
            store.fail(after: 0, failure)
            do {
                _ = try ledger.commit(inputs[failing])
            } catch {
                #expect(throws: KeyValueStoreError.self, "the disk is still full") { try ledger.reopen() }
                #expect(ledger.height == before)
                #expect(try ledger.snapshot().containsTransaction("none") == false, "reading goes on")
                #expect(throws: LedgerError.self) { try ledger.commit(inputs[failing]) }
                store.repair()
                try ledger.reopen()
                #expect(ledger.height == ledger.log.height && ledger.height >= before)
                #expect(snapshot.height == before)
            }
            store.repair()
            for input in inputs where input.block.header.number >= ledger.height {
                _ = try ledger.commit(input)
            }
            #expect(try Self.contents(stores) == expected, "failure at block \(failing)")
            #expect(ledger.lastCommitHash == reference.ledger.lastCommitHash)
        }
    }

    /// Commits five blocks to `chain` and returns them.
    static func inputs(_ chain: inout TestChain) throws -> [BlockToCommit] {
        var inputs: [BlockToCommit] = []
        func commit(_ transactions: [TestChain.Transaction]) throws {
            inputs.append(chain.input(transactions))
            _ = try chain.ledger.commit(inputs[inputs.count - 1])
        }
        try commit([chain.transaction { try $0.setValue(Data("0".utf8), namespace: "cc", key: "z") }])
        try commit([
            chain.transaction { try $0.setValue(Data("1".utf8), namespace: "cc", key: "a") },
            chain.transaction { _ = try $0.value(namespace: "cc", key: "a") },
        ])
        try commit([
            chain.transaction {
                try $0.setPrivateValue(Data("2".utf8), namespace: "cc", collection: "c", key: "p")
                try $0.setMetadata([.init(name: "m", value: "v")], namespace: "cc", key: "a")
            }
        ])
        try commit([chain.transaction { try $0.deleteValue(namespace: "cc", key: "a") }])
        try commit([
            chain.transaction { try $0.purgePrivateValue(namespace: "cc", collection: "c", key: "p") }
        ])
        return inputs
    }

    static func contents(_ stores: LedgerStores) throws -> [[Data: Data]] {
        try [stores.log, stores.private, stores.derived].map {
            try RecordedChainConformanceTests.everything(in: $0)
        }
    }

    @Test func stateComputedAgainFromNothingIsTheSame() throws {
        var chain = try TestChain()
        _ = try Self.inputs(&chain)
        let before = try RecordedChainConformanceTests.everything(in: chain.stores.derived)
        chain.stores.derived = MemoryStore()
        try chain.reopen()
        #expect(try RecordedChainConformanceTests.everything(in: chain.stores.derived) == before)
    }

    @Test func stateAheadOfTheLogIsRefused() throws {
        var chain = try TestChain()
        _ = try Self.inputs(&chain)
        chain.stores.log = MemoryStore()
        let error = #expect(throws: LedgerError.self) { try chain.reopen() }
        #expect(error?.description.contains("derived") == true)
    }

    @Test func storesOfAnotherKindAreRefused() throws {
        let stores = LedgerStores.inMemory()
        _ = try TestChain(stores)
        let swapped = LedgerStores(log: stores.derived, private: stores.private, derived: stores.log)
        let error = #expect(throws: LedgerError.self) { try TestChain(swapped) }
        #expect(error?.code == .unknownFormat)
    }
}

extension Kvrwset_KVMetadataEntry {
    init(name: String, value: String) {
        self.init()
        self.name = name
        self.value = Data(value.utf8)
    }
}
