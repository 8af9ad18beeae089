internal import Foundation

/// Reads the numbers and byte strings of LevelDB's files, never past their end.
struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.rest = bytes }

    var isAtEnd: Bool { self.rest.isEmpty }

    mutating func byte() -> UInt8? { self.rest.popFirst() }

    /// A base-128 number of at most 35 bits.
    mutating func varint() -> Int? {
        var value = 0
        for shift in stride(from: 0, through: 35, by: 7) {
            guard let byte = self.rest.popFirst() else { return nil }
            value |= Int(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, count <= self.rest.count else { return nil }
        defer { self.rest = self.rest.dropFirst(count) }
        return self.rest.prefix(count)
    }

    mutating func skip(_ count: Int) -> Bool { self.take(count) != nil }
}

extension Data {
    /// A copy of `count` bytes from `offset` on, or `nil` if the data ends before.
    func bytes(at offset: Int, count: Int) -> [UInt8]? {
        guard offset >= 0, count >= 0, offset <= self.count, count <= self.count - offset else { return nil }
        let start = self.startIndex + offset
        return Array(self[start..<(start + count)])
    }
}

extension [UInt8] {
    /// Four bytes as a number; the caller knows that they are there.
    func littleEndian32(at offset: Int) -> UInt32 {
        guard offset >= 0, offset <= self.count - 4 else { return 0 }
        return UInt32(self[offset]) | UInt32(self[offset + 1]) << 8 | UInt32(self[offset + 2]) << 16
            | UInt32(self[offset + 3]) << 24
    }
}

/// The checksum of LevelDB's files.
///
/// - Source: RFC 3720, appendix B.4 (CRC-32C); the mask is LevelDB's `util/crc32c.h`.
enum CRC32C {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0x82f6_3b78 ^ value >> 1 : value >> 1 }
    }

    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var value = ~UInt32(0)
        for byte in bytes { value = self.table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ value >> 8 }
        return ~value
    }

    static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let checksum = self.checksum(bytes)
        return (checksum >> 15 | checksum << 17) &+ 0xa282_ead8
    }
}

/// The decompression of LevelDB's blocks.
///
/// - Source: Snappy's `format_description.txt`.
enum Snappy {
    /// Blocks are a few KiB; what claims to be larger than this is not one.
    private static let maximumBytes = 64 << 20

    /// Returns the plain bytes, or `nil` if `compressed` is malformed.
    static func decompress(_ compressed: ArraySlice<UInt8>) -> [UInt8]? {
        var reader = ByteReader(compressed)
        guard let count = reader.varint(), count <= self.maximumBytes else { return nil }
        var plain: [UInt8] = []
        plain.reserveCapacity(count)
        while let tag = reader.byte() {
            let upper = Int(tag >> 2)
            switch tag & 3 {
            case 0:
                guard let length = self.literalLength(upper, &reader), let bytes = reader.take(length) else {
                    return nil
                }
                plain += bytes
            case 1:
                guard let low = reader.byte() else { return nil }
                let distance = (upper >> 3) << 8 | Int(low)
                guard self.copy(length: upper & 7 + 4, distance: distance, in: &plain) else { return nil }
            case let kind:
                guard let distance = self.number(bytes: kind == 2 ? 2 : 4, &reader),
                    self.copy(length: upper + 1, distance: distance, in: &plain)
                else { return nil }
            }
            guard plain.count <= count else { return nil }
        }
        return plain.count == count ? plain : nil
    }

    private static func literalLength(_ upper: Int, _ reader: inout ByteReader) -> Int? {
        guard upper >= 60 else { return upper + 1 }
        return self.number(bytes: upper - 59, &reader).map { $0 + 1 }
    }

    private static func number(bytes count: Int, _ reader: inout ByteReader) -> Int? {
        guard let bytes = reader.take(count) else { return nil }
        return bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    private static func copy(length: Int, distance: Int, in plain: inout [UInt8]) -> Bool {
        guard distance > 0, distance <= plain.count else { return false }
        for _ in 0..<length { plain.append(plain[plain.count - distance]) }
        return true
    }
}
