package import FoundationEssentials

extension JSONTree {
    /// The deepest nesting that is read.
    package static let maximumDepth = 512

    /// Reads the first JSON value of a document; what follows it is not looked at.
    ///
    /// A name that an object has twice counts with its last value. Bytes that are no UTF-8 are read as U+FFFD.
    ///
    /// - Throws: ``TranslationError`` for what is no JSON, or nested deeper than ``maximumDepth``.
    /// - Source: RFC 8259; Go, package `encoding/json`, which Fabric's tools read with.
    package init(document: Data) throws(TranslationError) {
        var reader = JSONReader(bytes: Array(document))
        self = try reader.value(depth: 0)
    }
}

/// Reads JSON from front to back.
private struct JSONReader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    mutating func value(depth: Int) throws(TranslationError) -> JSONTree {
        guard depth <= JSONTree.maximumDepth else {
            throw self.error("it is nested deeper than \(JSONTree.maximumDepth) levels")
        }
        self.skipSpace()
        switch self.next {
        case UInt8(ascii: "{"): return .object(try self.members(depth: depth))
        case UInt8(ascii: "["): return .array(try self.elements(depth: depth))
        case UInt8(ascii: "\""): return .string(try self.text())
        case UInt8(ascii: "t"): return try self.word("true", .bool(true))
        case UInt8(ascii: "f"): return try self.word("false", .bool(false))
        case UInt8(ascii: "n"): return try self.word("null", .null)
        case let byte?
        where byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte):
            return .number(try self.number())
        case nil: throw self.error("the text ends where a value is expected")
        default: throw self.error("expected a value")
        }
    }

    private mutating func members(depth: Int) throws(TranslationError) -> [JSONTree.Member] {
        self.position += 1
        var members: [JSONTree.Member] = []
        var places: [[UInt8]: Int] = [:]
        if self.take("}") { return members }
        repeat {
            self.skipSpace()
            guard self.next == UInt8(ascii: "\"") else { throw self.error("expected a name in quotes") }
            let name = try self.text()
            guard self.take(":") else { throw self.error("expected \":\" after the name \"\(name)\"") }
            let value = try placing(name) { () throws(TranslationError) in try self.value(depth: depth + 1) }
            if let place = places[Array(name.utf8)] {
                members[place].value = value
            } else {
                places[Array(name.utf8)] = members.count
                members.append(.init(name, value))
            }
        } while self.take(",")
        guard self.take("}") else { throw self.error("expected \",\" or \"}\"") }
        return members
    }

    private mutating func elements(depth: Int) throws(TranslationError) -> [JSONTree] {
        self.position += 1
        var elements: [JSONTree] = []
        if self.take("]") { return elements }
        repeat {
            elements.append(try self.value(depth: depth + 1))
        } while self.take(",")
        guard self.take("]") else { throw self.error("expected \",\" or \"]\"") }
        return elements
    }

    private mutating func word(_ word: String, _ value: JSONTree) throws(TranslationError) -> JSONTree {
        guard self.bytes[self.position...].starts(with: word.utf8) else {
            throw self.error("expected \(word)")
        }
        self.position += word.utf8.count
        return value
    }

    private mutating func number() throws(TranslationError) -> String {
        let start = self.position
        _ = self.take("-", skippingSpace: false)
        let whole = self.digits()
        guard !whole.isEmpty, whole.count == 1 || whole.first != UInt8(ascii: "0") else {
            throw self.error("this is no number")
        }
        if self.take(".", skippingSpace: false), self.digits().isEmpty {
            throw self.error("a number ends with \".\"")
        }
        if self.take("e", skippingSpace: false) || self.take("E", skippingSpace: false) {
            if !self.take("+", skippingSpace: false) { _ = self.take("-", skippingSpace: false) }
            guard !self.digits().isEmpty else { throw self.error("a number has no exponent after \"e\"") }
        }
        return String(decoding: self.bytes[start..<self.position], as: UTF8.self)
    }

    private mutating func digits() -> ArraySlice<UInt8> {
        let start = self.position
        while let byte = self.next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            self.position += 1
        }
        return self.bytes[start..<self.position]
    }

    private mutating func text() throws(TranslationError) -> String {
        self.position += 1
        var utf8: [UInt8] = []
        while let byte = self.next {
            self.position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: utf8, as: UTF8.self)
            case UInt8(ascii: "\\"): try self.escape(into: &utf8)
            case 0..<0x20: throw self.error("a text holds a control character")
            default: utf8.append(byte)
            }
        }
        throw self.error("a text has no end")
    }

    private mutating func escape(into utf8: inout [UInt8]) throws(TranslationError) {
        let byte = self.next
        self.position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): utf8.append(byte ?? 0)
        case UInt8(ascii: "b"): utf8.append(8)
        case UInt8(ascii: "f"): utf8.append(12)
        case UInt8(ascii: "n"): utf8.append(10)
        case UInt8(ascii: "r"): utf8.append(13)
        case UInt8(ascii: "t"): utf8.append(9)
        case UInt8(ascii: "u"):
            var units = [try self.codeUnit()]
            // The second half of a character that takes two.
            if UTF16.isLeadSurrogate(units[0]), self.bytes[self.position...].starts(with: #"\u"#.utf8) {
                let before = self.position
                self.position += 2
                let second = try self.codeUnit()
                if UTF16.isTrailSurrogate(second) { units.append(second) } else { self.position = before }
            }
            utf8.append(contentsOf: String(decoding: units, as: UTF16.self).utf8)
        default: throw self.error("a text holds \"\\\" before a character that needs none")
        }
    }

    private mutating func codeUnit() throws(TranslationError) -> UInt16 {
        let end = min(self.position + 4, self.bytes.count)
        let digits = self.bytes[self.position..<end]
        guard digits.count == 4, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw self.error("expected four hexadecimal digits after \"\\u\"") }
        self.position = end
        return unit
    }

    private mutating func take(_ character: Unicode.Scalar, skippingSpace: Bool = true) -> Bool {
        if skippingSpace { self.skipSpace() }
        guard self.next == UInt8(ascii: character) else { return false }
        self.position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = self.next, [0x20, 0x0a, 0x0d, 0x09].contains(byte) { self.position += 1 }
    }

    private func error(_ reason: String) -> TranslationError {
        let read = self.bytes.prefix(self.position)
        let line = read.count { $0 == 0x0a } + 1
        return TranslationError("not valid JSON at line \(line), byte \(self.position): \(reason)")
    }
}
