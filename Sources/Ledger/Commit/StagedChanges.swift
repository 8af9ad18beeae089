internal import Foundation
internal import KeyValueStore
internal import Synchronization

/// A store with changes on top that are not written yet.
///
/// Blocks that become durable together are judged one after the other, each on the state that the one before it leaves.
/// Unlike a snapshot, it shows each change as soon as it is added.
final class StagedChanges: KeyValueReader {
    /// One key that is changed; without a value it is removed.
    typealias Entry = (key: Data, value: Data?)

    /// The changes by the first byte of the key, which is its kind (``DerivedKey``): only kinds in which ranges are read
    /// have to be sorted.
    private struct State {
        var kinds: [UInt8: [Bytes: Data?]] = [:]
        var sorted: [UInt8: [Entry]] = [:]
    }

    private let base: any KeyValueReader
    private let state = Mutex(State())

    init(over base: any KeyValueReader) {
        self.base = base
    }

    func add(_ batch: WriteBatch) {
        self.state.withLock { state in
            for change in batch.changes {
                let kind = Self.kind(of: change.key)
                state.kinds[kind, default: [:]][Bytes(change.key)] = .some(change.value)
                state.sorted[kind] = nil
            }
        }
    }

    func value(forKey key: Data) throws(KeyValueStoreError) -> Data? {
        let change: Data?? = self.state.withLock { $0.kinds[Self.kind(of: key)]?[Bytes(key)] }
        if let change { return change }
        return try self.base.value(forKey: key)
    }

    func makeCursor() -> any KeyValueCursor {
        StagedCursor(base: self.base.makeCursor(), staged: StagedKeys(self))
    }

    static func kind(of key: Data) -> UInt8 { key.first ?? 0 }

    /// The changes of one kind, in the order of their keys.
    func sorted(_ kind: UInt8) -> [Entry] {
        self.state.withLock { state in
            if let known = state.sorted[kind] { return known }
            let entries = (state.kinds[kind] ?? [:])
                .sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { Entry(key: Data($0.key), value: $0.value) }
            state.sorted[kind] = entries
            return entries
        }
    }

    /// The nearest kind above `kind`, or below it, of which there are changes; `nil` starts from the end.
    func kind(after kind: UInt8?) -> UInt8? {
        self.state.withLock { $0.kinds.keys.filter { key in kind.map { key > $0 } ?? true }.min() }
    }

    func kind(before kind: UInt8?) -> UInt8? {
        self.state.withLock { $0.kinds.keys.filter { key in kind.map { key < $0 } ?? true }.max() }
    }
}

/// A position among staged changes, removals too.
private struct StagedKeys {
    private let changes: StagedChanges
    private var kind: UInt8?
    private var entries: [StagedChanges.Entry] = []
    private var index = 0

    init(_ changes: StagedChanges) {
        self.changes = changes
    }

    var current: StagedChanges.Entry? {
        self.entries.indices.contains(self.index) ? self.entries[self.index] : nil
    }

    mutating func seek(to key: Data) {
        let kind = StagedChanges.kind(of: key)
        self.use(kind)
        var end = self.entries.count
        while self.index < end {
            let middle = self.index + (end - self.index) / 2
            if self.entries[middle].key.precedes(key) { self.index = middle + 1 } else { end = middle }
        }
        if self.current == nil { self.use(self.changes.kind(after: kind)) }
    }

    mutating func seekToFirst() { self.use(self.changes.kind(after: nil)) }

    mutating func seekToLast() { self.useEnd(of: self.changes.kind(before: nil)) }

    mutating func next() {
        guard let kind = self.kind, self.current != nil else { return }
        self.index += 1
        if self.current == nil { self.use(self.changes.kind(after: kind)) }
    }

    mutating func previous() {
        guard let kind = self.kind, self.current != nil else { return }
        self.index -= 1
        if self.current == nil { self.useEnd(of: self.changes.kind(before: kind)) }
    }

    private mutating func use(_ kind: UInt8?) {
        self.kind = kind
        self.entries = kind.map { self.changes.sorted($0) } ?? []
        self.index = 0
    }

    private mutating func useEnd(of kind: UInt8?) {
        self.use(kind)
        self.index = self.entries.count - 1
    }
}

/// A cursor over a store and the staged changes on top of it.
private final class StagedCursor: KeyValueCursor {
    private enum Side { case base, staged }
    private enum Direction { case forward, backward }

    private let base: any KeyValueCursor
    private var staged: StagedKeys
    private var direction = Direction.forward
    /// On which side the current key is.
    private var side: Side?

    init(base: any KeyValueCursor, staged: StagedKeys) {
        self.base = base
        self.staged = staged
    }

    var isValid: Bool { self.side != nil }

    var key: Data {
        switch self.side {
        case .base: self.base.key
        case .staged: self.staged.current?.key ?? Data()
        case nil: Data()
        }
    }

    var value: Data {
        switch self.side {
        case .base: self.base.value
        case .staged: self.staged.current?.value ?? Data()
        case nil: Data()
        }
    }

    func seek(to key: Data) throws(KeyValueStoreError) {
        self.direction = .forward
        try self.base.seek(to: key)
        self.staged.seek(to: key)
        try self.settle()
    }

    func seekToFirst() throws(KeyValueStoreError) {
        self.direction = .forward
        try self.base.seekToFirst()
        self.staged.seekToFirst()
        try self.settle()
    }

    func seekToLast() throws(KeyValueStoreError) {
        self.direction = .backward
        try self.base.seekToLast()
        self.staged.seekToLast()
        try self.settle()
    }

    func next() throws(KeyValueStoreError) {
        guard self.isValid else { return }
        let key = self.key
        if self.direction == .backward {
            self.direction = .forward
            try self.base.seek(to: key)
            self.staged.seek(to: key)
        }
        try self.pass(key)
        try self.settle()
    }

    func previous() throws(KeyValueStoreError) {
        guard self.isValid else { return }
        let key = self.key
        if self.direction == .forward {
            self.direction = .backward
            try self.base.seek(to: key)
            if self.base.isValid { try self.base.previous() } else { try self.base.seekToLast() }
            self.staged.seek(to: key)
            if self.staged.current != nil { self.staged.previous() } else { self.staged.seekToLast() }
        } else {
            try self.pass(key)
        }
        try self.settle()
    }

    /// Moves whichever side stands on `key` past it.
    private func pass(_ key: Data) throws(KeyValueStoreError) {
        if self.base.isValid, self.base.key == key {
            switch self.direction {
            case .forward: try self.base.next()
            case .backward: try self.base.previous()
            }
        }
        if self.staged.current?.key == key {
            switch self.direction {
            case .forward: self.staged.next()
            case .backward: self.staged.previous()
            }
        }
    }

    /// Stands on the nearest key of both sides that is not removed; a staged change hides what is below it.
    private func settle() throws(KeyValueStoreError) {
        while let change = self.staged.current {
            if self.base.isValid {
                let key = self.base.key
                let isBaseFirst =
                    self.direction == .forward ? key.precedes(change.key) : change.key.precedes(key)
                if isBaseFirst {
                    self.side = .base
                    return
                }
            }
            if change.value != nil {
                self.side = .staged
                return
            }
            try self.pass(change.key)
        }
        self.side = self.base.isValid ? .base : nil
    }
}
