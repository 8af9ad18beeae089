/// A key made of an object type and attributes, such that all keys with the same leading parts are adjacent.
///
/// Keys of this form never collide with plain keys.
///
/// - Source: Fabric v3.1, `fabric-chaincode-go/shim`, composite keys.
public struct CompositeKey: Hashable, Sendable, CustomStringConvertible {
    /// The kind of thing that the key stands for.
    public let objectType: String
    /// What tells one such thing from another, from the most general to the most special.
    public let attributes: [String]

    /// Makes a key.
    ///
    /// - Throws: ``ContractError`` if a part holds U+0000 or U+10FFFF.
    public init(_ objectType: String, _ attributes: [String]) throws(ContractError) {
        for part in [objectType] + attributes { try Self.check(part) }
        self.objectType = objectType
        self.attributes = attributes
    }

    /// Refuses what a part can't hold, in the words of Fabric's shim.
    private static func check(_ part: String) throws(ContractError) {
        var position = 0
        for scalar in part.unicodeScalars {
            guard scalar != "\u{0}", scalar != "\u{10FFFF}" else {
                let name = scalar == "\u{0}" ? "U+0000" : "U+10FFFF"
                throw ContractError(
                    """
                    input contains unicode \(name) starting at position [\(position)]. \
                    U+0000 and U+10FFFF are not allowed in the input attribute of a composite key
                    """
                )
            }
            position += UTF8.width(scalar)
        }
    }

    /// Takes a key of the ledger apart; `nil` if it is a plain one.
    public init?(parsing key: String) {
        guard key.unicodeScalars.first == "\u{0}", key.unicodeScalars.last == "\u{0}",
            key.unicodeScalars.count > 1
        else { return nil }
        let parts = key.unicodeScalars.dropFirst().dropLast()
            .split(separator: "\u{0}", omittingEmptySubsequences: false)
            .map { String(String.UnicodeScalarView($0)) }
        guard let objectType = parts.first else { return nil }
        self.objectType = objectType
        self.attributes = Array(parts.dropFirst())
    }

    /// The key as the ledger has it.
    public var text: String {
        var text = String.UnicodeScalarView(["\u{0}"])
        for part in [self.objectType] + self.attributes {
            text.append(contentsOf: part.unicodeScalars)
            text.append("\u{0}")
        }
        return String(text)
    }

    /// Where the keys end that begin with the parts of this one.
    var end: String { self.text + "\u{10FFFF}" }

    /// The parts, for people.
    public var description: String { ([self.objectType] + self.attributes).joined(separator: "/") }
}
