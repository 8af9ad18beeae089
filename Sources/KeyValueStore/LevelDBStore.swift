internal import CLevelDB
package import Foundation
internal import Synchronization

/// An ordered byte map in a folder, kept by LevelDB with every checksum verified.
///
/// One instance owns one `leveldb_t *`; the database closes when the store, its snapshots and its cursors are
/// released. A folder that is open already, here or in another process, fails with ``KeyValueStoreError/Code/locked``.
///
/// - Source: `leveldb/c.h`, conventions 3 (`errptr`) and 5 (no null pointers).
package final class LevelDBStore: KeyValueStore {
    private let handle: LevelDBHandle
    /// The reason of the first failed write.
    private let failure = Mutex<String?>(nil)

    /// The folder of the database.
    package var folder: String { self.handle.folder }

    /// Opens the database in `folder`, making it if it is missing.
    package init(folder: String, options: LevelDBOptions = LevelDBOptions()) throws(KeyValueStoreError) {
        self.handle = try LevelDBHandle(folder: folder, options: options)
    }

    /// Removes the database in `folder`, which must not be open, with all that it holds.
    package static func destroy(folder: String) throws(KeyValueStoreError) {
        let options = leveldb_options_create()
        defer { leveldb_options_destroy(options) }
        try reportingErrors("remove", folder) { leveldb_destroy_db(options, folder, $0) }
    }

    package func value(forKey key: Data) throws(KeyValueStoreError) -> Data? {
        try self.handle.value(forKey: key, options: self.handle.readOptions)
    }

    package func makeCursor() -> any KeyValueCursor {
        LevelDBCursor(handle: self.handle, view: nil)
    }

    package func snapshot() -> any KeyValueReader {
        LevelDBSnapshot(self.handle)
    }

    package func write(_ batch: WriteBatch, durably: Bool) throws(KeyValueStoreError) {
        if let reason = self.failure.withLock({ $0 }) {
            throw KeyValueStoreError(
                code: .stopped,
                folder: self.folder,
                operation: "write",
                reason: "an earlier write failed (\(reason))"
            )
        }
        do {
            try self.handle.write(batch, durably: durably)
        } catch {
            self.failure.withLock { $0 = $0 ?? error.reason }
            throw error
        }
    }

    package func approximateSize(from start: Data, to end: Data) -> UInt64 {
        self.handle.approximateSize(from: start, to: end)
    }

    package func compact(from start: Data?, to end: Data?) {
        self.handle.compact(from: start, to: end)
    }
}

/// The C objects of one open database.
final class LevelDBHandle: @unchecked Sendable {
    // Why `@unchecked`: the pointers never change after `init`, and `leveldb/db.h` promises that one `leveldb_t` may
    // be used from many threads without external locking.
    let folder: String
    let database: OpaquePointer
    let readOptions: OpaquePointer
    private let cache: OpaquePointer
    private let filter: OpaquePointer?
    private let durableWrite: OpaquePointer
    private let quickWrite: OpaquePointer

    init(folder: String, options: LevelDBOptions) throws(KeyValueStoreError) {
        do {
            if options.createsIfMissing {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            }
        } catch {
            throw KeyValueStoreError(
                folder: folder,
                operation: "make a folder for",
                reason: "IO error: \((error as? CocoaError)?.underlying?.localizedDescription ?? "\(error)")"
            )
        }
        let settings: OpaquePointer = leveldb_options_create()
        let cache: OpaquePointer = leveldb_cache_create_lru(options.cacheBytes)
        let filter: OpaquePointer? =
            options.filterBitsPerKey > 0
            ? leveldb_filterpolicy_create_bloom(Int32(clamping: options.filterBitsPerKey)) : nil
        defer { leveldb_options_destroy(settings) }
        leveldb_options_set_create_if_missing(settings, options.createsIfMissing ? 1 : 0)
        leveldb_options_set_paranoid_checks(settings, 1)
        leveldb_options_set_write_buffer_size(settings, options.writeBufferBytes)
        leveldb_options_set_block_size(settings, options.blockBytes)
        leveldb_options_set_max_file_size(settings, options.fileBytes)
        leveldb_options_set_max_open_files(settings, Int32(clamping: options.openFiles))
        leveldb_options_set_compression(
            settings,
            Int32(options.compresses ? leveldb_snappy_compression : leveldb_no_compression)
        )
        leveldb_options_set_cache(settings, cache)
        if let filter { leveldb_options_set_filter_policy(settings, filter) }
        do throws(KeyValueStoreError) {
            let database = try reportingErrors("open", folder) { leveldb_open(settings, folder, $0) }
            guard let database else {
                throw KeyValueStoreError(
                    folder: folder,
                    operation: "open",
                    reason: "no database and no reason"
                )
            }
            self.database = database
        } catch {
            leveldb_cache_destroy(cache)
            if let filter { leveldb_filterpolicy_destroy(filter) }
            var error = error
            if error.code == .damaged {
                error.damagedFiles = LevelDBFiles.damage(in: folder, logsOnly: true).map(\.description)
            }
            throw error
        }
        self.folder = folder
        self.cache = cache
        self.filter = filter
        self.readOptions = leveldb_readoptions_create()
        leveldb_readoptions_set_verify_checksums(self.readOptions, 1)
        self.durableWrite = leveldb_writeoptions_create()
        leveldb_writeoptions_set_sync(self.durableWrite, 1)
        self.quickWrite = leveldb_writeoptions_create()
        leveldb_writeoptions_set_sync(self.quickWrite, 0)
    }

    deinit {
        leveldb_close(self.database)
        leveldb_writeoptions_destroy(self.quickWrite)
        leveldb_writeoptions_destroy(self.durableWrite)
        leveldb_readoptions_destroy(self.readOptions)
        leveldb_cache_destroy(self.cache)
        if let filter = self.filter { leveldb_filterpolicy_destroy(filter) }
    }

    func value(forKey key: Data, options: OpaquePointer) throws(KeyValueStoreError) -> Data? {
        var count = 0
        let bytes = try reportingErrors("read", self.folder) { errptr in
            key.withCBytes { leveldb_get(self.database, options, $0, $1, &count, errptr) }
        }
        guard let bytes else { return nil }
        // Copying a short value costs less than keeping a second allocation alive.
        guard count >= 1024 else {
            defer { leveldb_free(bytes) }
            return Data(bytes: bytes, count: count)
        }
        return Data(bytesNoCopy: bytes, count: count, deallocator: .free)
    }

    func write(_ batch: WriteBatch, durably: Bool) throws(KeyValueStoreError) {
        let changes: OpaquePointer = leveldb_writebatch_create()
        defer { leveldb_writebatch_destroy(changes) }
        for change in batch.changes {
            change.key.withCBytes { key, keyCount in
                guard let value = change.value else {
                    return leveldb_writebatch_delete(changes, key, keyCount)
                }
                value.withCBytes { leveldb_writebatch_put(changes, key, keyCount, $0, $1) }
            }
        }
        try reportingErrors("write", self.folder) {
            leveldb_write(self.database, durably ? self.durableWrite : self.quickWrite, changes, $0)
        }
    }

    func approximateSize(from start: Data, to end: Data) -> UInt64 {
        var size: UInt64 = 0
        start.withCBytes { start, startCount in
            end.withCBytes { end, endCount in
                var startPointer: UnsafePointer<CChar>? = start
                var endPointer: UnsafePointer<CChar>? = end
                var startCount = startCount
                var endCount = endCount
                leveldb_approximate_sizes(
                    self.database,
                    1,
                    &startPointer,
                    &startCount,
                    &endPointer,
                    &endCount,
                    &size
                )
            }
        }
        return size
    }

    func compact(from start: Data?, to end: Data?) {
        // Here LevelDB takes a null pointer as "no bound".
        func withBound(_ bound: Data?, _ body: (UnsafePointer<CChar>?, Int) -> Void) {
            guard let bound else { return body(nil, 0) }
            bound.withCBytes { body($0, $1) }
        }
        withBound(start) { start, startCount in
            withBound(end) { leveldb_compact_range(self.database, start, startCount, $0, $1) }
        }
    }
}

extension CocoaError {
    fileprivate var underlying: (any Error)? {
        self.userInfo[NSUnderlyingErrorKey] as? any Error
    }
}

/// Runs one LevelDB call and turns its `char **errptr` into a thrown error.
@discardableResult
func reportingErrors<Value>(
    _ operation: String,
    _ folder: String,
    _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Value
) throws(KeyValueStoreError) -> Value {
    var message: UnsafeMutablePointer<CChar>?
    let value = call(&message)
    guard let message else { return value }
    defer { leveldb_free(message) }
    throw KeyValueStoreError(folder: folder, operation: operation, reason: String(cString: message))
}

extension Data {
    /// Passes the bytes to C as a non-null pointer and a count, also when there are none.
    func withCBytes<Value>(_ body: (UnsafePointer<CChar>, Int) -> Value) -> Value {
        self.withUnsafeBytes { buffer in
            guard let start = buffer.baseAddress else {
                var nothing: CChar = 0
                return body(&nothing, 0)
            }
            return body(start.assumingMemoryBound(to: CChar.self), buffer.count)
        }
    }
}
