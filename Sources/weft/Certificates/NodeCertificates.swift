import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation
import RPC

/// The files that hold a node's own certificates and those that it trusts.
struct NodeCertificates: Sendable {
    var identity: IdentityFiles
    var tls: TLSFiles?
    /// TLS of the operations service and, on an orderer, of channel participation and towards other orderers.
    var endpoints: [TLSFiles] = []

    /// The files and folders that change when a certificate is renewed.
    var watchedPaths: [String] {
        let folder = self.identity.folder
        let keystore = self.identity.provider.keystore
        let enrollment = ["\(folder)/signcerts", keystore.isEmpty ? "\(folder)/keystore" : keystore]
        return enrollment + self.allTLS.flatMap(\.paths)
    }

    private var allTLS: [TLSFiles] { (self.tls.map { [$0] } ?? []) + self.endpoints }

    /// All certificates in the files.
    ///
    /// - Throws: when the MSP folder or a file can't be read.
    func inventory() throws -> CertificateInventory {
        var inventory = CertificateInventory()
        let mspID = try MSPID(self.identity.mspID)
        let folder = MSPFolder(self.identity.folder)
        let signcerts = "\(self.identity.folder)/signcerts"
        inventory.addOwn(try folder.memberCertificate(), .enrollment, of: mspID, from: signcerts)
        inventory.add(try folder.configuration(mspID: mspID).config, from: self.identity.folder)
        for tls in self.allTLS {
            let own = [tls.certificate] + (tls.towardsNodes.map { [$0.certificate] } ?? [])
            for path in own {
                let leaf = try Certificate(pem: readBytes(path, as: "the TLS certificate"))
                inventory.addOwn(leaf, .tls, of: mspID, from: path)
            }
            for path in tls.roots {
                inventory.add(
                    pem: try readBytes(path, as: "a TLS root certificate"),
                    .tlsAuthority,
                    of: "TLS roots",
                    from: path
                ) { _ in "replace the file with the new root certificate of that organization" }
            }
        }
        return inventory
    }
}

/// What a node shows others after a renewal, and whom it trusts.
struct RenewedTLS: Sendable {
    /// To clients.
    var server: TLSIdentity
    /// To other nodes.
    var client: TLSIdentity
    var rootsPEM: String
}

extension PeerConfiguration {
    var certificates: NodeCertificates {
        NodeCertificates(
            identity: self.identity,
            tls: self.tls,
            endpoints: [self.operations?.tls].compactMap(\.self)
        )
    }
}

extension OrdererConfiguration {
    var certificates: NodeCertificates {
        NodeCertificates(
            identity: self.identity,
            tls: self.tls,
            endpoints: [
                self.operations?.tls, self.admin?.tls, self.cluster?.tls, self.cluster?.listenerTLS,
            ].compactMap(\.self)
        )
    }
}

extension TLSFiles {
    /// Every file that is read.
    fileprivate var paths: [String] {
        [self.certificate, self.key] + self.roots
            + (self.towardsNodes.map { [$0.certificate, $0.key] } ?? [])
    }

    /// What a server shows after a renewal; checked as ``renewed(now:)`` does.
    func renewedServer(now: Date) throws -> ServerTLS {
        let (identity, roots) = try self.load()
        try Self.check(identity, in: self.certificate, now: now)
        return ServerTLS(identity: identity, clientRootsPEM: roots, clientCertificates: self.clients)
    }

    /// Reads certificates and keys, and checks that they can be used together.
    ///
    /// A file that was written while it was read, or a key that doesn't belong to the certificate, must never replace what
    /// works.
    func renewed(now: Date) throws -> RenewedTLS {
        let (server, roots) = try self.load()
        try Self.check(server, in: self.certificate, now: now)
        let client = try self.client()
        if let towardsNodes { try Self.check(client, in: towardsNodes.certificate, now: now) }
        return RenewedTLS(server: server, client: client, rootsPEM: roots)
    }

    private static func check(_ identity: TLSIdentity, in file: String, now: Date) throws {
        let certificate = try Certificate(pem: Data(identity.certificateChainPEM.utf8))
        guard !certificate.isExpired(at: now) else {
            throw Failure(
                "the TLS certificate in \(file) expired at \(CivilTime(certificate.notAfter))",
                code: .configuration
            )
        }
        // Keys of kinds that cannot sign transactions, such as RSA, are left to TLS itself.
        if case .rsa = certificate.publicKey.algorithm { return }
        guard try PrivateKey(pem: Data(identity.privateKeyPEM.utf8)).publicKey == certificate.publicKey else {
            throw Failure("the TLS key beside \(file) does not belong to it", code: .configuration)
        }
    }
}
