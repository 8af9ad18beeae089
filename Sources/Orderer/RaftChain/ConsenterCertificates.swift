internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation

extension RaftConsenters {
    /// Checks that every consenter's TLS certificates were issued by an authority of an organization of orderers, and that
    /// none that is not `known` has a key of another one: consenters are known by their keys, so that it could never speak.
    ///
    /// An expired certificate counts as long as its consenter is one of `known`, so that a channel whose certificates
    /// have expired can be repaired by an update.
    ///
    /// - Throws: ``InvalidConsensusMetadata``.
    /// - Source: Fabric v3.1, package `orderer/consensus/etcdraft`, verification of the consenters' certificates.
    func checkCertificates(
        under configuration: ChannelConfiguration,
        known: RaftConsenters?,
        at now: Date
    ) throws(InvalidConsensusMetadata) {
        let certificates = try ConsenterCertificates(configuration)
        for consenter in zip(self.certificates, self.serverCertificates) {
            let isKnown = known?.certificates.contains(consenter.0) ?? true
            for (kind, pem) in [("client", consenter.0), ("server", consenter.1)] {
                try certificates.check(pem, kind, mayBeExpired: isKnown, at: now)
            }
            if !isKnown { try self.checkKeys(of: consenter) }
        }
    }

    private func checkKeys(of consenter: (Data, Data)) throws(InvalidConsensusMetadata) {
        func keys(_ consenter: (Data, Data)) -> Set<PublicKey> {
            Set([consenter.0, consenter.1].compactMap { try? Certificate(pem: $0).publicKey })
        }
        let own = keys(consenter)
        for (other, endpoint) in zip(zip(self.certificates, self.serverCertificates), self.endpoints)
        where other != consenter && !own.isDisjoint(with: keys(other)) {
            throw InvalidConsensusMetadata(
                "a TLS certificate of a new consenter has the key of consenter \(endpoint), which it would be taken for"
            )
        }
    }
}

/// Judges the TLS certificates of a channel's consenters.
struct ConsenterCertificates {
    private let authorities: CertificateAuthorities

    /// - Throws: ``InvalidConsensusMetadata`` if an authority's certificate can't be read.
    init(_ configuration: ChannelConfiguration) throws(InvalidConsensusMetadata) {
        self.authorities = try Self.authorities(configuration)
    }

    /// Checks that a certificate, PEM, was issued by an authority of an organization of orderers.
    ///
    /// - Throws: ``InvalidConsensusMetadata``.
    func check(
        _ pem: Data,
        _ kind: String,
        mayBeExpired: Bool,
        at now: Date
    ) throws(InvalidConsensusMetadata) {
        let certificate: Certificate
        do {
            certificate = try Certificate(pem: pem)
        } catch {
            throw InvalidConsensusMetadata(
                "the tls \(kind) certificate of a consenter can't be read: \(error)"
            )
        }
        if mayBeExpired, now > certificate.notAfter || now < certificate.notBefore { return }
        var fault: ChainFault?
        for purpose in [ExtendedKeyUsage.clientAuthentication, .serverAuthentication] {
            do {
                _ = try self.authorities.chains(for: certificate, at: now, purpose: purpose)
                return
            } catch {
                fault = error
            }
        }
        throw InvalidConsensusMetadata(
            "verifying the tls \(kind) certificate of consenter \(certificate.subject): "
                + "\(fault.map { "\($0)" } ?? "it has no chain"); it must lead to a tls_root_cert of an organization in "
                + "/Channel/Orderer"
        )
    }

    private static func authorities(
        _ configuration: ChannelConfiguration
    ) throws(InvalidConsensusMetadata) -> CertificateAuthorities {
        var roots: [Certificate] = []
        var intermediates: [Certificate] = []
        for organization in configuration.orderer?.organizations ?? [] {
            guard let msp = configuration.directory[organization.mspID] else { continue }
            do {
                roots += try msp.tlsRootCertificates.map { try Certificate(pem: $0) }
                intermediates += try msp.tlsIntermediateCertificates.map { try Certificate(pem: $0) }
            } catch {
                throw InvalidConsensusMetadata(
                    "a TLS authority of \(organization.mspID) can't be read: \(error)"
                )
            }
        }
        return CertificateAuthorities(roots: roots, intermediates: intermediates)
    }
}
