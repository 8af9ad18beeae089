internal import CLevelDB
package import Foundation
internal import Glibc
internal import Synchronization

/// An ordered byte map in a folder, kept by LevelDB with every checksum verified.
///
/// One instance owns one `leveldb_t *`; the database closes when the store, its snapshots and its cursors are
/// released. A folder that is open already, here or in another process, fails with ``KeyValueStoreError/Code/locked``.
///
/// - Source: `leveldb/c.h`, conventions 3 (`errptr`) and 5 (no null pointers).
package final class LevelDBStore: KeyValueStore {
    private struct State {
        /// The open database; `nil` after ``reopen()`` has failed.
        var handle: LevelDBHandle?
        /// Why nothing is written, or, without a handle, why nothing is read either.
        var failure: String?
        /// Something was written that no durable write has followed.
        var hasUnsynced = false
    }

    /// The folder of the database.
    package let folder: String
    private let options: LevelDBOptions
    private let state: Mutex<State>

    /// Opens the database in `folder`, making it if it is missing.
    package init(folder: String, options: LevelDBOptions = LevelDBOptions()) throws(KeyValueStoreError) {
        self.folder = folder
        self.options = options
        self.state = Mutex(State(handle: try LevelDBHandle(folder: folder, options: options)))
    }

    /// Removes the database in `folder`, which must not be open, with all that it holds.
    package static func destroy(folder: String) throws(KeyValueStoreError) {
        let options = leveldb_options_create()
        defer { leveldb_options_destroy(options) }
        try reportingErrors("remove", folder) { leveldb_destroy_db(options, folder, $0) }
    }

    package func value(forKey key: Data) throws(KeyValueStoreError) -> Data? {
        let handle = try self.open("read").get()
        return try handle.value(forKey: key, options: handle.readOptions)
    }

    package func makeCursor() -> any KeyValueCursor {
        switch self.open("read") {
        case .success(let handle): LevelDBCursor(handle: handle, view: nil)
        case .failure(let error): ClosedCursor(error)
        }
    }

    package func snapshot() -> any KeyValueReader {
        switch self.open("read") {
        case .success(let handle): LevelDBSnapshot(handle)
        case .failure(let error): ClosedReader(error: error)
        }
    }

    package func write(_ batch: WriteBatch, durably: Bool) throws(KeyValueStoreError) {
        let (handle, failure, syncsJournals) = self.state.withLock { state in
            defer { if durably { state.hasUnsynced = false } }
            return (state.handle, state.failure, durably && state.hasUnsynced)
        }
        guard let handle, failure == nil else { throw self.stopped("write", failure) }
        do {
            if syncsJournals { try self.syncJournals() }
            try handle.write(batch, durably: durably)
        } catch {
            self.state.withLock { $0.failure = $0.failure ?? error.reason }
            throw error
        }
        if !durably { self.state.withLock { $0.hasUnsynced = true } }
    }

    /// Makes what was written without sync durable.
    ///
    /// LevelDB syncs the journal that it writes to. The one before it, which is full and about to become a table, it
    /// closes without sync: were the power lost in that moment, the journal's last changes would be missing, though
    /// later ones are there.
    private func syncJournals() throws(KeyValueStoreError) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: self.folder)) ?? []
        for name in names where name.hasSuffix(".log") {
            let file = Glibc.open("\(self.folder)/\(name)", O_RDONLY | O_CLOEXEC)
            if file < 0, errno == ENOENT { continue }  // It has become a table.
            guard file >= 0 else { throw self.systemError("sync", errno) }
            defer { close(file) }
            guard fsync(file) == 0 else { throw self.systemError("sync", errno) }
        }
    }

    package func approximateSize(from start: Data, to end: Data) -> UInt64 {
        (try? self.open("read").get())?.approximateSize(from: start, to: end) ?? 0
    }

    package func compact(from start: Data?, to end: Data?) {
        (try? self.open("compact").get())?.compact(from: start, to: end)
    }

    /// The open database, or the error for `operation` if there is none.
    private func open(_ operation: String) -> Result<LevelDBHandle, KeyValueStoreError> {
        let (handle, failure) = self.state.withLock { ($0.handle, $0.failure) }
        return handle.map { .success($0) } ?? .failure(self.stopped(operation, failure))
    }

    private func stopped(_ operation: String, _ failure: String?) -> KeyValueStoreError {
        KeyValueStoreError(
            code: .stopped,
            folder: self.folder,
            operation: operation,
            reason: "an earlier write failed (\(failure ?? "no reason"))"
        )
    }
}

// MARK: - Opening again

extension LevelDBStore {
    /// How long ``reopen()`` waits for readers of before to let go of the database.
    private static let patience: Duration = .seconds(5)

    /// Opens the database again, once the disk takes as much as that may write.
    ///
    /// As long as it doesn't, the database stays open for reading.
    package func reopen() throws(KeyValueStoreError) {
        try self.checkSpace()
        weak let before = self.state.withLock { state in
            defer { state.handle = nil }
            return state.handle
        }
        let deadline = ContinuousClock.now + Self.patience
        while true {
            do {
                let handle = try LevelDBHandle(folder: self.folder, options: self.options)
                self.state.withLock { $0 = State(handle: handle) }
                return
            } catch {
                guard error.code == .locked, ContinuousClock.now < deadline else {
                    // A reader that has not let go keeps the database open: others may go on reading, too.
                    self.state.withLock { state in
                        state.handle = before
                        state.failure = error.reason
                    }
                    throw error
                }
                usleep(10_000)
            }
        }
    }

    /// Checks that the folder can be written to and has room for what opening writes: the contents of the journals,
    /// which become a table, and a little more.
    ///
    /// To find out by opening would cost the readers the database.
    private func checkSpace() throws(KeyValueStoreError) {
        let path = "\(self.folder)/space-check"
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw self.systemError("write", errno) }
        defer {
            close(file)
            unlink(path)
        }
        var byte: UInt8 = 0
        let error = posix_fallocate(file, 0, off_t(self.journalBytes + (1 << 20)))
        guard error == 0 else { throw self.systemError("write", error) }
        guard Glibc.write(file, &byte, 1) == 1, fsync(file) == 0 else {
            throw self.systemError("write", errno)
        }
    }

    private var journalBytes: Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: self.folder)) ?? []
        return names.filter { $0.hasSuffix(".log") }.reduce(0) { sum, name in
            let attributes = try? FileManager.default.attributesOfItem(atPath: "\(self.folder)/\(name)")
            return sum + (attributes?[.size] as? Int ?? 0)
        }
    }

    private func systemError(_ operation: String, _ number: Int32) -> KeyValueStoreError {
        KeyValueStoreError(
            folder: self.folder,
            operation: operation,
            reason: "IO error: \(String(cString: strerror(number)))"
        )
    }
}

/// Stands for a database that is not open: every read throws.
private struct ClosedReader: KeyValueReader {
    let error: KeyValueStoreError

    func value(forKey key: Data) throws(KeyValueStoreError) -> Data? { throw self.error }
    func makeCursor() -> any KeyValueCursor { ClosedCursor(self.error) }
}

private final class ClosedCursor: KeyValueCursor {
    private let error: KeyValueStoreError

    init(_ error: KeyValueStoreError) { self.error = error }

    var isValid: Bool { false }
    var key: Data { Data() }
    var value: Data { Data() }

    func seek(to key: Data) throws(KeyValueStoreError) { throw self.error }
    func seekToFirst() throws(KeyValueStoreError) { throw self.error }
    func seekToLast() throws(KeyValueStoreError) { throw self.error }
    func next() throws(KeyValueStoreError) { throw self.error }
    func previous() throws(KeyValueStoreError) { throw self.error }
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
