internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf
internal import WeftContract

/// An organization of the test's channel, with keys of its own that nobody else has.
struct TestOrganization: Sendable {
    let mspID: String
    private let authority: Certificate
    private let key: PrivateKey

    init(_ mspID: String) throws {
        self.mspID = mspID
        self.key = try PrivateKey.generate(.p256)
        var template = try Self.template(commonName: "ca.\(mspID)", unit: nil)
        template.keyUsage = [.digitalSignature, .certificateSigning, .revocationListSigning]
        template.isCA = true
        self.authority = try template.selfSigned(with: self.key)
    }

    private static func template(commonName: String, unit: String?) throws -> CertificateTemplate {
        let units = unit.map { [DistinguishedName.Attribute.organizationalUnit($0)] } ?? []
        return CertificateTemplate(
            subject: try DistinguishedName(units + [.commonName(commonName)]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date(timeIntervalSince1970: 946_684_800),
            notAfter: Date(timeIntervalSince1970: 4_102_444_800),
            keyUsage: [.digitalSignature]
        )
    }

    /// A new member.
    func issue(_ name: String, unit: String, attributes: [String: String] = [:]) throws -> SigningIdentity {
        let key = try PrivateKey.generate(.p256)
        var template = try Self.template(commonName: name, unit: unit)
        if !attributes.isEmpty {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            template.otherExtensions = [
                (ClientIdentity.attributesExtension, try encoder.encode(["attrs": attributes]))
            ]
        }
        let certificate = try template.issued(for: key.publicKey, by: self.authority, with: self.key)
        return try SigningIdentity(mspID: MSPID(self.mspID), certificate: certificate, key: key)
    }

    var certificate: Data { self.authority.pem }

    /// How the channel's configuration describes the organization.
    var msp: Msp_MSPConfig {
        get throws {
            try .withNodeOUs(self.mspID, roots: [self.authority.pem], tlsRoots: [self.authority.pem])
        }
    }
}

/// The members of the test's channel, and its orderer.
struct TestConsortium: Sendable {
    static let channel = "test"

    let organizations: [TestOrganization]
    let orderer: SigningIdentity
    let genesis: Common_Block

    init(_ mspIDs: [String]) throws {
        guard !mspIDs.isEmpty, Set(mspIDs).count == mspIDs.count else {
            throw HarnessError("the channel needs organizations, each with another MSP identifier: \(mspIDs)")
        }
        let organizations = try mspIDs.map(TestOrganization.init)
        let ordering = try TestOrganization("TestOrdererMSP")
        self.organizations = organizations
        self.orderer = try ordering.issue("orderer", unit: "orderer")
        let consenter = Etcdraft_Consenter.with {
            $0.host = "orderer.test"
            $0.port = 7050
            $0.clientTlsCert = ordering.certificate
            $0.serverTlsCert = ordering.certificate
        }
        let raft = Etcdraft_ConfigMetadata.with {
            $0.consenters = [consenter]
            $0.options = .fabricDefault
        }
        let profile = ChannelProfile(
            orderer: .init(
                consensus: .raft(raft),
                organizations: [
                    .init(
                        name: "Orderer",
                        msp: try ordering.msp,
                        policies: .ordererOrganization(ordering.mspID),
                        ordererEndpoints: ["orderer.test:7050"]
                    )
                ]
            ),
            application: .init(
                organizations: try organizations.map {
                    .init(name: $0.mspID, msp: try $0.msp, policies: .applicationOrganization($0.mspID))
                }
            )
        )
        self.genesis = try GenesisBlock.make(
            channelID: ChannelID(Self.channel),
            profile: profile,
            nonce: secureRandomBytes(24),
            timestamp: Date(timeIntervalSince1970: 1_767_225_600)
        )
    }
}
