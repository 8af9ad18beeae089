package import Foundation

/// An ordered map from bytes to bytes that survives a restart.
///
/// Everything that Weft keeps on disk lives in such a map. ``LevelDBStore`` keeps it in a folder; ``MemoryStore``
/// keeps it in memory, for tests and simulations. Keys are ordered as unsigned bytes, a prefix before its extensions.
///
/// Calls are synchronous and may wait for the disk: callers run them where waiting harms nobody. A store may be used
/// from many threads at once.
package protocol KeyValueStore: KeyValueReader {
    /// Applies every change of `batch`, or none of them.
    ///
    /// Changes to one key take effect in the order in which the batch holds them. With `durably` the call returns
    /// only once the changes would survive a loss of power. Without it they survive the end of the process, and a
    /// later durable write makes them durable too.
    ///
    /// After a failed write the store refuses every further write until it is opened again, since what reached the
    /// disk is not known: see ``reopen()``.
    func write(_ batch: WriteBatch, durably: Bool) throws(KeyValueStoreError)

    /// Returns a view of the store as it is now, which later writes do not change.
    func snapshot() -> any KeyValueReader

    /// Opens the store again after a failed write, so that it takes writes again.
    ///
    /// What the failed write was to change is changed, or isn't, as after a crash; what the caller remembers of the
    /// store must be read again. Snapshots and cursors of before have to be released by then, or soon.
    ///
    /// If this throws, nothing may be written, and perhaps nothing read, until a later call succeeds.
    func reopen() throws(KeyValueStoreError)

    /// Returns roughly how many bytes of disk the keys from `start` up to, not including, `end` take.
    ///
    /// What was written in the last moments may be missing in the figure.
    func approximateSize(from start: Data, to end: Data) -> UInt64

    /// Rewrites the files that hold the keys from `start` up to `end`, so that removed bytes leave the disk.
    ///
    /// `nil` stands for the first key, and for the end of the store.
    func compact(from start: Data?, to end: Data?)
}

/// What a store and a snapshot of a store have in common: reading.
package protocol KeyValueReader: Sendable {
    /// Returns the value stored under `key`, or `nil` if there is none.
    func value(forKey key: Data) throws(KeyValueStoreError) -> Data?

    /// Returns a cursor over the keys, which sees the store as it is at this moment.
    func makeCursor() -> any KeyValueCursor
}

/// A position among the ordered keys of a store.
///
/// A cursor belongs to one task or thread at a time. It starts nowhere: seek first.
package protocol KeyValueCursor: AnyObject {
    /// Whether the cursor stands on a key. Only then may ``key`` and ``value`` be read.
    var isValid: Bool { get }
    /// The key under the cursor; empty if the cursor stands nowhere.
    var key: Data { get }
    /// The value under the cursor; empty if the cursor stands nowhere.
    var value: Data { get }

    /// Moves to the first key that is `key` or comes after it.
    func seek(to key: Data) throws(KeyValueStoreError)
    /// Moves to the first key of the store.
    func seekToFirst() throws(KeyValueStoreError)
    /// Moves to the last key of the store.
    func seekToLast() throws(KeyValueStoreError)
    /// Moves one key forward.
    func next() throws(KeyValueStoreError)
    /// Moves one key back.
    func previous() throws(KeyValueStoreError)
}

extension KeyValueReader {
    /// Calls `body` with each key from `start` up to, not including, `end`, in order, until it returns `false`.
    ///
    /// `end` `nil` stands for the end of the store.
    package func forEach(
        from start: Data,
        to end: Data?,
        _ body: (_ key: Data, _ value: Data) throws -> Bool
    ) throws {
        let cursor = self.makeCursor()
        try cursor.seek(to: start)
        while cursor.isValid {
            let key = cursor.key
            if let end, !key.precedes(end) { return }
            guard try body(key, cursor.value) else { return }
            try cursor.next()
        }
    }

    /// Calls `body` with each key that starts with `prefix`, in order, until it returns `false`.
    package func forEach(
        prefix: Data,
        _ body: (_ key: Data, _ value: Data) throws -> Bool
    ) throws {
        try self.forEach(from: prefix, to: prefix.prefixEnd, body)
    }

    /// Returns the last key before `end` that is `start` or comes after it, with its value.
    package func last(from start: Data, to end: Data) throws(KeyValueStoreError) -> (key: Data, value: Data)?
    {
        let cursor = self.makeCursor()
        try cursor.seek(to: end)
        if cursor.isValid {
            try cursor.previous()
        } else {
            try cursor.seekToLast()
        }
        guard cursor.isValid, !cursor.key.precedes(start) else { return nil }
        return (cursor.key, cursor.value)
    }
}
