import FoundationEssentials

/// How a value is laid out on the wire.
///
/// - Source: Protocol Buffers documentation, Encoding.
enum WireType: UInt64 {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
}

/// One value as it stands on the wire.
enum WireValue {
    case integer(UInt64, WireType)
    case bytes(Data)

    var type: WireType {
        switch self {
        case .integer(_, let type): type
        case .bytes: .lengthDelimited
        }
    }
}

/// The fields of a serialized message, without knowing what they mean.
struct WireFields {
    /// In the order of the wire.
    private(set) var values: [(number: Int, value: WireValue)] = []

    /// The fields of an empty message.
    init() {}

    /// Takes a serialized message apart.
    ///
    /// - Throws: ``TranslationError`` for bytes that are no message.
    init(_ bytes: Data) throws(TranslationError) {
        var reader = WireReader(bytes)
        while !reader.isAtEnd {
            let tag = try reader.varint()
            guard let number = Int(exactly: tag >> 3), (1...0x1fff_ffff).contains(number) else {
                throw WireReader.malformed
            }
            switch WireType(rawValue: tag & 7) {
            case .varint: self.values.append((number, .integer(try reader.varint(), .varint)))
            case .fixed64: self.values.append((number, .integer(try reader.fixed(8), .fixed64)))
            case .fixed32: self.values.append((number, .integer(try reader.fixed(4), .fixed32)))
            case .lengthDelimited: self.values.append((number, .bytes(try reader.lengthDelimited())))
            case nil: throw WireReader.malformed
            }
        }
    }

    /// The bytes of a message field, of whose occurrences several make one message; `nil` without any.
    func message(_ number: Int) -> Data? {
        var occurrences: [Data] = []
        for case (number, .bytes(let bytes)) in self.values { occurrences.append(bytes) }
        guard occurrences.count > 1 else { return occurrences.first }
        return Data(occurrences.joined())
    }

    /// The bytes of a field: those of its last occurrence.
    func bytes(_ number: Int) -> Data {
        for case (number, .bytes(let bytes)) in self.values.reversed() { return bytes }
        return Data()
    }

    /// The text of a field.
    func text(_ number: Int) -> String { String(decoding: self.bytes(number), as: UTF8.self) }

    /// A field of type `int32` or of an enumeration.
    func integer(_ number: Int) -> Int32 {
        for case (number, .integer(let value, .varint)) in self.values.reversed() {
            return Int32(truncatingIfNeeded: value)
        }
        return 0
    }
}

/// Reads a serialized message from front to back.
private struct WireReader {
    static let malformed = TranslationError("these bytes are no message")

    private var rest: Data

    init(_ bytes: Data) { self.rest = bytes }

    var isAtEnd: Bool { self.rest.isEmpty }

    mutating func varint() throws(TranslationError) -> UInt64 {
        var result: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = self.rest.popFirst() else { throw Self.malformed }
            // The tenth byte holds the one bit that is left.
            if shift == 63, byte > 1 { throw Self.malformed }
            result |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return result }
        }
        throw Self.malformed
    }

    mutating func fixed(_ count: Int) throws(TranslationError) -> UInt64 {
        guard self.rest.count >= count else { throw Self.malformed }
        let bytes = self.rest.prefix(count)
        self.rest = self.rest.dropFirst(count)
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func lengthDelimited() throws(TranslationError) -> Data {
        guard let count = Int(exactly: try self.varint()), count <= self.rest.count else {
            throw Self.malformed
        }
        defer { self.rest = self.rest.dropFirst(count) }
        return self.rest.prefix(count)
    }
}

/// Takes apart the values of a list of numbers that were written together.
func unpacked(_ bytes: Data, as type: WireType) throws(TranslationError) -> [UInt64] {
    var reader = WireReader(bytes)
    var values: [UInt64] = []
    while !reader.isAtEnd {
        switch type {
        case .varint: values.append(try reader.varint())
        case .fixed64: values.append(try reader.fixed(8))
        case .fixed32: values.append(try reader.fixed(4))
        case .lengthDelimited: throw WireReader.malformed
        }
    }
    return values
}

extension Data {
    mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            self.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func append(tag number: Int, _ type: WireType) {
        self.append(varint: UInt64(number) << 3 | type.rawValue)
    }

    mutating func append(integer value: UInt64, as type: WireType) {
        switch type {
        case .varint: self.append(varint: value)
        case .fixed64: self.append(littleEndian: value, count: 8)
        case .fixed32: self.append(littleEndian: value, count: 4)
        case .lengthDelimited: break
        }
    }

    mutating func append(lengthDelimited bytes: Data) {
        self.append(varint: UInt64(bytes.count))
        self.append(bytes)
    }

    private mutating func append(littleEndian value: UInt64, count: Int) {
        for index in 0..<count { self.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))) }
    }
}
