/// Numbers, truth values and enumerations in JSON.
///
/// - Source: Protocol Buffers documentation, JSON mapping.
extension FieldShape {
    /// A value of the wire as JSON: 64-bit numbers as texts, enumerations by name.
    func json(ofInteger value: UInt64, _ schema: MessageSchema) -> JSONTree {
        switch self.kind {
        case .int32, .sfixed32: .number("\(Int32(truncatingIfNeeded: value))")
        case .uint32, .fixed32: .number("\(UInt32(truncatingIfNeeded: value))")
        case .sint32: .number("\(Int32(truncatingIfNeeded: Self.unfolded(value & 0xffff_ffff)))")
        case .int64, .sfixed64: .string("\(Int64(bitPattern: value))")
        case .uint64, .fixed64: .string("\(value)")
        case .sint64: .string("\(Self.unfolded(value))")
        case .bool: .bool(value != 0)
        case .enumeration(let type):
            Self.json(ofEnumeration: Int32(truncatingIfNeeded: value), schema.enumeration(type))
        case .string, .bytes, .message: .null
        }
    }

    private static func json(ofEnumeration number: Int32, _ shape: EnumerationShape) -> JSONTree {
        shape.names[number].map { .string($0) } ?? .number("\(number)")
    }

    /// The value of the wire for a JSON value.
    ///
    /// - Throws: ``TranslationError`` if it is none of the field's type.
    func integer(of tree: JSONTree, _ schema: MessageSchema) throws(TranslationError) -> UInt64 {
        switch (self.kind, tree) {
        case (.int32, _): UInt64(bitPattern: Int64(try Self.number(tree, as: Int32.self)))
        case (.sfixed32, _): UInt64(UInt32(bitPattern: try Self.number(tree, as: Int32.self)))
        case (.sint32, _): Self.folded(Int64(try Self.number(tree, as: Int32.self)))
        case (.uint32, _), (.fixed32, _): UInt64(try Self.number(tree, as: UInt32.self))
        case (.int64, _), (.sfixed64, _): UInt64(bitPattern: try Self.number(tree, as: Int64.self))
        case (.sint64, _): Self.folded(try Self.number(tree, as: Int64.self))
        case (.uint64, _), (.fixed64, _): try Self.number(tree, as: UInt64.self)
        case (.bool, .bool(let flag)): flag ? 1 : 0
        case (.bool, _): throw TranslationError("found \(tree.kind); expected true or false")
        case (.enumeration(let type), .string(let name)):
            UInt64(bitPattern: Int64(try schema.enumeration(type).number(named: name)))
        case (.enumeration, _): UInt64(bitPattern: Int64(try Self.number(tree, as: Int32.self)))
        case (.string, _), (.bytes, _), (.message, _):
            throw TranslationError("found \(tree.kind); expected a number")
        }
    }

    /// Reads a whole number, also one in quotes, or written with a fraction of zeros or an exponent.
    private static func number<Number: FixedWidthInteger>(
        _ tree: JSONTree,
        as type: Number.Type
    ) throws(TranslationError) -> Number {
        let text: String
        switch tree {
        case .number(let digits), .string(let digits): text = digits
        default: throw TranslationError("found \(tree.kind); expected a whole number")
        }
        guard !text.hasPrefix("+"), let number = Number(text) ?? self.wholeNumber(text) else {
            throw TranslationError(
                "found \(text); expected a whole number from \(Number.min) to \(Number.max)"
            )
        }
        return number
    }

    /// Reads `1.50e1` and the like.
    private static func wholeNumber<Number: FixedWidthInteger>(_ text: String) -> Number? {
        let parts = text.lowercased().split(separator: "e", omittingEmptySubsequences: false)
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, mantissa.count <= 2 else { return nil }
        guard let exponent = parts.count == 2 ? Int(parts[1]) : 0, (-400...400).contains(exponent) else {
            return nil
        }
        let fraction = mantissa.count == 2 ? mantissa[1] : ""
        guard fraction.utf8.count <= 400, mantissa[0].utf8.count <= 400 else { return nil }
        var digits = String(mantissa[0] + fraction)
        guard digits.utf8.contains(where: { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        let shift = exponent - fraction.utf8.count
        if shift >= 0 {
            digits += String(repeating: "0", count: shift)
        } else {
            guard digits.utf8.suffix(-shift).allSatisfy({ $0 == UInt8(ascii: "0") }) else { return nil }
            digits = String(digits.dropLast(-shift))
        }
        return Number(digits.isEmpty || digits == "-" ? "0" : digits)
    }

    /// Signed numbers folded into unsigned ones: 0, -1, 1, -2 are 0, 1, 2, 3.
    private static func folded(_ value: Int64) -> UInt64 {
        UInt64(bitPattern: (value << 1) ^ (value >> 63))
    }

    private static func unfolded(_ value: UInt64) -> Int64 {
        Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }
}

extension EnumerationShape {
    fileprivate func number(named name: String) throws(TranslationError) -> Int32 {
        guard let number = self.numbers[name] else {
            let known = self.numbers.sorted { $0.value < $1.value }.map(\.key).joined(separator: ", ")
            throw TranslationError("\"\(name)\" is not one of: \(known)")
        }
        return number
    }
}
