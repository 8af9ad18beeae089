package import Foundation

/// A JSON document whose numbers are integers, with one encoding for one value.
///
/// Contracts need both: peers must write identical bytes, and money, energy and mass must not pass
/// through floating point. The encoder writes members in ascending order of their names' UTF-8 bytes,
/// without spaces, and escapes only what JSON demands, as RFC 8785 does for such documents.
package enum JSONValue: Equatable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// Reads a document.
    ///
    /// Refused: fractions and exponents, integers beyond 64 bits, a name given twice, more than 32 levels,
    /// anything after the document.
    ///
    /// - Throws: ``ContractError`` with the byte position.
    package init(parsing data: Data) throws(ContractError) {
        var parser = JSONParser(bytes: Array(data))
        self = try parser.document()
    }

    /// The one encoding of this value.
    package var encoded: Data {
        var bytes: [UInt8] = []
        self.write(to: &bytes)
        return Data(bytes)
    }

    private func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes += "null".utf8
        case .boolean(let value): bytes += (value ? "true" : "false").utf8
        case .integer(let value): bytes += String(value).utf8
        case .string(let text): Self.write(text, to: &bytes)
        case .array(let items):
            bytes.append(UInt8(ascii: "["))
            for (index, item) in items.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                item.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            let names = members.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            for (index, name) in names.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.write(name, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                (members[name] ?? .null).write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func write(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): bytes += "\\\"".utf8
            case UInt8(ascii: "\\"): bytes += "\\\\".utf8
            case 0x08: bytes += "\\b".utf8
            case 0x09: bytes += "\\t".utf8
            case 0x0A: bytes += "\\n".utf8
            case 0x0C: bytes += "\\f".utf8
            case 0x0D: bytes += "\\r".utf8
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                bytes += "\\u00".utf8
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

extension [String: JSONValue] {
    /// The member's text, empty if it has none.
    package func string(_ name: String) -> String {
        if case .string(let text)? = self[name] { text } else { "" }
    }

    /// The member's number, 0 if it has none.
    package func integer(_ name: String) -> Int64 {
        if case .integer(let number)? = self[name] { number } else { 0 }
    }
}

/// A recursive-descent reader of RFC 8259 text, integers only.
private struct JSONParser {
    static let maximumDepth = 32

    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(ContractError) -> JSONValue {
        let value = try self.value(depth: 0)
        self.skipSpace()
        guard self.position == self.bytes.count else { throw self.error("nothing after the document") }
        return value
    }

    private var current: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private func error(_ expected: String) -> ContractError {
        ContractError("JSON at byte \(self.position): expected \(expected)")
    }

    private mutating func skipSpace() {
        while let byte = self.current, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { self.position += 1 }
    }

    private mutating func take(_ character: Character) -> Bool {
        guard self.current == character.asciiValue else { return false }
        self.position += 1
        return true
    }

    private mutating func takeWord(_ word: String) -> Bool {
        guard self.bytes[self.position...].starts(with: word.utf8) else { return false }
        self.position += word.utf8.count
        return true
    }

    private mutating func value(depth: Int) throws(ContractError) -> JSONValue {
        guard depth < Self.maximumDepth else { throw self.error("at most \(Self.maximumDepth) levels") }
        self.skipSpace()
        switch self.current {
        case UInt8(ascii: "{"): return try self.object(depth: depth)
        case UInt8(ascii: "["): return try self.array(depth: depth)
        case UInt8(ascii: "\""): return .string(try self.string())
        case UInt8(ascii: "t") where self.takeWord("true"): return .boolean(true)
        case UInt8(ascii: "f") where self.takeWord("false"): return .boolean(false)
        case UInt8(ascii: "n") where self.takeWord("null"): return .null
        default: return .integer(try self.integer())
        }
    }

    private mutating func object(depth: Int) throws(ContractError) -> JSONValue {
        self.position += 1
        var members: [String: JSONValue] = [:]
        self.skipSpace()
        if self.take("}") { return .object(members) }
        repeat {
            self.skipSpace()
            guard self.current == UInt8(ascii: "\"") else { throw self.error("a member name in quotes") }
            let name = try self.string()
            self.skipSpace()
            guard self.take(":") else { throw self.error("':' after the name \"\(name)\"") }
            let value = try self.value(depth: depth + 1)
            guard members.updateValue(value, forKey: name) == nil else {
                throw self.error("the name \"\(name)\" only once")
            }
            self.skipSpace()
        } while self.take(",")
        guard self.take("}") else { throw self.error("',' or '}'") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(ContractError) -> JSONValue {
        self.position += 1
        var items: [JSONValue] = []
        self.skipSpace()
        if self.take("]") { return .array(items) }
        repeat {
            items.append(try self.value(depth: depth + 1))
            self.skipSpace()
        } while self.take(",")
        guard self.take("]") else { throw self.error("',' or ']'") }
        return .array(items)
    }

    private mutating func integer() throws(ContractError) -> Int64 {
        let start = self.position
        if self.current == UInt8(ascii: "-") { self.position += 1 }
        while let byte = self.current, (0x30...0x39).contains(byte) { self.position += 1 }
        if let byte = self.current, [0x2E, 0x45, 0x65].contains(byte) {
            throw self.error("a whole number; fractions and exponents are not accepted here")
        }
        let digits = self.bytes[start..<self.position]
        let unsigned = digits.first == UInt8(ascii: "-") ? digits.dropFirst() : digits
        guard !unsigned.isEmpty, unsigned.count == 1 || unsigned.first != UInt8(ascii: "0"),
            let value = Int64(String(decoding: digits, as: UTF8.self))
        else {
            self.position = start
            throw self.error("a value: an object, array, string, whole number, true, false or null")
        }
        return value
    }

    private mutating func string() throws(ContractError) -> String {
        self.position += 1
        var text: [UInt8] = []
        while let byte = self.current {
            self.position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw self.error("valid UTF-8")
                }
                return string
            case UInt8(ascii: "\\"): text += String(try self.escape()).utf8
            case 0..<0x20: throw self.error("control characters to be escaped")
            default: text.append(byte)
            }
        }
        throw self.error("a closing quote")
    }

    private mutating func escape() throws(ContractError) -> Unicode.Scalar {
        guard let byte = self.current else { throw self.error("a character after '\\'") }
        self.position += 1
        switch byte {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try self.escapedScalar()
        default: throw self.error("one of \" \\ / b f n r t u after '\\'")
        }
    }

    private mutating func escapedScalar() throws(ContractError) -> Unicode.Scalar {
        let first = try self.hexadecimalUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800..<0xDC00).contains(first), self.take("\\"), self.take("u") else {
            throw self.error("a pair of surrogates")
        }
        let second = try self.hexadecimalUnit()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw self.error("a low surrogate") }
        return scalar
    }

    private mutating func hexadecimalUnit() throws(ContractError) -> UInt32 {
        guard self.position + 4 <= self.bytes.count else { throw self.error("four hexadecimal digits") }
        let digits = self.bytes[self.position..<self.position + 4]
        guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let unit = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw self.error("four hexadecimal digits") }
        self.position += 4
        return unit
    }
}

/// Named members of a JSON object, which knows its own place for error messages.
package struct JSONMembers: Sendable {
    private let place: String
    private let members: [String: JSONValue]

    /// Takes the members of an object; `place` is how messages name it, such as `record 3`.
    ///
    /// A member that isn't among `names` is an error, so that a misspelt name doesn't become a silent default.
    package init(_ value: JSONValue, _ place: String, allowed names: Set<String>) throws(ContractError) {
        guard case .object(let members) = value else {
            throw ContractError("\(place): expected an object {…}")
        }
        for name in members.keys.sorted() where !names.contains(name) {
            let known = names.sorted().joined(separator: ", ")
            throw ContractError("\(place): unknown member \"\(name)\"; known here: \(known)")
        }
        self.place = place
        self.members = members
    }

    package func has(_ name: String) -> Bool { self.members[name] != nil }

    package func value(_ name: String) throws(ContractError) -> JSONValue {
        guard let value = self.members[name] else { throw self.problem(name, "is missing") }
        return value
    }

    package func string(_ name: String) throws(ContractError) -> String {
        guard case .string(let text) = try self.value(name) else {
            throw self.problem(name, "must be a string")
        }
        return text
    }

    package func string(_ name: String, default text: String) throws(ContractError) -> String {
        self.has(name) ? try self.string(name) : text
    }

    package func integer(_ name: String) throws(ContractError) -> Int64 {
        guard case .integer(let number) = try self.value(name) else {
            throw self.problem(name, "must be a whole number")
        }
        return number
    }

    package func integer(_ name: String, default number: Int64) throws(ContractError) -> Int64 {
        self.has(name) ? try self.integer(name) : number
    }

    package func integer(
        _ name: String,
        in range: ClosedRange<Int64>,
        unit: String
    ) throws(ContractError) -> Int64 {
        let number = try self.integer(name)
        guard range.contains(number) else {
            throw self.problem(
                name,
                "is \(number); expected \(range.lowerBound) to \(range.upperBound) \(unit)"
            )
        }
        return number
    }

    package func boolean(_ name: String, default value: Bool) throws(ContractError) -> Bool {
        guard self.has(name) else { return value }
        guard case .boolean(let found) = try self.value(name) else {
            throw self.problem(name, "must be true or false")
        }
        return found
    }

    package func array(_ name: String) throws(ContractError) -> [JSONValue] {
        guard case .array(let items) = try self.value(name) else {
            throw self.problem(name, "must be an array")
        }
        return items
    }

    package func problem(_ name: String, _ text: String) -> ContractError {
        ContractError("\(self.place): \"\(name)\" \(text)")
    }
}
