import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf

/// A BFT channel of one organization, with the keys of its consenters, whose numbers are 1 to n.
struct BFTTestChannel: Sendable {
    let channelID: ChannelID
    /// By their place in the list of consenters.
    var orderers: [SigningIdentity]
    let genesis: Common_Block
    private let authority: Certificate
    private let authorityKey: PrivateKey
    private let client: SigningIdentity

    init(consenters count: Int, channel: String = "trade") throws {
        self.channelID = try ChannelID(channel)
        self.authorityKey = try PrivateKey.generate(.p256)
        var template = CertificateTemplate(
            subject: try DistinguishedName([.organization("OrdererMSP"), .commonName("ca")]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date(timeIntervalSinceNow: -7200),
            notAfter: Date(timeIntervalSinceNow: 86_400),
            keyUsage: [.digitalSignature, .certificateSigning, .revocationListSigning]
        )
        template.isCA = true
        let (authority, key) = (try template.selfSigned(with: self.authorityKey), self.authorityKey)
        self.authority = authority
        self.client = try Self.issue("client", authority, key)
        self.orderers = try (0..<count).map { try Self.issue("orderer\($0)", authority, key) }
        self.genesis = try GenesisBlock.make(
            channelID: self.channelID,
            profile: Self.profile(Self.consenters(self.orderers), authority),
            nonce: Data(repeating: 1, count: 24),
            timestamp: Date()
        )
    }

    var quorum: Int { BFTBlockValidation.quorum(of: self.orderers.count) }

    /// Another identity of the organization.
    func issue(_ name: String) throws -> SigningIdentity {
        try Self.issue(name, self.authority, self.authorityKey)
    }

    private static func issue(
        _ name: String,
        _ authority: Certificate,
        _ authorityKey: PrivateKey
    ) throws -> SigningIdentity {
        let key = try PrivateKey.generate(.p256)
        let template = CertificateTemplate(
            subject: try DistinguishedName([.organizationalUnit("orderer"), .commonName(name)]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date(timeIntervalSinceNow: -3600),
            notAfter: Date(timeIntervalSinceNow: 3600),
            keyUsage: [.digitalSignature]
        )
        let certificate = try template.issued(for: key.publicKey, by: authority, with: authorityKey)
        return try SigningIdentity(mspID: MSPID("OrdererMSP"), certificate: certificate, key: key)
    }

    private static func consenters(_ orderers: [SigningIdentity]) -> [Common_Consenter] {
        orderers.enumerated().map { index, orderer in
            .with {
                $0.id = UInt32(index + 1)
                $0.host = "127.0.0.1"
                $0.port = UInt32(7050 + index)
                $0.mspID = "OrdererMSP"
                $0.identity = orderer.certificate.pem
            }
        }
    }

    private static func profile(
        _ consenters: [Common_Consenter],
        _ authority: Certificate
    ) throws -> ChannelProfile {
        var fabric = Msp_FabricMSPConfig()
        fabric.name = "OrdererMSP"
        fabric.rootCerts = [authority.pem]
        fabric.cryptoConfig.signatureHashFamily = "SHA2"
        fabric.cryptoConfig.identityIdentifierHashFunction = "SHA256"
        fabric.fabricNodeOus.enable = true
        fabric.fabricNodeOus.clientOuIdentifier.organizationalUnitIdentifier = "client"
        fabric.fabricNodeOus.peerOuIdentifier.organizationalUnitIdentifier = "peer"
        fabric.fabricNodeOus.adminOuIdentifier.organizationalUnitIdentifier = "admin"
        fabric.fabricNodeOus.ordererOuIdentifier.organizationalUnitIdentifier = "orderer"
        let msp = try Msp_MSPConfig.with { $0.config = try fabric.serializedBytes() }
        return ChannelProfile(
            orderer: .init(
                consensus: .bft(options: .fabricDefault, consenters: consenters),
                organizations: [
                    .init(
                        name: "OrdererOrg",
                        msp: msp,
                        policies: .ordererOrganization("OrdererMSP"),
                        ordererEndpoints: consenters.map { "\($0.host):\($0.port)" }
                    )
                ]
            ),
            application: .init(organizations: [])
        )
    }

    // MARK: - Blocks

    /// The next block, signed by some of the consenters.
    ///
    /// - Parameters:
    ///   - previous: The header of the block before.
    ///   - text: Makes the block different from others.
    ///   - signers: Their places in the list; all of them if left out.
    ///   - view: In which the block was decided.
    /// - Returns: The block.
    /// - Throws: An error of a key.
    func block(
        after previous: Common_BlockHeader,
        _ text: String = "data",
        signers: [Int]? = nil,
        view: UInt64 = 0
    ) throws -> Common_Block {
        let envelope = try Common_Envelope.signed(
            .endorserTransaction,
            channel: self.channelID.description,
            data: Data(text.utf8),
            signer: self.client,
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
        var block = Common_Block.next(after: previous, envelopes: [try envelope.serializedBytes()])
        try self.sign(&block, signers: signers, view: view)
        return block
    }

    /// A configuration block after which `orderers` are the consenters.
    func configBlock(
        after previous: Common_BlockHeader,
        orderers: [SigningIdentity],
        sequence: UInt64
    ) throws -> Common_Block {
        var config = Common_Config()
        config.sequence = sequence
        config.channelGroup = try Self.profile(Self.consenters(orderers), self.authority).channelGroup()
        let made = try GenesisBlock.make(
            channelID: self.channelID,
            config: config,
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
        var block = Common_Block.next(after: previous, envelopes: made.data.data)
        try self.sign(&block, signers: nil, view: 0)
        return block
    }

    /// Puts the signatures of consenters into a block.
    func sign(_ block: inout Common_Block, signers: [Int]?, view: UInt64) throws {
        let value = try Self.metadataValue(block.header, view: view)
        let signatures = try (signers ?? Array(self.orderers.indices)).map {
            try self.signature(of: block.header, value: value, by: self.orderers[$0], as: UInt32($0 + 1))
        }
        try Self.put(signatures, value: value, into: &block)
    }

    /// What consenters sign beside the header.
    static func metadataValue(_ header: Common_BlockHeader, view: UInt64) throws -> Data {
        let round = Smartbftprotos_ViewMetadata.with {
            $0.viewID = view
            $0.latestSequence = header.number
        }
        return try Common_OrdererBlockMetadata.with {
            $0.lastConfig = Common_LastConfig()
            $0.consenterMetadata = try round.serializedBytes()
        }.serializedBytes()
    }

    func signature(
        of header: Common_BlockHeader,
        value: Data,
        by signer: SigningIdentity,
        as number: UInt32
    ) throws -> Common_MetadataSignature {
        try .with {
            $0.identifierHeader = try Common_IdentifierHeader.with {
                $0.identifier = number
                $0.nonce = try secureRandomBytes(24)
            }.serializedBytes()
            $0.signature = try signer.sign(value + $0.identifierHeader + header.der)
        }
    }

    static func put(
        _ signatures: [Common_MetadataSignature],
        value: Data,
        into block: inout Common_Block
    ) throws {
        let metadata = Common_Metadata.with {
            $0.value = value
            $0.signatures = signatures
        }
        block.setMetadata(.signatures, try metadata.serializedBytes())
    }
}

extension Common_Block {
    /// The block as it is sent to those who want headers.
    var attestation: Common_Block {
        var block = self
        if !self.isConfigBlock { block.clearData() }
        return block
    }
}
