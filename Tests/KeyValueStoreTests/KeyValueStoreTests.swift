import Foundation
import Testing

@testable import KeyValueStore

/// What every store promises, checked on each kind of store.
@Suite struct KeyValueStoreTests {
    enum Kind: CaseIterable, Sendable { case levelDB, memory }

    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    private func makeStore(_ kind: Kind) throws -> any KeyValueStore {
        switch kind {
        case .levelDB: try LevelDBStore(folder: self.folder("db"))
        case .memory: MemoryStore()
        }
    }

    private func fill(_ store: any KeyValueStore, _ keys: [String]) throws {
        var batch = WriteBatch()
        for key in keys { batch.set(bytes("value of \(key)"), forKey: bytes(key)) }
        try store.write(batch, durably: false)
    }

    private func keys(_ reader: any KeyValueReader, from start: String, to end: String?) throws -> [String] {
        var keys: [String] = []
        try reader.forEach(from: bytes(start), to: end.map(bytes)) { key, value in
            #expect(text(value) == "value of \(text(key))")
            keys.append(text(key))
            return true
        }
        return keys
    }

    @Test(arguments: Kind.allCases) func readsWhatWasWritten(_ kind: Kind) throws {
        let store = try self.makeStore(kind)
        var batch = WriteBatch()
        batch.set(bytes("1"), forKey: bytes("a"))
        batch.set(Data(), forKey: bytes("empty value"))
        batch.set(bytes("empty key"), forKey: Data())
        batch.set(bytes("gone"), forKey: bytes("b"))
        batch.removeValue(forKey: bytes("b"))
        batch.removeValue(forKey: bytes("never there"))
        try store.write(batch, durably: true)
        #expect(try store.value(forKey: bytes("a")) == bytes("1"))
        #expect(try store.value(forKey: bytes("empty value")) == Data())
        #expect(try store.value(forKey: Data()) == bytes("empty key"))
        #expect(try store.value(forKey: bytes("b")) == nil)
        #expect(try store.value(forKey: bytes("c")) == nil)
    }

    @Test(arguments: Kind.allCases) func keepsLargeValues(_ kind: Kind) throws {
        let store = try self.makeStore(kind)
        let value = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        var batch = WriteBatch()
        batch.set(value, forKey: bytes("large"))
        batch.set(value.dropFirst(7).prefix(5000), forKey: bytes("slice"))
        try store.write(batch, durably: false)
        #expect(try store.value(forKey: bytes("large")) == value)
        #expect(try store.value(forKey: bytes("slice")) == value.dropFirst(7).prefix(5000))
    }

    @Test(arguments: Kind.allCases) func ordersKeysAsUnsignedBytes(_ kind: Kind) throws {
        let store = try self.makeStore(kind)
        let keys = [Data([0xff]), Data([0x7f]), Data([0x80, 0]), Data([0x80]), Data([0]), Data([0, 0])]
        var batch = WriteBatch()
        for key in keys { batch.set(Data(), forKey: key) }
        try store.write(batch, durably: false)
        var found: [Data] = []
        try store.forEach(from: Data(), to: nil) { key, _ in
            found.append(key)
            return true
        }
        #expect(found == [[0], [0, 0], [0x7f], [0x80], [0x80, 0], [0xff]].map { Data($0) })
    }

    @Test(arguments: Kind.allCases) func scansRangesAndPrefixes(_ kind: Kind) throws {
        let store = try self.makeStore(kind)
        try self.fill(store, ["a", "b", "b1", "b2", "c", "d"])
        #expect(try self.keys(store, from: "b", to: "c") == ["b", "b1", "b2"])
        #expect(try self.keys(store, from: "b1", to: nil) == ["b1", "b2", "c", "d"])
        #expect(try self.keys(store, from: "c", to: "b").isEmpty)
        #expect(try self.keys(store, from: "e", to: nil).isEmpty)
        var found: [String] = []
        try store.forEach(prefix: bytes("b")) { key, _ in
            found.append(text(key))
            return found.count < 2
        }
        #expect(found == ["b", "b1"])
    }

    @Test(arguments: Kind.allCases) func walksBothWays(_ kind: Kind) throws {
        let store = try self.makeStore(kind)
        try self.fill(store, ["a", "c", "e"])
        let cursor = store.makeCursor()
        #expect(!cursor.isValid)
        try cursor.seek(to: bytes("b"))
        #expect(text(cursor.key) == "c")
        try cursor.previous()
        #expect(text(cursor.key) == "a")
        try cursor.previous()
        #expect(!cursor.isValid)
        try cursor.seekToLast()
        #expect(text(cursor.key) == "e")
        try cursor.next()
        #expect(!cursor.isValid)
        #expect(cursor.key.isEmpty)
        try cursor.seekToFirst()
        #expect(text(cursor.value) == "value of a")
    }

    @Test(arguments: Kind.allCases) func findsTheLastKeyOfARange(_ kind: Kind) throws {
        let store = try self.makeStore(kind)
        #expect(try store.last(from: bytes("a"), to: bytes("z")) == nil)
        try self.fill(store, ["a", "c", "e"])
        #expect(try store.last(from: bytes("a"), to: bytes("e")).map { text($0.key) } == "c")
        #expect(try store.last(from: bytes("a"), to: bytes("z")).map { text($0.key) } == "e")
        #expect(try store.last(from: bytes("d"), to: bytes("e")) == nil)
        #expect(try store.last(from: Data(), to: bytes("a")) == nil)
    }

    @Test(arguments: Kind.allCases) func snapshotsAndCursorsDoNotSeeLaterWrites(_ kind: Kind) throws {
        let store = try self.makeStore(kind)
        try self.fill(store, ["a", "b"])
        let snapshot = store.snapshot()
        let cursor = store.makeCursor()
        var batch = WriteBatch()
        batch.removeValue(forKey: bytes("a"))
        batch.set(bytes("changed"), forKey: bytes("b"))
        batch.set(bytes("value of c"), forKey: bytes("c"))
        try store.write(batch, durably: false)
        #expect(try self.keys(snapshot, from: "", to: nil) == ["a", "b"])
        #expect(try snapshot.value(forKey: bytes("c")) == nil)
        try cursor.seekToFirst()
        #expect(text(cursor.key) == "a")
        #expect(try store.value(forKey: bytes("a")) == nil)
        #expect(try store.value(forKey: bytes("b")) == bytes("changed"))
    }

    @Test(arguments: Kind.allCases) func compactsAndMeasures(_ kind: Kind) throws {
        let store = try self.makeStore(kind)
        var batch = WriteBatch()
        for index in 0..<1000 {
            batch.set(
                Data((0..<200).map { _ in UInt8.random(in: 0...255) }),
                forKey: bytes("k\(1000 + index)")
            )
        }
        try store.write(batch, durably: false)
        store.compact(from: nil, to: nil)
        store.compact(from: bytes("k1"), to: bytes("k2"))
        #expect(store.approximateSize(from: bytes("k"), to: bytes("l")) > 100_000)
        #expect(store.approximateSize(from: bytes("x"), to: bytes("y")) == 0)
    }

    @Test(
        arguments: [([1, 2], [1, 3]), ([1, 0xff], [2]), ([0xff, 0xff], nil), ([], nil)]
            as [([UInt8], [UInt8]?)]
    )
    func findsTheEndOfAPrefix(_ prefix: [UInt8], _ end: [UInt8]?) {
        #expect(Data(prefix).prefixEnd == end.map { Data($0) })
    }
}
