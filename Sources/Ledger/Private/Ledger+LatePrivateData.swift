package import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import SwiftProtobuf
internal import Synchronization

/// Private data of a block that was committed without it.
package struct LatePrivateWrites: Sendable {
    package var block: BlockNumber
    package var set: PrivateWriteSet

    package init(block: BlockNumber, set: PrivateWriteSet) {
        self.block = block
        self.set = set
    }
}

/// What has become of private data that came late.
package enum LatePrivateDataOutcome: Sendable, Equatable {
    case added
    /// It was not missing, or is not any more.
    case notMissing
    /// There is nothing to store: its lifetime is over, or all of it was purged.
    case forgotten
    /// It is not what was endorsed.
    case refused(String)
}

extension Ledger {
    /// Adds private data that was missing when its block was committed.
    ///
    /// It is checked against the hashes in the block, and counts as it would have at the commit. It is durable on return,
    /// and visible, unless blocks are staged: then it is visible with them.
    ///
    /// - Returns: what has become of each, in the same order.
    package func add(late writes: [LatePrivateWrites]) throws -> [LatePrivateDataOutcome] {
        try self.writer.withLock { writer in
            try self.checkAccepts(writer)
            var additions: [PrivateStore.LateAddition] = []
            let outcomes = try writes.map { try self.check($0, &writer.lifetimes, &additions) }
            try Self.writing(&writer) { try self.privateStore.add(additions) }
            if additions.isEmpty { return outcomes }
            writer.hasLatePrivateData = true
            if writer.staged.blocks.isEmpty { try self.applyLatePrivateData(&writer) }
            return outcomes
        }
    }

    /// Brings late data into the state, once no block is staged.
    func applyLatePrivateData(_ writer: inout Writer) throws {
        var isNew = false
        try Self.writing(&writer) {
            isNew = try LatePrivateData(
                log: self.log,
                privateStore: self.privateStore,
                derived: self.stores.derived
            ).apply()
        }
        writer.hasLatePrivateData = false
        if isNew { self.publishAgain() }
    }

    /// Shows readers what was added to the state of the last block since.
    func publishAgain() {
        self.published.withLock {
            $0.snapshot = StateSnapshot(
                height: $0.snapshot.height,
                reader: StateReader(store: self.stores.derived.snapshot()),
                log: self.log,
                metadataNamespaces: $0.metadataNamespaces
            )
        }
    }

    private func check(
        _ late: LatePrivateWrites,
        _ lifetimes: inout CollectionLifetimes,
        _ additions: inout [PrivateStore.LateAddition]
    ) throws -> LatePrivateDataOutcome {
        let set = late.set
        let note = try self.privateStore.missing(block: late.block).first {
            $0.transaction == set.transaction && $0.namespace.utf8.elementsEqual(set.namespace.utf8)
                && $0.collection.utf8.elementsEqual(set.collection.utf8)
        }
        guard let note, late.block < self.height,
            let envelope = try self.log.envelope(block: late.block, index: set.transaction)
        else { return .notMissing }
        let transaction = TransactionToCommit(code: .valid, envelope: envelope)
        guard let collection = transaction.collection(of: set) else {
            return .refused("the transaction has no such collection")
        }
        guard try self.privateStore.explains(set, of: collection, block: late.block) else {
            return .refused("it is not what was endorsed: its hashes are not those in the block")
        }
        var addition = PrivateStore.LateAddition(block: late.block, missing: note)
        defer { additions.append(addition) }
        addition.expiry = try lifetimes.expiry(
            Bytes(set.namespace.utf8),
            Bytes(set.collection.utf8),
            writtenIn: late.block,
            self.snapshot().reader
        )
        if let expiry = addition.expiry, expiry < self.height { return .forgotten }
        addition.set = set.bytes.isEmpty ? nil : try self.privateStore.withoutPurged(set, block: late.block)
        return addition.set == nil ? .forgotten : .added
    }

    /// Notes as missing what this peer may have by now: data of collections that it became a member of after the data was
    /// committed.
    ///
    /// - Parameter isMember: whether the peer is a member of a contract's collection now.
    /// - Throws: the error of `isMember`, or of the disk; what was noted until then stays noted.
    /// - Returns: how many sets were noted.
    @discardableResult
    package func claimPrivateData(
        _ isMember: (_ namespace: String, _ collection: String) throws -> Bool
    ) throws -> Int {
        let names = try self.privateStore.foreignCollections()
            .filter { try isMember($0.namespace, $0.collection) }
        guard !names.isEmpty else { return 0 }
        var start: Data? = PrivateKey.allForeign.start
        var total = 0
        while let from = start {
            try self.writer.withLock { writer in
                try self.checkAccepts(writer)
                try Self.writing(&writer) {
                    let (count, next) = try self.privateStore.claim(names, from: from)
                    total += count
                    start = next
                }
            }
        }
        return total
    }

    /// What is missing although this peer may have it, newest block first, until `body` returns `false`.
    ///
    /// What has expired since is left out, and no longer noted.
    package func forEachMissingPrivateData(
        _ body: (_ block: BlockNumber, _ missing: MissingPrivateData) throws -> Bool
    ) throws {
        let snapshot = self.snapshot()
        var lifetimes = CollectionLifetimes()
        var expired: [PrivateStore.LateAddition] = []
        try self.privateStore.forEachMissing { block, missing in
            let expiry = try lifetimes.expiry(
                Bytes(missing.namespace.utf8),
                Bytes(missing.collection.utf8),
                writtenIn: block,
                snapshot.reader
            )
            if let expiry, expiry < snapshot.height {
                if expired.count < 1_000 { expired.append(.init(block: block, missing: missing)) }
                return true
            }
            return try body(block, missing)
        }
        try self.privateStore.add(expired)
    }
}
