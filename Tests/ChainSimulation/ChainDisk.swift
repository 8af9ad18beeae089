import Foundation
import KeyValueStore
import Simulation

/// The disk of one machine: two stores, of which a crash takes what was not synced, from some write on.
///
/// A store keeps the order of its writes, and a sync makes all that came before durable too; a write that was torn is
/// dropped with everything behind it when the store is opened again. The two stores are independent of each other.
final class ChainDisk: @unchecked Sendable {
    // Why `@unchecked`: a simulation runs on one thread.

    /// What a write comes to.
    enum Fate {
        case done
        /// The machine dies; the write may have reached the disk.
        case death(reachesDisk: Bool)
        case full
    }

    /// What is lost of a disk.
    enum Loss: CaseIterable {
        case log
        case consensus
        case all
    }

    let log: ChainStore
    let consensus: ChainStore
    /// Asked before each write.
    var fate: (_ isSync: Bool) -> Fate = { _ in .done }
    /// Told of each write of consensus that shall be durable, and whether it is.
    var wroteConsensus: (_ batch: WriteBatch, _ isDurable: Bool) -> Void = { _, _ in }
    /// The fault of a disk, or a node, that doesn't wait until what it writes is durable.
    var forgetsSync = false
    /// The fault of a node that doesn't notice that it lost what it promised.
    var forgetsLoss = false

    init() {
        self.log = ChainStore(name: "log")
        self.consensus = ChainStore(name: "consensus")
        self.log.disk = self
        self.consensus.disk = self
    }

    /// Opens both stores.
    ///
    /// What a process left that was killed becomes durable with that: LevelDB moves its journal into a synced table.
    func open() {
        self.log.isBroken = false
        self.consensus.isBroken = false
        guard !self.forgetsSync else { return }
        self.log.sync()
        for batch in self.consensus.sync() { self.wroteConsensus(batch, true) }
    }

    /// The disk is replaced by an empty one, or one of its two folders is lost.
    func lose(_ loss: Loss) {
        if loss != .consensus { self.log.lose() }
        if loss != .log { self.consensus.lose() }
    }

    /// Power is lost; returns how many writes went with it.
    func losePower(_ dice: inout Dice) -> (writes: Int, blocks: Int) {
        (self.consensus.losePower(&dice), self.log.losePower(&dice))
    }
}

/// One store of a ``ChainDisk``.
final class ChainStore: KeyValueStore, @unchecked Sendable {
    // Why `@unchecked`: a simulation runs on one thread.

    private let name: String
    weak var disk: ChainDisk?
    private var live = MemoryStore()
    private var durable = MemoryStore()
    private var unsynced: [WriteBatch] = []
    /// A write failed; the store takes no more until it is opened again.
    fileprivate(set) var isBroken = false

    init(name: String) { self.name = name }

    func write(_ batch: WriteBatch, durably: Bool) throws(KeyValueStoreError) {
        guard let disk, !self.isBroken else { throw self.failure(.stopped) }
        switch disk.fate(durably) {
        case .done: break
        case .death(let reachesDisk):
            self.isBroken = true
            if reachesDisk { self.add(batch) }
            throw self.failure(.inputOutput)
        case .full:
            self.isBroken = true
            throw self.failure(.diskFull)
        }
        self.add(batch)
        guard durably else { return }
        if !disk.forgetsSync { self.sync() }
        if self === disk.consensus { disk.wroteConsensus(batch, !disk.forgetsSync) }
    }

    private func add(_ batch: WriteBatch) {
        if self.disk?.forgetsLoss == true, batch.changes.map(\.key) == [Data("f".utf8)] { return }
        self.live.write(batch, durably: false)
        self.unsynced.append(batch)
    }

    /// Returns what was not durable before.
    @discardableResult
    fileprivate func sync() -> [WriteBatch] {
        for batch in self.unsynced { self.durable.write(batch, durably: true) }
        defer { self.unsynced = [] }
        return self.unsynced
    }

    fileprivate func lose() {
        self.live = MemoryStore()
        self.durable = MemoryStore()
        self.unsynced = []
    }

    fileprivate func losePower(_ dice: inout Dice) -> Int {
        let kept = dice.between(0, self.unsynced.count)
        let lost = self.unsynced.count - kept
        self.unsynced.removeSubrange(kept...)
        for batch in self.sync() where self === self.disk?.consensus {
            self.disk?.wroteConsensus(batch, true)
        }
        if lost > 0 {
            self.live = MemoryStore()
            var all = WriteBatch()
            let cursor = self.durable.makeCursor()
            do {
                try cursor.seekToFirst()
                while cursor.isValid {
                    all.set(cursor.value, forKey: cursor.key)
                    try cursor.next()
                }
            } catch {
                // Memory is always readable; were it not, the node would find its store damaged.
                all = WriteBatch()
            }
            self.live.write(all, durably: false)
        }
        return lost
    }

    private func failure(_ code: KeyValueStoreError.Code) -> KeyValueStoreError {
        KeyValueStoreError(
            code: code,
            folder: "/simulated/\(self.name)",
            operation: "write",
            reason: "simulated"
        )
    }

    func reopen() { self.isBroken = false }
    func value(forKey key: Data) -> Data? { self.live.value(forKey: key) }
    func makeCursor() -> any KeyValueCursor { self.live.makeCursor() }
    func snapshot() -> any KeyValueReader { self.live.snapshot() }
    func approximateSize(from start: Data, to end: Data) -> UInt64 {
        self.live.approximateSize(from: start, to: end)
    }
    func compact(from start: Data?, to end: Data?) {}
}
