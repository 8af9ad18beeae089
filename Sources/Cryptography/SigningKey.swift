package import FoundationEssentials

/// A key that signs: one that this process holds, or one in a hardware token.
///
/// ```swift
/// let signature = try await withTaskExecutorPreference(key.executor) { try key.sign(message, hash: .sha256) }
/// ```
package protocol SigningKey: Sendable {
    var publicKey: PublicKey { get }

    /// Threads to sign on, where signing waits for a device; `nil` if it may happen anywhere.
    ///
    /// Code that runs on threads of its own, where blocking does no harm, need not look at it.
    var executor: (any TaskExecutor)? { get }

    /// Signs `message`.
    ///
    /// - Parameters:
    ///   - message: what is signed.
    ///   - hash: the digest function for ECDSA; SHA-256 whatever the curve, as Fabric does. Ed25519 ignores it.
    /// - Returns: low-S DER for ECDSA, 64 bytes for Ed25519.
    /// - Throws: ``CryptographyError`` if the library or the token cannot sign.
    func sign(_ message: Data, hash: HashFunction) throws(CryptographyError) -> Data
}

extension PrivateKey: SigningKey {
    /// Signing takes microseconds of computing, and waits for nothing.
    package var executor: (any TaskExecutor)? { nil }
}
