package import Foundation

/// A place in a database file whose bytes are not what was written.
package struct DamagedFile: Sendable, Hashable, CustomStringConvertible {
    /// The file's name inside the database folder.
    package var file: String
    /// Where the unreadable block or record begins, in bytes.
    package var offset: Int
    package var reason: String
    /// The greatest key known to precede the damage; `nil` if the damage may concern the first key.
    ///
    /// In a table it is one that sorts before; in a journal one that was written before, there or in a table.
    package var keyBefore: Data?

    package var description: String { "\(self.file) at byte \(self.offset): \(self.reason)" }
}

/// Finds out which files of a LevelDB folder are damaged, from their checksums, without opening the database.
///
/// LevelDB itself says that a checksum is wrong, but not in which file.
///
/// - Source: LevelDB's `doc/table_format.md` and `doc/log_format.md`.
package enum LevelDBFiles {
    /// Returns the damaged files of the database in `folder`, which must not be open, in the order of their names.
    ///
    /// With `logsOnly` it looks only at what opening reads: the journals and the manifest.
    package static func damage(in folder: String, logsOnly: Bool = false) -> [DamagedFile] {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        let tables = logsOnly ? [] : names.filter { $0.hasSuffix(".ldb") || $0.hasSuffix(".sst") }
        var damaged: [DamagedFile] = []
        // What is in a table was written before what is in a journal.
        var written: Data?
        for name in tables + names.filter({ $0.hasSuffix(".log") || $0.hasPrefix("MANIFEST-") }) {
            let url = URL(fileURLWithPath: folder).appendingPathComponent(name)
            do {
                let bytes = try Data(contentsOf: url, options: .mappedIfSafe)
                if name.hasPrefix("MANIFEST-") {
                    try LevelDBJournal.check(bytes)
                } else if tables.contains(name) {
                    written = greater(written, try LevelDBTable.check(bytes))
                } else {
                    written = try LevelDBJournal.check(batches: bytes, after: written)
                }
            } catch let damage as LevelDBDamage {
                damaged.append(
                    DamagedFile(
                        file: name,
                        offset: damage.offset,
                        reason: damage.reason,
                        keyBefore: damage.keyBefore
                    )
                )
            } catch {
                damaged.append(
                    DamagedFile(
                        file: name,
                        offset: 0,
                        reason: "can't be read: \(error)",
                        keyBefore: tables.contains(name) ? nil : written
                    )
                )
            }
        }
        return damaged.sorted { $0.file < $1.file }
    }
}

/// The greater of two keys, where there are two.
private func greater(_ first: Data?, _ second: Data?) -> Data? {
    guard let first, let second else { return first ?? second }
    return first.precedes(second) ? second : first
}

/// The first damage found in one file.
struct LevelDBDamage: Error {
    var offset: Int
    var reason: String
    var keyBefore: Data?
}

/// Journals (`*.log`) and manifests: records with checksums, in pages of 32 KiB.
enum LevelDBJournal {
    private static let pageBytes = 32_768
    private static let headerBytes = 7

    /// Checks a journal of batches and returns the greatest key that it sets or removes, or that was written before it.
    static func check(batches file: Data, after written: Data?) throws(LevelDBDamage) -> Data? {
        var written = written
        try self.check(file) { batch in
            written = greater(written, Self.lastKey(ofBatch: batch))
        } keyBefore: {
            written
        }
        return written
    }

    /// Checks any journal.
    static func check(_ file: Data) throws(LevelDBDamage) {
        try self.check(file, record: { _ in }, keyBefore: { nil })
    }

    private static func check(
        _ file: Data,
        record finished: ([UInt8]) -> Void,
        keyBefore: () -> Data?
    ) throws(LevelDBDamage) {
        var record: [UInt8] = []
        var offset = 0
        while offset < file.count {
            let left = pageBytes - offset % pageBytes
            guard left >= headerBytes else {
                offset += left
                continue
            }
            // A header or a record that is cut off is what a crash leaves: the write was never confirmed.
            guard let header = file.bytes(at: offset, count: headerBytes) else { return }
            let length = Int(header[4]) | Int(header[5]) << 8
            let kind = header[6]
            if kind == 0, length == 0 {
                offset += left
                continue
            }
            guard length <= left - headerBytes else {
                throw LevelDBDamage(
                    offset: offset,
                    reason: "record longer than its page",
                    keyBefore: keyBefore()
                )
            }
            guard let body = file.bytes(at: offset + 6, count: length + 1) else { return }
            guard CRC32C.masked(body) == header.littleEndian32(at: 0) else {
                throw LevelDBDamage(offset: offset, reason: "checksum mismatch", keyBefore: keyBefore())
            }
            if kind == 1 || kind == 2 { record = [] }
            record += body.dropFirst()
            if kind == 1 || kind == 4 { finished(record) }
            offset += headerBytes + length
        }
    }

    /// The greatest key that a batch sets or removes.
    private static func lastKey(ofBatch batch: [UInt8]) -> Data? {
        var reader = ByteReader(batch[...])
        guard reader.skip(12) else { return nil }
        var greatest: Data?
        while let kind = reader.byte() {
            guard let keyCount = reader.varint(), let key = reader.take(keyCount) else { break }
            if kind == 1 {
                guard let valueCount = reader.varint(), reader.skip(valueCount) else { break }
            }
            greatest = greater(greatest, Data(key))
        }
        return greatest
    }
}

/// Tables (`*.ldb`): sorted blocks with checksums, an index of them, and a footer.
enum LevelDBTable {
    private static let footerBytes = 48
    private static let magic: UInt64 = 0xdb47_7524_8b80_fb57
    private static let trailerBytes = 5

    /// Checks every block and returns the greatest key.
    static func check(_ file: Data) throws(LevelDBDamage) -> Data? {
        let footerOffset = file.count - self.footerBytes
        guard let footer = file.bytes(at: footerOffset, count: self.footerBytes) else {
            throw LevelDBDamage(offset: 0, reason: "too short for a table")
        }
        let magic = UInt64(footer.littleEndian32(at: 40)) | UInt64(footer.littleEndian32(at: 44)) << 32
        var reader = ByteReader(footer[...])
        guard magic == self.magic, let metaOffset = reader.varint(), let metaCount = reader.varint(),
            let indexOffset = reader.varint(), let indexCount = reader.varint()
        else { throw LevelDBDamage(offset: footerOffset, reason: "not a table: wrong footer") }

        let index = try self.block(file, offset: indexOffset, count: indexCount, keyBefore: nil)
        var keyBefore: Data?
        var last: [UInt8] = []
        for (key, handle) in try self.entries(index, offset: indexOffset) {
            var reader = ByteReader(handle)
            guard let offset = reader.varint(), let count = reader.varint() else {
                throw LevelDBDamage(offset: indexOffset, reason: "malformed index", keyBefore: keyBefore)
            }
            last = try self.block(file, offset: offset, count: count, keyBefore: keyBefore)
            // The last eight bytes are LevelDB's sequence number and kind.
            keyBefore = Data(key.dropLast(8))
        }
        let meta = try self.block(file, offset: metaOffset, count: metaCount, keyBefore: keyBefore)
        for (_, handle) in try self.entries(meta, offset: metaOffset) {
            var reader = ByteReader(handle)
            guard let offset = reader.varint(), let count = reader.varint() else { continue }
            _ = try self.block(file, offset: offset, count: count, keyBefore: keyBefore)
        }
        guard !last.isEmpty else { return nil }
        return try self.entries(last, offset: footerOffset).last.map { Data($0.key.dropLast(8)) }
    }

    private static func block(
        _ file: Data,
        offset: Int,
        count: Int,
        keyBefore: Data?
    ) throws(LevelDBDamage) -> [UInt8] {
        guard count <= file.count, let bytes = file.bytes(at: offset, count: count + self.trailerBytes) else {
            throw LevelDBDamage(offset: offset, reason: "block outside the file", keyBefore: keyBefore)
        }
        guard CRC32C.masked(bytes.prefix(count + 1)) == bytes.littleEndian32(at: count + 1) else {
            throw LevelDBDamage(offset: offset, reason: "checksum mismatch", keyBefore: keyBefore)
        }
        switch bytes[count] {
        case 0:
            return Array(bytes.prefix(count))
        case 1:
            guard let plain = Snappy.decompress(bytes.prefix(count)) else {
                throw LevelDBDamage(offset: offset, reason: "malformed compression", keyBefore: keyBefore)
            }
            return plain
        default:
            throw LevelDBDamage(offset: offset, reason: "unknown compression", keyBefore: keyBefore)
        }
    }

    /// The keys and values of a block.
    private static func entries(
        _ block: [UInt8],
        offset: Int
    ) throws(LevelDBDamage) -> [(key: [UInt8], value: ArraySlice<UInt8>)] {
        let malformed = LevelDBDamage(offset: offset, reason: "malformed block")
        guard block.count >= 4 else { throw malformed }
        let restarts = Int(block.littleEndian32(at: block.count - 4))
        guard restarts <= (block.count - 4) / 4 else { throw malformed }
        var reader = ByteReader(block[..<(block.count - 4 - restarts * 4)])
        var entries: [(key: [UInt8], value: ArraySlice<UInt8>)] = []
        var key: [UInt8] = []
        while !reader.isAtEnd {
            guard let shared = reader.varint(), let rest = reader.varint(), let valueCount = reader.varint(),
                shared <= key.count, let suffix = reader.take(rest), let value = reader.take(valueCount)
            else { throw malformed }
            key = Array(key.prefix(shared)) + suffix
            entries.append((key, value))
        }
        return entries
    }
}
