import Foundation
import KeyValueStore
import Synchronization

/// A disk in memory with faults: writes that fail, and a loss of power that takes what was not yet durable.
final class FaultyDisk: Sendable {
    /// What a write does.
    enum Fault: Sendable {
        /// Fails, and nothing reaches the disk.
        case before
        /// Fails although it reached the disk.
        case after
    }

    private struct State {
        /// What a process sees.
        var live: [String: MemoryStore] = [:]
        /// What survives a loss of power: the changes of each store up to its last durable write.
        var durable: [String: [WriteBatch]] = [:]
        var pending: [String: [WriteBatch]] = [:]
        var writes = 0
        var fault: (write: Int, kind: Fault)?
        var isBroken = false
    }

    private let state = Mutex(State())

    /// How many writes there have been.
    var writes: Int { self.state.withLock { $0.writes } }

    /// Lets the write with this number, counted from 1, fail; the store then refuses all others, as LevelDB does.
    func fail(atWrite number: Int, _ kind: Fault) {
        self.state.withLock { $0.fault = (number, kind) }
    }

    /// Lets every write fail until ``repair()``, as a full disk.
    func breakDown() { self.state.withLock { $0.isBroken = true } }

    func repair() {
        self.state.withLock { state in
            state.isBroken = false
            state.fault = nil
        }
    }

    /// Takes a store away with all that was in it.
    func lose(_ name: String) {
        self.state.withLock { state in
            state.live[name] = nil
            state.durable[name] = nil
            state.pending[name] = nil
        }
    }

    /// Takes away what was not durable; a process that ends loses nothing.
    func losePower() {
        self.state.withLock { state in
            for (name, batches) in state.durable {
                let store = MemoryStore()
                for batch in batches { store.write(batch, durably: true) }
                state.live[name] = store
            }
            for name in state.pending.keys where state.durable[name] == nil {
                state.live[name] = MemoryStore()
            }
            state.pending = [:]
        }
    }

    /// What of the store with this name would survive a loss of power now.
    func durable(_ name: String) -> MemoryStore {
        let store = MemoryStore()
        for batch in self.state.withLock({ $0.durable[name] ?? [] }) { store.write(batch, durably: true) }
        return store
    }

    /// Opens the store with this name.
    func open(_ name: String) -> FaultyStore {
        let store = self.state.withLock { state in
            let store = state.live[name] ?? MemoryStore()
            state.live[name] = store
            return store
        }
        return FaultyStore(name: name, disk: self, store: store)
    }

    fileprivate func write(_ batch: WriteBatch, durably: Bool, to name: String, _ store: MemoryStore) -> Bool
    {
        self.state.withLock { state in
            state.writes += 1
            if state.isBroken { return false }
            let fault = state.fault.flatMap { $0.write == state.writes ? $0.kind : nil }
            if fault == .before { return false }
            store.write(batch, durably: durably)
            state.pending[name, default: []].append(batch)
            if durably {
                state.durable[name, default: []] += state.pending[name] ?? []
                state.pending[name] = []
            }
            return fault == nil
        }
    }
}

/// One store of a ``FaultyDisk``, open.
final class FaultyStore: KeyValueStore {
    private let name: String
    private let disk: FaultyDisk
    private let store: MemoryStore
    private let isStopped = Mutex(false)

    fileprivate init(name: String, disk: FaultyDisk, store: MemoryStore) {
        self.name = name
        self.disk = disk
        self.store = store
    }

    func write(_ batch: WriteBatch, durably: Bool) throws(KeyValueStoreError) {
        let isWritten =
            !self.isStopped.withLock { $0 }
            && self.disk.write(batch, durably: durably, to: self.name, self.store)
        guard isWritten else {
            self.isStopped.withLock { $0 = true }
            throw KeyValueStoreError(
                code: .diskFull,
                folder: "/disk/\(self.name)",
                operation: "write",
                reason: "No space left on device"
            )
        }
    }

    func reopen() { self.isStopped.withLock { $0 = false } }
    func value(forKey key: Data) -> Data? { self.store.value(forKey: key) }
    func makeCursor() -> any KeyValueCursor { self.store.makeCursor() }
    func snapshot() -> any KeyValueReader { self.store.snapshot() }
    func approximateSize(from start: Data, to end: Data) -> UInt64 {
        self.store.approximateSize(from: start, to: end)
    }
    func compact(from start: Data?, to end: Data?) {}
}
