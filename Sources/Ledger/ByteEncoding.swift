internal import Foundation

/// Bytes of a key, a namespace or a hash, as a dictionary's key.
///
/// Not `Data`, which hashes only the first 80 bytes, so that keys with a long common start would all collide; and not
/// `String`, which takes canonically equivalent texts for equal.
typealias Bytes = [UInt8]

extension Bytes {
    /// Appends a base-128 number, least significant group first.
    mutating func appendVarint(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            self.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends one byte with the count of significant bytes, then those bytes: numbers compare as their bytes do.
    mutating func appendOrderPreserving(_ number: UInt64) {
        let count = 8 - number.leadingZeroBitCount / 8
        self.append(UInt8(count))
        for index in stride(from: count - 1, through: 0, by: -1) {
            self.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * index)))
        }
    }

    /// Appends the count of `bytes` and then `bytes`.
    mutating func appendCounted(_ bytes: some Collection<UInt8>) {
        self.appendVarint(UInt64(bytes.count))
        self.append(contentsOf: bytes)
    }
}

/// Reads what ``Bytes`` appends; every read returns `nil` past the end.
struct RecordReader {
    private let bytes: Data
    private var index: Data.Index

    init(_ bytes: Data) {
        self.bytes = bytes
        self.index = bytes.startIndex
    }

    var isAtEnd: Bool { self.index == self.bytes.endIndex }

    /// Everything that was not read yet.
    var rest: Data { self.bytes[self.index...] }

    mutating func byte() -> UInt8? {
        guard self.index < self.bytes.endIndex else { return nil }
        defer { self.index += 1 }
        return self.bytes[self.index]
    }

    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard let byte = self.byte() else { return nil }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return shift < 63 || byte <= 1 ? value : nil }
        }
        return nil
    }

    mutating func orderPreserving() -> UInt64? {
        guard let count = self.byte(), count <= 8, let digits = self.take(Int(count)) else { return nil }
        return digits.reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func take(_ count: Int) -> Data? {
        guard count >= 0, count <= self.bytes.endIndex - self.index else { return nil }
        defer { self.index += count }
        return self.bytes[self.index..<(self.index + count)]
    }

    mutating func counted() -> Data? {
        guard let count = self.varint(), count <= UInt64(Int32.max) else { return nil }
        return self.take(Int(count))
    }
}
