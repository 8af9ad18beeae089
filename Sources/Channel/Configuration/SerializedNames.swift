import FoundationEssentials

/// The names in a serialized configuration, checked before a dictionary holds them.
///
/// Swift's strings are equal when they look the same: a name with the Kelvin sign would fall together with the
/// name with a K, and so slip past a check of the decoded message that other nodes make byte by byte.
enum SerializedNames {
    /// What is wrong with a name in a serialized `common.ConfigUpdate`, as a clause; `nil` if nothing is.
    ///
    /// Bytes that are no message at all are left to the decoder.
    static func fault(inConfigUpdate bytes: Data) -> String? {
        // Fields 2 and 3: the read set and the write set.
        for (number, group) in Self.fields(of: bytes) where number == 2 || number == 3 {
            if let fault = Self.fault(inGroup: group, depth: 0) { return fault }
        }
        return nil
    }

    /// Deeper than any decoder goes.
    private static let maximumDepth = 100

    private static func fault(inGroup bytes: Data, depth: Int) -> String? {
        guard depth < Self.maximumDepth else { return "groups are nested too deeply" }
        // Fields 2, 3 and 4: maps of groups, values and policies; an entry is {1 name, 2 element}.
        for (number, entry) in Self.fields(of: bytes) where (2...4).contains(number) {
            for (part, content) in Self.fields(of: entry) {
                if part == 1, let name = String(bytes: content, encoding: .utf8) {
                    if let fault = ConfigurationName.fault(of: name) { return fault }
                } else if part == 2, number == 2 {
                    if let fault = Self.fault(inGroup: content, depth: depth + 1) { return fault }
                }
            }
        }
        return nil
    }

    /// The fields that have a length, with their content; ends where the bytes are no message.
    private static func fields(of bytes: Data) -> [(number: UInt64, content: Data)] {
        var fields: [(number: UInt64, content: Data)] = []
        var rest = bytes
        while let key = Self.varint(&rest) {
            switch key & 7 {
            case 0:
                guard Self.varint(&rest) != nil else { return fields }
            case 1:
                guard rest.count >= 8 else { return fields }
                rest = rest.dropFirst(8)
            case 2:
                guard let length = Self.varint(&rest), length <= UInt64(rest.count) else { return fields }
                fields.append((key >> 3, rest.prefix(Int(length))))
                rest = rest.dropFirst(Int(length))
            case 5:
                guard rest.count >= 4 else { return fields }
                rest = rest.dropFirst(4)
            default:
                return fields
            }
        }
        return fields
    }

    private static func varint(_ rest: inout Data) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
