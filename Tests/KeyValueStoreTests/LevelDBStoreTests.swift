import Foundation
import Synchronization
import Testing

@testable import KeyValueStore

/// What concerns the disk: persistence, locks, damage.
@Suite struct LevelDBStoreTests {
    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    /// Writes 2,000 keys of 100 bytes, one batch each; as tables or, if few enough, in the journal.
    private func fill(_ name: String, count: Int = 2000, compacting: Bool) throws {
        let store = try LevelDBStore(folder: self.folder(name))
        for index in 0..<count {
            var batch = WriteBatch()
            batch.set(Data(repeating: UInt8(index % 251), count: 100), forKey: bytes("key \(10000 + index)"))
            try store.write(batch, durably: index == count - 1)
        }
        if compacting { store.compact(from: nil, to: nil) }
    }

    private func flipByte(in name: String, fileSuffix: String, at fraction: Double) throws -> String {
        let files = try FileManager.default.contentsOfDirectory(atPath: self.folder(name))
        let sized = files.filter { $0.hasSuffix(fileSuffix) }.map { file in
            (file, (try? Data(contentsOf: URL(fileURLWithPath: self.folder("\(name)/\(file)"))))?.count ?? 0)
        }
        let file = try #require(sized.max { $0.1 < $1.1 }?.0)
        let url = URL(fileURLWithPath: self.folder("\(name)/\(file)"))
        var contents = try Data(contentsOf: url)
        contents[Int(Double(contents.count) * fraction)] ^= 0x10
        try contents.write(to: url)
        return file
    }

    @Test func survivesReopening() throws {
        try self.fill("db", compacting: false)
        let store = try LevelDBStore(folder: self.folder("db"))
        #expect(try store.value(forKey: bytes("key 11999")) == Data(repeating: UInt8(1999 % 251), count: 100))
        #expect(LevelDBFiles.damage(in: self.folder("db")).isEmpty)
    }

    /// A journal that can't be opened shows that a durable write asks for all of them, if anything was not synced.
    @Test func aDurableWriteSyncsTheJournalsOfUnsyncedOnes() throws {
        let store = try LevelDBStore(folder: self.folder("db"))
        let loop = self.folder("db/loop.log")
        try FileManager.default.createSymbolicLink(atPath: loop, withDestinationPath: loop)
        var batch = WriteBatch()
        batch.set(bytes("1"), forKey: bytes("a"))
        try store.write(batch, durably: true)
        try store.write(batch, durably: false)
        let error = #expect(throws: KeyValueStoreError.self) { try store.write(WriteBatch(), durably: true) }
        #expect(error?.operation == "sync")
        try FileManager.default.removeItem(atPath: loop)
        try store.reopen()
        try store.write(batch, durably: false)
        try store.write(WriteBatch(), durably: true)
        #expect(try store.value(forKey: bytes("a")) == bytes("1"))
    }

    @Test func destroyRemovesEverything() throws {
        try self.fill("db", count: 10, compacting: false)
        try LevelDBStore.destroy(folder: self.folder("db"))
        let store = try LevelDBStore(folder: self.folder("db"))
        #expect(try store.value(forKey: bytes("key 10001")) == nil)
    }

    @Test func refusesAFolderInUse() throws {
        let first = try LevelDBStore(folder: self.folder("db"))
        let error = #expect(throws: KeyValueStoreError.self) { try LevelDBStore(folder: self.folder("db")) }
        #expect(error?.code == .locked)
        #expect(error?.description.contains(self.folder("db")) == true)
        #expect(error?.description.contains("stop that node") == true)
        #expect(try first.value(forKey: bytes("a")) == nil)
    }

    @Test func staysOpenWhileASnapshotOrCursorLives() throws {
        var store: LevelDBStore? = try LevelDBStore(folder: self.folder("db"))
        var batch = WriteBatch()
        batch.set(bytes("1"), forKey: bytes("a"))
        try store?.write(batch, durably: false)
        var snapshot = store?.snapshot()
        let cursor = snapshot?.makeCursor()
        store = nil
        #expect(try snapshot?.value(forKey: bytes("a")) == bytes("1"))
        snapshot = nil
        try cursor?.seekToFirst()
        #expect(cursor?.key == bytes("a"))
    }

    @Test func namesTheFolderThatCanNotBeMade() throws {
        try bytes("a file").write(to: URL(fileURLWithPath: self.folder("file")))
        let error = #expect(throws: KeyValueStoreError.self) {
            try LevelDBStore(folder: self.folder("file/db"))
        }
        #expect(error?.description.contains(self.folder("file/db")) == true)
    }

    @Test func refusesToMakeADatabaseWhenToldSo() throws {
        var options = LevelDBOptions()
        options.createsIfMissing = false
        #expect(throws: KeyValueStoreError.self) {
            try LevelDBStore(folder: self.folder("db"), options: options)
        }
    }

    @Test(arguments: [0.1, 0.3, 0.5]) func namesADamagedTable(_ fraction: Double) throws {
        try self.fill("db", compacting: true)
        let file = try self.flipByte(in: "db", fileSuffix: ".ldb", at: fraction)
        let damage = LevelDBFiles.damage(in: self.folder("db"))
        #expect(damage.map(\.file) == [file])

        let store = try LevelDBStore(folder: self.folder("db"))
        let error = #expect(throws: KeyValueStoreError.self) {
            try store.forEach(from: Data(), to: nil) { _, _ in true }
        }
        #expect(error?.code == .damaged)
        var firstUnreadable: String?
        for index in 0..<2000 where firstUnreadable == nil {
            let key = "key \(10000 + index)"
            do { _ = try store.value(forKey: bytes(key)) } catch { firstUnreadable = key }
        }
        let unreadable = try #require(firstUnreadable)
        // The key before the damage, as the file tells it, is a bound for the first unreadable key.
        if let before = damage[0].keyBefore { #expect(before.precedes(bytes(unreadable))) }
    }

    @Test(arguments: [0.1, 0.5, 0.9]) func namesADamagedJournal(_ fraction: Double) throws {
        try self.fill("db", compacting: false)
        let file = try self.flipByte(in: "db", fileSuffix: ".log", at: fraction)
        let error = #expect(throws: KeyValueStoreError.self) { try LevelDBStore(folder: self.folder("db")) }
        #expect(error?.code == .damaged)
        #expect(error?.description.contains(file) == true)
        let damage = try #require(LevelDBFiles.damage(in: self.folder("db")).first)
        let before = try #require(damage.keyBefore)
        let number = try #require(Int(text(before).dropFirst(4)))
        #expect(abs(number - 10000 - Int(2000 * fraction)) < 10)
    }

    @Test func acceptsAJournalCutShortByACrash() throws {
        try self.fill("db", compacting: false)
        let file = try #require(
            try FileManager.default.contentsOfDirectory(atPath: self.folder("db")).first {
                $0.hasSuffix(".log")
            }
        )
        let url = URL(fileURLWithPath: self.folder("db/\(file)"))
        let contents = try Data(contentsOf: url)
        try contents.dropLast(30).write(to: url)
        #expect(LevelDBFiles.damage(in: self.folder("db")).isEmpty)
        let store = try LevelDBStore(folder: self.folder("db"))
        #expect(try store.value(forKey: bytes("key 11998")) != nil)
        #expect(try store.value(forKey: bytes("key 11999")) == nil)
    }

    @Test func opensAgainWithAllThatWasWritten() throws {
        let store = try LevelDBStore(folder: self.folder("db"))
        var batch = WriteBatch()
        batch.set(bytes("before"), forKey: bytes("key"))
        try store.write(batch, durably: false)
        try store.reopen()
        #expect(try store.value(forKey: bytes("key")) == bytes("before"))
        try store.write(batch, durably: true)
        #expect(!FileManager.default.fileExists(atPath: self.folder("db/space-check")))
    }

    @Test func waitsForReadersBeforeItOpensAgain() throws {
        let store = try LevelDBStore(folder: self.folder("db"))
        var batch = WriteBatch()
        batch.set(bytes("before"), forKey: bytes("key"))
        try store.write(batch, durably: false)
        let reader = Mutex<(any KeyValueReader)?>(store.snapshot())
        let thread = Thread {
            Thread.sleep(forTimeInterval: 0.05)
            reader.withLock { $0 = nil }
        }
        thread.start()
        try store.reopen()
        #expect(try store.value(forKey: bytes("key")) == bytes("before"))
    }

    @Test func aFolderThatIsGoneIsNamedAndReadingGoesOn() throws {
        let store = try LevelDBStore(folder: self.folder("db"))
        var batch = WriteBatch()
        batch.set(bytes("before"), forKey: bytes("key"))
        try store.write(batch, durably: false)
        try FileManager.default.moveItem(atPath: self.folder("db"), toPath: self.folder("moved"))
        let error = #expect(throws: KeyValueStoreError.self) { try store.reopen() }
        #expect(error?.description.contains(self.folder("db")) == true)
        #expect(try store.value(forKey: bytes("key")) == bytes("before"))
        try FileManager.default.moveItem(atPath: self.folder("moved"), toPath: self.folder("db"))
        try store.reopen()
        #expect(try store.value(forKey: bytes("key")) == bytes("before"))
    }

    @Test func readsCompressedTables() throws {
        let store = try LevelDBStore(folder: self.folder("db"))
        var batch = WriteBatch()
        for index in 0..<20_000 {
            batch.set(Data(repeating: 7, count: 50), forKey: bytes("key \(100_000 + index)"))
        }
        try store.write(batch, durably: false)
        store.compact(from: nil, to: nil)
        #expect(LevelDBFiles.damage(in: self.folder("db")).isEmpty)
    }

    @Test(arguments: [
        ("IO error: /x/000003.log: No space left on device", KeyValueStoreError.Code.diskFull),
        ("IO error: /x/LOCK: Read-only file system", .notWritable),
        ("IO error: /x/LOCK: Permission denied", .notWritable),
        ("IO error: lock /x/LOCK: Resource temporarily unavailable", .locked),
        ("Corruption: checksum mismatch", .damaged),
        ("IO error: /x/000003.log: Input/output error", .inputOutput),
    ])
    func classifiesWhatTheSystemSays(_ reason: String, _ code: KeyValueStoreError.Code) {
        let error = KeyValueStoreError(folder: "/x", operation: "open", reason: reason)
        #expect(error.code == code)
        #expect(error.description.contains("/x"))
    }

    @Test func checksumIsCRC32C() {
        // RFC 3720, B.4: 32 bytes of zeros.
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    }

    @Test(
        arguments: [
            [], [0xff], [5, 0], [5, 0xf0], [4, 1, 0], [2, 6, 0, 1], [0xff, 0xff, 0xff, 0xff, 0x7f],
        ] as [[UInt8]]
    )
    func refusesMalformedCompression(_ compressed: [UInt8]) {
        #expect(Snappy.decompress(compressed[...]) == nil)
    }
}
