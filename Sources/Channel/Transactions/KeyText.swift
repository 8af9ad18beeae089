package import Foundation

/// Keys and values of the state as people read them, at a bounded length.
package enum KeyText {
    /// How many characters of a key are shown.
    package static let keyLimit = 200
    /// How many characters of a value are shown.
    package static let valueLimit = 120

    /// A key: in quotes, or as `type("part", "part")` for a composite key.
    ///
    /// A composite key is U+0000, the object type, U+0000, and then each attribute with U+0000 after it.
    ///
    /// - Parameter key: The key as it stands in a read-write set.
    /// - Returns: One line.
    /// - Source: Fabric v3.1, `fabric-chaincode-go/shim/stub.go`, `CreateCompositeKey`.
    package static func key(_ key: String) -> String {
        let scalars = key.unicodeScalars
        guard scalars.count > 2, scalars.first == "\u{0}", scalars.last == "\u{0}" else {
            return Self.shortened("\"\(Self.escaped(key))\"", Self.keyLimit)
        }
        let parts = scalars.dropFirst().dropLast().split(
            separator: "\u{0}",
            omittingEmptySubsequences: false
        )
        let texts = parts.map { Self.escaped(String($0)) }
        let attributes = texts.dropFirst().map { "\"\($0)\"" }.joined(separator: ", ")
        return Self.shortened("\(texts.first ?? "")(\(attributes))", Self.keyLimit)
    }

    /// A value: text in quotes, else hexadecimal digits; with its size where it is cut.
    package static func value(_ bytes: Data) -> String {
        guard !bytes.isEmpty else { return "nothing" }
        let text = String(validating: bytes, as: UTF8.self).map { "\"\(Self.escaped($0))\"" }
        let shown = text ?? "0x" + bytes.prefix(Self.valueLimit).hexadecimal
        guard shown.count > Self.valueLimit else { return shown }
        return "\(Self.shortened(shown, Self.valueLimit)) (\(bytes.count) bytes)"
    }

    /// `text` cut after `limit` characters, with a mark where it is cut.
    package static func shortened(_ text: String, _ limit: Int) -> String {
        text.count <= limit ? text : text.prefix(limit) + "…"
    }

    /// Characters that would break a line, or can't be seen, by their numbers.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .unassigned, .privateUse, .lineSeparator, .paragraphSeparator:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                if scalar == "\"" || scalar == "\\" { result += "\\" }
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
