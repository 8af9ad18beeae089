internal import COpenSSL
package import FoundationEssentials

/// The hash functions that Fabric's crypto provider knows, and SHA-512, which certificates may use.
///
/// - Source: Fabric v3.1, `bccsp` package (SHA256, SHA384, SHA3_256, SHA3_384).
package enum HashFunction: Sendable, Hashable {
    case sha256, sha384, sha512, sha3_256, sha3_384

    /// Length of a digest in bytes.
    package var byteCount: Int {
        switch self {
        case .sha256, .sha3_256: 32
        case .sha384, .sha3_384: 48
        case .sha512: 64
        }
    }

    /// The function called `name` in an MSP's crypto configuration, or `nil`.
    package init?(bccspName name: String) {
        switch name {
        case "SHA256": self = .sha256
        case "SHA384": self = .sha384
        case "SHA3_256": self = .sha3_256
        case "SHA3_384": self = .sha3_384
        default: return nil
        }
    }

    var algorithm: OpaquePointer {
        switch self {
        case .sha256: FetchedDigest.sha256.pointer
        case .sha384: FetchedDigest.sha384.pointer
        case .sha512: FetchedDigest.sha512.pointer
        case .sha3_256: FetchedDigest.sha3_256.pointer
        case .sha3_384: FetchedDigest.sha3_384.pointer
        }
    }
}

/// A digest algorithm, looked up once: an implicit look-up costs half as much as hashing 500 bytes.
///
/// Why `@unchecked`: OpenSSL's fetched algorithms are immutable and reference-counted atomically
/// (EVP_MD_fetch(3)).
private struct FetchedDigest: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ name: String, fallback: OpaquePointer) {
        self.pointer = EVP_MD_fetch(nil, name, nil) ?? fallback
    }

    static let sha256 = Self("SHA2-256", fallback: EVP_sha256())
    static let sha384 = Self("SHA2-384", fallback: EVP_sha384())
    static let sha512 = Self("SHA2-512", fallback: EVP_sha512())
    static let sha3_256 = Self("SHA3-256", fallback: EVP_sha3_256())
    static let sha3_384 = Self("SHA3-384", fallback: EVP_sha3_384())
}

/// Digests of whole values.
package enum Digest {
    /// The SHA-256 digest (32 bytes) of the concatenation of `data`.
    package static func sha256(_ data: Data...) -> Data {
        data.count == 1 ? Self.hash(data[0], with: .sha256) : Self.hash(data, with: .sha256)
    }

    /// The digest of `data`.
    package static func hash(_ data: Data, with function: HashFunction) -> Data {
        var digest = Data(count: function.byteCount)
        digest.withUnsafeMutableBytes { Self.hash(data, with: function, into: $0) }
        return digest
    }

    /// The digest of the concatenation of `pieces`.
    package static func hash(_ pieces: some Sequence<Data>, with function: HashFunction) -> Data {
        var stream = DigestStream(function)
        for piece in pieces { stream.update(piece) }
        return stream.finalize()
    }

    /// Writes the digest of `data` to the first bytes of `output`.
    static func hash(_ data: Data, with function: HashFunction, into output: UnsafeMutableRawBufferPointer) {
        precondition(output.count >= function.byteCount)
        let status = data.withUnsafeBytes {
            EVP_Digest($0.baseAddress, $0.count, output.baseAddress, nil, function.algorithm, nil)
        }
        precondition(status == 1, "OpenSSL cannot compute \(function): \(takeOpenSSLReason())")
    }
}

/// A digest of bytes that arrive in pieces.
///
/// ```swift
/// var stream = DigestStream(.sha256)
/// stream.update(header)
/// stream.update(body)
/// let digest = stream.finalize()
/// ```
package struct DigestStream: ~Copyable {
    private let context: OpaquePointer
    private let function: HashFunction

    package init(_ function: HashFunction) {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("out of memory") }
        self.context = context
        self.function = function
        let status = EVP_DigestInit_ex2(context, function.algorithm, nil)
        precondition(status == 1, "OpenSSL cannot compute \(function)")
    }

    deinit { EVP_MD_CTX_free(self.context) }

    /// Appends `data` to what is hashed.
    package mutating func update(_ data: Data) {
        let status = data.withUnsafeBytes { EVP_DigestUpdate(self.context, $0.baseAddress, $0.count) }
        precondition(status == 1, "OpenSSL cannot compute \(self.function)")
    }

    /// The digest of everything appended.
    package consuming func finalize() -> Data {
        var digest = Data(count: self.function.byteCount)
        let status = digest.withUnsafeMutableBytes { output in
            EVP_DigestFinal_ex(self.context, output.bindMemory(to: UInt8.self).baseAddress, nil)
        }
        precondition(status == 1, "OpenSSL cannot compute \(self.function)")
        return digest
    }
}

/// Bytes from OpenSSL's random generator, fit for keys, nonces and serial numbers.
///
/// - Throws: ``CryptographyError`` if the generator is not seeded or fails; nothing weaker is ever returned.
package func secureRandomBytes(_ count: Int) throws(CryptographyError) -> Data {
    precondition(count >= 0 && count <= Int(Int32.max))
    var bytes = Data(count: count)
    let status = bytes.withUnsafeMutableBytes {
        RAND_bytes($0.bindMemory(to: UInt8.self).baseAddress, Int32($0.count))
    }
    guard status == 1 || count == 0 else {
        throw CryptographyError(
            code: .randomness,
            message:
                "the random generator gave no bytes (\(takeOpenSSLReason())); check the system's entropy source"
        )
    }
    return bytes
}
