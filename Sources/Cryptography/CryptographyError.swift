internal import COpenSSL

/// A failure of a key, a certificate or the cryptographic library.
///
/// Callers switch on ``code``; people read ``message``.
package struct CryptographyError: Error, Sendable, CustomStringConvertible {
    /// What kind of thing failed.
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String
        /// The random number generator gave no bytes.
        package static let randomness = Self(description: "randomness")
        /// The text holds no PEM block of the wanted kind.
        package static let malformedPEM = Self(description: "malformed PEM")
        /// The bytes are not a key.
        package static let malformedKey = Self(description: "malformed key")
        /// The key is of a kind that cannot do what was asked.
        package static let unsupportedKey = Self(description: "unsupported key")
        /// The bytes are not a certificate.
        package static let malformedCertificate = Self(description: "malformed certificate")
        /// The bytes are not a certificate revocation list.
        package static let malformedRevocationList = Self(description: "malformed revocation list")
        /// The library could not sign.
        package static let signing = Self(description: "signing")
        /// A hardware token cannot be reached, or refuses.
        package static let token = Self(description: "token")
    }

    package var code: Code
    /// What was found, what was expected, and what the reader can do about it.
    package var message: String

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(self.code): \(self.message)" }
}

/// Takes the newest reason from this thread's OpenSSL error queue and empties the queue.
///
/// An error left behind would be mistaken for its own by the next library that uses OpenSSL on this thread.
func takeOpenSSLReason() -> String {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    guard code != 0 else { return "no reason given" }
    var buffer = [CChar](repeating: 0, count: 256)
    ERR_error_string_n(code, &buffer, buffer.count)
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
