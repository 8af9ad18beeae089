internal import Cryptography
package import Foundation

/// The identifier of a transaction: SHA-256 of nonce and creator, in lower-case hexadecimal.
///
/// - Source: Fabric v3, package `protoutil`, transaction identifiers.
package struct TransactionID: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// Computes the identifier of the transaction whose signature header holds `nonce` and `creator`.
    package init(nonce: Data, creator: Data) {
        self.description = Digest.sha256(nonce, creator).hexadecimal
    }

    /// Takes an identifier as it stands in a header; whether it is the right one is the validator's business.
    package init(text: String) {
        self.description = text
    }
}

extension Data {
    /// The bytes as lower-case hexadecimal digits, two a byte.
    package var hexadecimal: String {
        String(unsafeUninitializedCapacity: self.count * 2) { text in
            var end = 0
            for byte in self {
                text[end] = Self.hexadecimalDigit(byte >> 4)
                text[end + 1] = Self.hexadecimalDigit(byte & 15)
                end += 2
            }
            return end
        }
    }

    private static func hexadecimalDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value
    }

    /// Reads hexadecimal digits of either case; `nil` for an odd count or any other character.
    package init?(hexadecimal text: some StringProtocol) {
        let digits = text.utf8.compactMap { Self.value(ofHexadecimalDigit: $0) }
        guard digits.count == text.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
        self.init(stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
    }

    private static func value(ofHexadecimalDigit byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
