/// Keys made of an object type and attributes, such that all keys with the same leading parts are
/// adjacent and none collides with a plain key.
///
/// Encoding: U+0000, object type, U+0000, then each attribute followed by U+0000.
///
/// - Source: Fabric v3.1, `fabric-chaincode-go/shim/stub.go`, `CreateCompositeKey`.
package enum CompositeKey {
    /// The lowest character, which separates the parts.
    private static let separator: Unicode.Scalar = "\u{0}"
    /// The highest character, which ends the range of a partial key.
    private static let ceiling: Unicode.Scalar = "\u{10FFFF}"

    /// The key of `objectType` and `attributes`.
    ///
    /// - Throws: ``ContractError`` if a part holds U+0000 or U+10FFFF.
    package static func make(_ objectType: String, _ attributes: [String]) throws(ContractError) -> String {
        var key = String.UnicodeScalarView()
        key.append(self.separator)
        for part in [objectType] + attributes {
            try self.check(part)
            key.append(contentsOf: part.unicodeScalars)
            key.append(self.separator)
        }
        return String(key)
    }

    /// The half-open range of all keys that begin with `objectType` and `attributes`.
    package static func range(
        _ objectType: String,
        _ attributes: [String]
    ) throws(ContractError) -> (start: String, end: String) {
        let start = try self.make(objectType, attributes)
        return (start, start + String(Character(self.ceiling)))
    }

    /// The object type and attributes of `key`, or `nil` if it isn't a composite key.
    package static func split(_ key: String) -> (objectType: String, attributes: [String])? {
        guard key.unicodeScalars.first == self.separator, key.unicodeScalars.last == self.separator else {
            return nil
        }
        var parts: [String] = []
        var part = String.UnicodeScalarView()
        for scalar in key.unicodeScalars.dropFirst() {
            if scalar == self.separator {
                parts.append(String(part))
                part = .init()
            } else {
                part.append(scalar)
            }
        }
        guard let objectType = parts.first else { return nil }
        return (objectType, Array(parts.dropFirst()))
    }

    private static func check(_ part: String) throws(ContractError) {
        var position = 0
        for scalar in part.unicodeScalars {
            if scalar == self.separator || scalar == self.ceiling {
                let name = scalar == self.separator ? "U+0000" : "U+10FFFF"
                throw ContractError(
                    """
                    input contains unicode \(name) starting at position [\(position)]. \
                    U+0000 and U+10FFFF are not allowed in the input attribute of a composite key
                    """
                )
            }
            position += String(Character(scalar)).utf8.count
        }
    }
}
