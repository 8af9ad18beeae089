package import Channel
import Cryptography
package import FabricProtos
package import Foundation
package import Gossip
import SwiftProtobuf

/// Organizations with peers, and a channel of them.
///
/// Every key is Ed25519, made from a fixed number, so that certificates and signatures are the same in every run.
package struct GossipIdentities: Sendable {
    package struct Organization: Sendable {
        package let mspID: MSPID
        /// The peers' certificates and keys.
        package let peers: [SigningIdentity]
        let authority: Certificate
        let authorityKey: PrivateKey
    }

    package let organizations: [Organization]
    /// Signs blocks, as a member of the first organization.
    package let orderer: SigningIdentity

    /// Makes so many organizations, `Org1MSP`, `Org2MSP`, …, with so many peers each, whose certificates end at `expiry`.
    package init(
        organizations: Int,
        peers: Int,
        expiry: Date = Date(timeIntervalSince1970: 4_000_000_000)
    ) throws {
        self.organizations = try (1...organizations).map { number in
            let key = try Self.key(organization: number, member: 0)
            let end = Date(timeIntervalSince1970: 4_000_000_000)
            var template = try Self.template("ca.org\(number)", unit: "ca", serial: 1, expiry: end)
            template.keyUsage = [.digitalSignature, .certificateSigning, .revocationListSigning]
            template.isCA = true
            let authority = try template.selfSigned(with: key)
            let mspID = try MSPID("Org\(number)MSP")
            let peers = try (0..<peers).map { peer in
                let own = try Self.key(organization: number, member: peer + 1)
                let certificate = try Self.template(
                    "peer\(peer).org\(number)",
                    unit: "peer",
                    serial: peer + 2,
                    expiry: expiry
                ).issued(for: own.publicKey, by: authority, with: key)
                return try SigningIdentity(mspID: mspID, certificate: certificate, key: own)
            }
            return Organization(mspID: mspID, peers: peers, authority: authority, authorityKey: key)
        }
        self.orderer = try Self.orderer(of: self.organizations[0])
    }

    private static func orderer(of organization: Organization) throws -> SigningIdentity {
        let key = try Self.key(organization: 1, member: 0xffff)
        let end = Date(timeIntervalSince1970: 4_000_000_000)
        let certificate = try Self.template("orderer", unit: "client", serial: 0xffff, expiry: end)
            .issued(for: key.publicKey, by: organization.authority, with: organization.authorityKey)
        return try SigningIdentity(mspID: organization.mspID, certificate: certificate, key: key)
    }

    /// `PrivateKeyInfo` of RFC 8410 around 32 bytes.
    private static func key(organization: Int, member: Int) throws -> PrivateKey {
        let prefix: [UInt8] = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
        ]
        let number = UInt32(organization) << 16 | UInt32(member)
        let seed = withUnsafeBytes(of: number.bigEndian) { Data(repeating: 1, count: 28) + $0 }
        return try PrivateKey(pem: PEMBlock.encode(Data(prefix) + seed, type: "PRIVATE KEY"))
    }

    private static func template(
        _ name: String,
        unit: String,
        serial: Int,
        expiry: Date
    ) throws -> CertificateTemplate {
        CertificateTemplate(
            subject: try DistinguishedName([.organizationalUnit(unit), .commonName(name)]),
            serialNumber: Data([0x40, UInt8(serial >> 8 & 0xff), UInt8(serial & 0xff)]),
            notBefore: Date(timeIntervalSince1970: 1_600_000_000),
            notAfter: expiry,
            keyUsage: [.digitalSignature]
        )
    }

    // MARK: - What MSPs say

    /// An organization's MSP; `revoked` are the numbers of peers whose certificates are revoked.
    package func msp(_ organization: Int, revoked: Set<Int> = []) throws -> Msp_MSPConfig {
        let own = self.organizations[organization]
        var lists: [Data] = []
        if !revoked.isEmpty {
            let date = Date(timeIntervalSince1970: 1_650_000_000)
            let list = try RevocationListTemplate(
                entries: revoked.sorted().map { peer in
                    .init(serialNumber: own.peers[peer].certificate.serialNumber, revokedAt: date)
                },
                number: 1,
                thisUpdate: date,
                nextUpdate: Date(timeIntervalSince1970: 4_000_000_000)
            ).signed(by: own.authority, with: own.authorityKey)
            lists = [list.pem]
        }
        return try .withNodeOUs(
            own.mspID.description,
            roots: [own.authority.pem],
            tlsRoots: [own.authority.pem],
            revocationLists: lists
        )
    }

    /// An organization's MSP alone, as its peers have it in their folders.
    package func local(_ organization: Int) throws -> MembershipDirectory {
        try MembershipDirectory([MSP(self.msp(organization), version: .v3_0)])
    }

    /// A channel of all organizations, or of those with the numbers `members`.
    ///
    /// `revoked` are the numbers of revoked peers for each organization's; `anchors` those of each organization's anchor
    /// peers.
    package func channel(
        _ name: String = "sim",
        of members: [Int]? = nil,
        revoked: [Int: Set<Int>] = [:],
        anchors: [Int] = [0]
    ) throws -> ChannelConfiguration {
        let members = try (members ?? Array(self.organizations.indices)).map { number in
            let mspID = self.organizations[number].mspID.description
            return ChannelProfile.OrganizationProfile(
                name: "Org\(number + 1)",
                msp: try self.msp(number, revoked: revoked[number] ?? []),
                policies: .applicationOrganization(mspID),
                ordererEndpoints: ["orderer.sim:7050"],
                anchorPeers: anchors.map { .init(host: Self.host($0, number), port: 7051) }
            )
        }
        let authority = self.organizations[0].authority.pem
        let consenter = Etcdraft_Consenter.with {
            $0.host = "orderer.sim"
            $0.port = 7050
            $0.clientTlsCert = authority
            $0.serverTlsCert = authority
        }
        let profile = ChannelProfile(
            orderer: .init(
                consensus: .raft(
                    .with {
                        $0.consenters = [consenter]
                        $0.options = .fabricDefault
                    }
                ),
                organizations: [members[0]]
            ),
            application: .init(organizations: members)
        )
        return try ChannelConfiguration(
            configBlock: GenesisBlock.make(
                channelID: ChannelID(name),
                profile: profile,
                nonce: Data(repeating: 1, count: 24),
                timestamp: Date(timeIntervalSince1970: 1_700_000_000)
            )
        )
    }

    // MARK: - Peers

    static func host(_ peer: Int, _ organization: Int) -> String { "peer\(peer).org\(organization + 1).sim" }

    /// Who a peer is; one that is hidden doesn't tell other organizations its address.
    package func local(_ peer: Int, of organization: Int, isHidden: Bool = false) throws -> LocalPeer {
        let signer = self.organizations[organization].peers[peer]
        return LocalPeer(
            pkiID: try PKIID(identity: signer.serialized),
            mspID: signer.mspID,
            identity: signer.serialized,
            externalEndpoint: isHidden ? "" : "\(Self.host(peer, organization)):7051",
            internalEndpoint: "internal-\(Self.host(peer, organization)):7051",
            sign: { try signer.sign($0) }
        )
    }
}
