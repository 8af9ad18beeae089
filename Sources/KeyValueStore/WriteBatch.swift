package import Foundation

/// A list of changes that ``KeyValueStore/write(_:durably:)`` applies together or not at all.
package struct WriteBatch: Sendable {
    /// One change: a new value for a key, or `nil` to remove the key.
    package struct Change: Sendable {
        package var key: Data
        package var value: Data?
    }

    /// The changes, in the order in which they take effect.
    package private(set) var changes: [Change] = []

    package init() {}

    package var isEmpty: Bool { self.changes.isEmpty }

    /// Bytes of all keys and values.
    package var byteCount: Int {
        self.changes.reduce(0) { $0 &+ $1.key.count &+ ($1.value?.count ?? 0) }
    }

    package mutating func reserveCapacity(_ changes: Int) {
        self.changes.reserveCapacity(changes)
    }

    package mutating func set(_ value: Data, forKey key: Data) {
        self.changes.append(Change(key: key, value: value))
    }

    package mutating func removeValue(forKey key: Data) {
        self.changes.append(Change(key: key, value: nil))
    }

    /// Adds the changes of `batch`, which take effect after those that are here.
    package mutating func append(_ batch: WriteBatch) {
        self.changes.append(contentsOf: batch.changes)
    }
}
