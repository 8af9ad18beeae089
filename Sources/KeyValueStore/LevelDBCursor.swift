internal import CLevelDB
internal import Foundation

/// A LevelDB store as it was when the snapshot was taken.
final class LevelDBSnapshot: KeyValueReader, @unchecked Sendable {
    // Why `@unchecked`: the pointers never change after `init`, and LevelDB allows reading through one snapshot from
    // many threads.
    private let handle: LevelDBHandle
    private let snapshot: OpaquePointer
    fileprivate let readOptions: OpaquePointer

    init(_ handle: LevelDBHandle) {
        self.handle = handle
        self.snapshot = leveldb_create_snapshot(handle.database)
        self.readOptions = leveldb_readoptions_create()
        leveldb_readoptions_set_verify_checksums(self.readOptions, 1)
        leveldb_readoptions_set_snapshot(self.readOptions, self.snapshot)
    }

    deinit {
        leveldb_readoptions_destroy(self.readOptions)
        leveldb_release_snapshot(self.handle.database, self.snapshot)
    }

    func value(forKey key: Data) throws(KeyValueStoreError) -> Data? {
        try self.handle.value(forKey: key, options: self.readOptions)
    }

    func makeCursor() -> any KeyValueCursor {
        LevelDBCursor(handle: self.handle, view: self)
    }
}

/// A LevelDB iterator.
///
/// LevelDB steps over a block that it can't read and only remembers the error, so the error is asked for after every
/// step: a scan never misses keys in silence.
final class LevelDBCursor: KeyValueCursor {
    private let handle: LevelDBHandle
    /// Kept alive as long as the iterator reads through it.
    private let view: LevelDBSnapshot?
    private let iterator: OpaquePointer

    init(handle: LevelDBHandle, view: LevelDBSnapshot?) {
        self.handle = handle
        self.view = view
        self.iterator = leveldb_create_iterator(handle.database, view?.readOptions ?? handle.readOptions)
    }

    deinit { leveldb_iter_destroy(self.iterator) }

    var isValid: Bool { leveldb_iter_valid(self.iterator) != 0 }

    var key: Data {
        guard self.isValid else { return Data() }
        var count = 0
        guard let bytes = leveldb_iter_key(self.iterator, &count) else { return Data() }
        return Data(bytes: bytes, count: count)
    }

    var value: Data {
        guard self.isValid else { return Data() }
        var count = 0
        guard let bytes = leveldb_iter_value(self.iterator, &count) else { return Data() }
        return Data(bytes: bytes, count: count)
    }

    func seek(to key: Data) throws(KeyValueStoreError) {
        key.withCBytes { leveldb_iter_seek(self.iterator, $0, $1) }
        try self.check()
    }

    func seekToFirst() throws(KeyValueStoreError) {
        leveldb_iter_seek_to_first(self.iterator)
        try self.check()
    }

    func seekToLast() throws(KeyValueStoreError) {
        leveldb_iter_seek_to_last(self.iterator)
        try self.check()
    }

    func next() throws(KeyValueStoreError) {
        guard self.isValid else { return }
        leveldb_iter_next(self.iterator)
        try self.check()
    }

    func previous() throws(KeyValueStoreError) {
        guard self.isValid else { return }
        leveldb_iter_prev(self.iterator)
        try self.check()
    }

    private func check() throws(KeyValueStoreError) {
        try reportingErrors("read", self.handle.folder) { leveldb_iter_get_error(self.iterator, $0) }
    }
}
