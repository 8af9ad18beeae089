internal import Cryptography
internal import Foundation
internal import RPC
internal import Synchronization

/// The key of the TLS certificate that a node shows as a server, by which it finds itself among a channel's consenters;
/// another one when the certificate was renewed with another key.
final class OwnServerKey: Sendable {
    private let key: Mutex<PublicKey?>

    /// - Throws: `CryptographyError` if the certificate can't be read.
    init(_ identity: TLSIdentity?) throws {
        self.key = Mutex(try identity.map(Self.key))
    }

    /// The key that a node shows other orderers.
    ///
    /// - Throws: `CryptographyError` if the certificate can't be read.
    convenience init(_ configuration: OrdererNodeConfiguration) throws {
        try self.init(configuration.cluster.listener?.identity ?? configuration.tls?.identity)
    }

    /// `nil` without TLS.
    var current: PublicKey? { self.key.withLock { $0 } }

    func replace(with identity: TLSIdentity) throws {
        let key = try Self.key(identity)
        self.key.withLock { $0 = key }
    }

    private static func key(_ identity: TLSIdentity) throws -> PublicKey {
        try Certificate(pem: Data(identity.certificateChainPEM.utf8)).publicKey
    }
}
