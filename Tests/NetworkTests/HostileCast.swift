import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Synchronization

@testable import WeftClient

/// Somebody who signs messages: what stands in them as the creator, and how they are signed.
struct HostileCreator: Sendable {
    var name: String
    var serialized: Data
    /// Whether a certificate can be read here, and has expired.
    var isExpired = false
    var sign: @Sendable (Data) throws -> Data

    init(_ name: String, serialized: Data, sign: @escaping @Sendable (Data) throws -> Data) {
        self.name = name
        self.serialized = serialized
        self.sign = sign
    }

    init(_ name: String, mspID: String = "UtilityMSP", pem: Data, key: PrivateKey) throws {
        var identity = Msp_SerializedIdentity()
        identity.mspid = mspID
        identity.idBytes = pem
        self.init(name, serialized: try identity.serializedBytes()) { try key.sign($0) }
        self.isExpired = (try? Certificate(pem: pem))?.isExpired(at: Date()) ?? false
    }

    /// An honest member, to compare with.
    init(member: SigningIdentity) {
        self.init("member", serialized: member.serialized) { try member.sign($0) }
    }

    private func header(_ nonce: Data) -> Common_SignatureHeader {
        var header = Common_SignatureHeader()
        header.creator = self.serialized
        header.nonce = nonce
        return header
    }

    func envelope(
        _ type: Common_HeaderType,
        channel: String,
        _ data: Data,
        _ connection: Connection
    ) throws -> Common_Envelope {
        var channelHeader = Common_ChannelHeader()
        channelHeader.type = Int32(type.rawValue)
        channelHeader.channelID = channel
        channelHeader.timestamp = .init(date: Date())
        channelHeader.tlsCertHash = connection.certificateHash
        var payload = Common_Payload()
        payload.header.channelHeader = try channelHeader.serializedBytes()
        payload.header.signatureHeader = try self.header(secureRandomBytes(24)).serializedBytes()
        payload.data = data
        var envelope = Common_Envelope()
        envelope.payload = try payload.serializedBytes()
        envelope.signature = try self.sign(envelope.payload)
        return envelope
    }

    /// A call of `qscc` that any member of the channel may make; without a channel, one of `cscc` that any member of the
    /// peer's organization may make.
    func proposal(channel: String) throws -> Protos_SignedProposal {
        let (contract, function) = channel.isEmpty ? ("cscc", "GetChannels") : ("qscc", "GetChainInfo")
        let nonce = try secureRandomBytes(24)
        var extensions = Protos_ChaincodeHeaderExtension()
        extensions.chaincodeID.name = contract
        var channelHeader = Common_ChannelHeader()
        channelHeader.type = Int32(Common_HeaderType.endorserTransaction.rawValue)
        channelHeader.channelID = channel
        channelHeader.timestamp = .init(date: Date())
        channelHeader.txID = hexadecimal(Digest.sha256(nonce + self.serialized))
        channelHeader.extension = try extensions.serializedBytes()
        var header = Common_Header()
        header.channelHeader = try channelHeader.serializedBytes()
        header.signatureHeader = try self.header(nonce).serializedBytes()
        var invocation = Protos_ChaincodeInvocationSpec()
        invocation.chaincodeSpec.chaincodeID.name = contract
        invocation.chaincodeSpec.input.args = [Data(function.utf8), Data(channel.utf8)]
        var payload = Protos_ChaincodeProposalPayload()
        payload.input = try invocation.serializedBytes()
        var proposal = Protos_Proposal()
        proposal.header = try header.serializedBytes()
        proposal.payload = try payload.serializedBytes()
        var signed = Protos_SignedProposal()
        signed.proposalBytes = try proposal.serializedBytes()
        signed.signature = try self.sign(signed.proposalBytes)
        return signed
    }
}

/// Everybody whom a node must turn away.
final class HostileCast: Sendable {
    private struct Authority: Sendable {
        var certificate: Certificate
        var key: PrivateKey
    }

    private struct State: Sendable {
        var authority: Authority?
        var revoked: HostileCreator?
    }

    private let state = Mutex(State())

    /// Revokes a member, and takes the organization's authority, before the channel is made.
    func prepare(_ organization: OrganizationAuthority?) throws {
        guard let organization else { throw TestConsortium.Missing(what: "organization") }
        let issued = try organization.issue(IssueRequest(name: "mallory", role: .client), now: Date())
        let folder = URL(fileURLWithPath: organization.path)
        let key = try PrivateKey(
            pem: Data(contentsOf: URL(fileURLWithPath: "\(issued.path)/msp/keystore/priv_sk"))
        )
        let revoked = try HostileCreator("revoked", pem: issued.enrollment.pem, key: key)
        _ = try organization.revoke(issued.name, now: Date())
        let names = try FileManager.default.contentsOfDirectory(
            atPath: folder.appendingPathComponent("ca").path
        )
        guard let file = names.first(where: { $0.hasSuffix("-cert.pem") }) else {
            throw TestConsortium.Missing(what: "authority")
        }
        let authority = Authority(
            certificate: try Certificate(pem: Data(contentsOf: folder.appendingPathComponent("ca/\(file)"))),
            key: try PrivateKey(pem: Data(contentsOf: folder.appendingPathComponent("ca/priv_sk")))
        )
        self.state.withLock { $0 = State(authority: authority, revoked: revoked) }
    }

    func strangers() throws -> [HostileCreator] {
        let state = self.state.withLock { $0 }
        guard let authority = state.authority, let revoked = state.revoked else {
            throw TestConsortium.Missing(what: "prepared authority")
        }
        let key = try PrivateKey.generate(.p256)
        func issued(_ name: String, _ change: (inout CertificateTemplate) -> Void) throws -> HostileCreator {
            var template = try Self.template("client")
            change(&template)
            let certificate = try template.issued(
                for: key.publicKey,
                by: authority.certificate,
                with: authority.key
            )
            return try HostileCreator(name, pem: certificate.pem, key: key)
        }
        let honest = try Self.template("client")
            .issued(for: key.publicKey, by: authority.certificate, with: authority.key)
        let other = try PrivateKey.generate(.p256)
        var strangers = [
            revoked,
            try issued("expired") {
                $0.notBefore = Date(timeIntervalSinceNow: -200)
                $0.notAfter = Date(timeIntervalSinceNow: -100)
            },
            try HostileCreator("wrongly keyed", pem: honest.pem, key: other),
            try HostileCreator("authority as member", pem: authority.certificate.pem, key: authority.key),
            try issued("client authentication only") { $0.extendedKeyUsages = [.clientAuthentication] },
            try issued("born before its authority") { $0.notBefore = Date(timeIntervalSince1970: 1_000_000) },
            try issued("20,000 names") { template in
                template.extendedKeyUsages = [.clientAuthentication]
                template.subjectAlternativeNames = (0..<20_000).map { .dns("host\($0).example.com") }
            },
            try HostileCreator(
                "of an organization unknown here",
                mspID: "StrangerMSP",
                pem: honest.pem,
                key: key
            ),
            try HostileCreator("of no organization", mspID: "", pem: honest.pem, key: key),
            try HostileCreator(
                "of another member of the channel",
                mspID: "AuditorMSP",
                pem: honest.pem,
                key: key
            ),
        ]
        strangers += try self.outsiders(honest: honest, key: key)
        strangers += try self.malformed(honest: honest, key: key)
        for (name, units) in [("role-less", []), ("two roles", ["client", "peer"])] {
            let subject =
                units.map { DistinguishedName.Attribute.organizationalUnit($0) } + [.commonName(name)]
            let subjectName = try DistinguishedName(subject)
            strangers.append(try issued(name) { $0.subject = subjectName })
        }
        return strangers
    }

    /// Well-formed certificates of somebody else.
    private func outsiders(honest: Certificate, key: PrivateKey) throws -> [HostileCreator] {
        var root = try Self.template("client")
        root.isCA = true
        root.keyUsage = [.certificateSigning]
        let rootKey = try PrivateKey.generate(.p256)
        let authority = try root.selfSigned(with: rootKey)
        let foreign = try Self.template("client").issued(for: key.publicKey, by: authority, with: rootKey)
        // An authority that calls itself what the honest one is called, as another channel's could.
        var namesake = root
        namesake.subject = honest.issuer
        let twin = try namesake.selfSigned(with: rootKey)
        let impostor = try Self.template("client").issued(for: key.publicKey, by: twin, with: rootKey)
        return [
            try HostileCreator("foreign", pem: foreign.pem, key: key),
            try HostileCreator("of another channel's authority of that name", pem: impostor.pem, key: key),
            try HostileCreator(
                "self-signed",
                pem: Self.template("client").selfSigned(with: key).pem,
                key: key
            ),
        ]
    }

    /// What is no certificate, or one that cannot be read.
    private func malformed(honest: Certificate, key: PrivateKey) throws -> [HostileCreator] {
        func altered(_ name: String, _ der: Data) throws -> HostileCreator {
            try HostileCreator(name, pem: PEMBlock.encode(der, type: "CERTIFICATE"), key: key)
        }
        // The object identifier of P-256, and one of a curve that Fabric does not know, of the same length.
        var foreignCurve = honest.der
        let p256 = Data([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07])
        if let range = foreignCurve.range(of: p256) { foreignCurve[range.upperBound - 1] = 0x01 }
        var broken = honest.der
        broken[broken.startIndex + 40] ^= 0xff
        return [
            try altered("on another curve", foreignCurve),
            try altered("cut off", honest.der.dropLast(20)),
            try altered("with bytes behind it", honest.der + Data([0, 1, 2])),
            try altered("with a broken byte", broken),
            try altered("of endless length", Data([0x30, 0x84, 0xff, 0xff, 0xff, 0xff]) + honest.der),
            try altered("nested without end", Data((0..<20_000).flatMap { _ in [0x30, 0x80] as [UInt8] })),
            try altered("empty", Data()),
            try HostileCreator("no PEM", pem: Data("hello".utf8), key: key),
            try HostileCreator(
                "PEM without end",
                pem: Data("-----BEGIN CERTIFICATE-----\nMIIB".utf8),
                key: key
            ),
            HostileCreator("no identity at all", serialized: Data()) { try key.sign($0) },
            HostileCreator("no message", serialized: Data(repeating: 0xff, count: 300)) { try key.sign($0) },
            HostileCreator("honest, without a signature", serialized: try Self.serialized(honest)) { _ in
                Data()
            },
            HostileCreator("honest, with a senseless signature", serialized: try Self.serialized(honest)) {
                _ in
                Data(repeating: 0x30, count: 72)
            },
        ]
    }

    private static func serialized(_ certificate: Certificate) throws -> Data {
        var identity = Msp_SerializedIdentity()
        identity.mspid = "UtilityMSP"
        identity.idBytes = certificate.pem
        return try identity.serializedBytes()
    }

    private static func template(_ unit: String) throws -> CertificateTemplate {
        CertificateTemplate(
            subject: try DistinguishedName([.organizationalUnit(unit), .commonName("mallory")]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date(timeIntervalSinceNow: -60),
            notAfter: Date(timeIntervalSinceNow: 86_400),
            keyUsage: .digitalSignature
        )
    }
}
