package import Foundation
import Synchronization

/// An ordered byte map in memory, for tests and simulations.
///
/// - Complexity: reads O(log *n*); a write O(*n*) in the number of keys if it adds or removes one.
package final class MemoryStore: KeyValueStore {
    private let entries: Mutex<SortedEntries>

    package init() {
        self.entries = Mutex(SortedEntries())
    }

    package func value(forKey key: Data) -> Data? {
        self.entries.withLock { $0.value(forKey: key) }
    }

    package func makeCursor() -> any KeyValueCursor {
        MemoryCursor(self.entries.withLock { $0 })
    }

    package func write(_ batch: WriteBatch, durably: Bool) {
        self.entries.withLock { entries in
            for change in batch.changes { entries.apply(change) }
        }
    }

    package func snapshot() -> any KeyValueReader {
        MemorySnapshot(entries: self.entries.withLock { $0 })
    }

    /// Does nothing: no write to memory fails.
    package func reopen() {}

    package func approximateSize(from start: Data, to end: Data) -> UInt64 {
        let entries = self.entries.withLock { $0 }
        let first = entries.index(of: start).index
        let last = entries.index(of: end).index
        guard first < last else { return 0 }
        return entries.keys[first..<last].indices.reduce(UInt64(0)) {
            $0 &+ UInt64(entries.keys[$1].count &+ entries.values[$1].count)
        }
    }

    package func compact(from start: Data?, to end: Data?) {}
}

/// Keys in order, and the value of each.
private struct SortedEntries: Sendable {
    var keys: [Data] = []
    var values: [Data] = []

    /// Where `key` is, or would be.
    func index(of key: Data) -> (index: Int, found: Bool) {
        var low = 0
        var high = self.keys.count
        while low < high {
            let middle = (low &+ high) / 2
            if self.keys[middle].precedes(key) { low = middle &+ 1 } else { high = middle }
        }
        return (low, low < self.keys.count && self.keys[low] == key)
    }

    func value(forKey key: Data) -> Data? {
        let (index, found) = self.index(of: key)
        return found ? self.values[index] : nil
    }

    mutating func apply(_ change: WriteBatch.Change) {
        let (index, found) = self.index(of: change.key)
        switch (change.value, found) {
        case (let value?, true):
            self.values[index] = value
        case (let value?, false):
            self.keys.insert(change.key, at: index)
            self.values.insert(value, at: index)
        case (nil, true):
            self.keys.remove(at: index)
            self.values.remove(at: index)
        case (nil, false):
            break
        }
    }
}

private struct MemorySnapshot: KeyValueReader {
    let entries: SortedEntries

    func value(forKey key: Data) -> Data? { self.entries.value(forKey: key) }
    func makeCursor() -> any KeyValueCursor { MemoryCursor(self.entries) }
}

private final class MemoryCursor: KeyValueCursor {
    private let entries: SortedEntries
    private var index = -1

    init(_ entries: SortedEntries) { self.entries = entries }

    var isValid: Bool { self.entries.keys.indices.contains(self.index) }
    var key: Data { self.isValid ? self.entries.keys[self.index] : Data() }
    var value: Data { self.isValid ? self.entries.values[self.index] : Data() }

    func seek(to key: Data) { self.index = self.entries.index(of: key).index }
    func seekToFirst() { self.index = 0 }
    func seekToLast() { self.index = self.entries.keys.count &- 1 }
    func next() { if self.isValid { self.index &+= 1 } }
    func previous() { if self.isValid { self.index &-= 1 } }
}
