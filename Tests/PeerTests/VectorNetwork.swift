import Channel
import Cryptography
import FabricProtos
import Foundation
import Ledger
import Logging
import SwiftProtobuf
import TestSupport

@testable import Peer

/// The network that the vectors come from: chains of real peers, and the keys of everybody in it.
enum VectorNetwork {
    /// A node or user, by the folder of its MSP.
    static func identity(_ organization: String, _ folder: String) throws -> SigningIdentity {
        let kind = organization == "order" ? "ordererOrganizations" : "peerOrganizations"
        let msp = VectorReport.folder("msp")
            .appendingPathComponent(
                "cryptogen/\(kind)/\(organization).vec.test/\(folder).\(organization).vec.test/msp"
            )
        let certificates = try FileManager.default.contentsOfDirectory(
            at: msp.appendingPathComponent("signcerts"),
            includingPropertiesForKeys: nil
        )
        return try SigningIdentity(
            mspID: MSPID("\(organization.capitalized)MSP"),
            certificate: Certificate(pem: Data(contentsOf: certificates[0])),
            key: PrivateKey(pem: Data(contentsOf: msp.appendingPathComponent("keystore/priv_sk")))
        )
    }

    static func user(_ organization: String) throws -> SigningIdentity {
        try self.user(organization, "User1")
    }

    static func user(_ organization: String, _ name: String) throws -> SigningIdentity {
        let certificate = "users/\(name)@\(organization).vec.test/msp"
        let folder = VectorReport.folder("msp")
            .appendingPathComponent("cryptogen/peerOrganizations/\(organization).vec.test/\(certificate)")
        let file = try FileManager.default.contentsOfDirectory(
            at: folder.appendingPathComponent("signcerts"),
            includingPropertiesForKeys: nil
        )[0]
        return try SigningIdentity(
            mspID: MSPID("\(organization.capitalized)MSP"),
            certificate: Certificate(pem: Data(contentsOf: file)),
            key: PrivateKey(pem: Data(contentsOf: folder.appendingPathComponent("keystore/priv_sk")))
        )
    }

    static func peer(_ organization: String) throws -> SigningIdentity {
        try self.identity(organization, "peers/peer0")
    }

    static func orderer(_ number: Int = 0) throws -> SigningIdentity {
        try self.identity("order", "orderers/orderer\(number)")
    }

    /// A chain as the orderer delivered it.
    static func chain(_ name: String) throws -> [Common_Block] {
        try BlockFile(contentsOf: VectorReport.folder("blocks").appendingPathComponent("\(name).peer.blocks"))
            .map { bytes in
                var block = try Common_Block(serializedBytes: bytes)
                block.setMetadata(.transactionsFilter, Data())
                block.setMetadata(.commitHash, Data())
                return block
            }
    }

    /// A registry whose ledgers end with the test.
    static func registry() -> ChannelRegistry {
        ChannelRegistry { try Ledger(channelID: $0, stores: .inMemory()) }
    }

    static func pipeline(
        _ channel: PeerChannel,
        privateData: PrivateDataLink? = nil,
        logger: Logger = Self.logger
    ) throws -> CommitPipeline {
        CommitPipeline(
            channel: channel,
            threads: VerificationThreads(count: 2),
            localIdentity: try self.peer("alpha").serialized,
            privateData: privateData,
            logger: logger
        )
    }

    /// The channel of the chain "side", with all its blocks.
    static func sideChannel(in registry: ChannelRegistry) async throws -> PeerChannel {
        let chain = try self.chain("side")
        let channel = try registry.join(chain[0])
        try await self.pipeline(channel).run(AsyncStream(chain.dropFirst()))
        return channel
    }

    /// A block after the channel's last, signed by an orderer.
    static func nextBlock(
        of channel: PeerChannel,
        _ envelopes: [Common_Envelope],
        signer: SigningIdentity
    ) throws -> Common_Block {
        try self.nextBlock(after: channel.ledger.lastHeader, envelopes, signer: signer)
    }

    static func nextBlock(
        after header: Common_BlockHeader?,
        _ envelopes: [Common_Envelope],
        signer: SigningIdentity
    ) throws -> Common_Block {
        var block = Common_Block.next(
            after: header,
            envelopes: try envelopes.map { try $0.serializedBytes() }
        )
        try block.sign(lastConfig: 0, consenterMetadata: Data(), by: signer, nonce: secureRandomBytes(24))
        return block
    }

    /// An envelope that anybody in the channel may have ordered, but that is no transaction.
    static func message(_ channel: PeerChannel, from signer: SigningIdentity) throws -> Common_Envelope {
        try Common_Envelope.signed(
            .message,
            channel: channel.id.description,
            data: Data("message".utf8),
            signer: signer,
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
    }

    static func seek(
        _ channel: String,
        _ seek: Orderer_SeekInfo,
        signer: SigningIdentity,
        timestamp: Date = Date(),
        tlsCertificateHash: Data = Data()
    ) throws -> Common_Envelope {
        try Common_Envelope.signed(
            .deliverSeekInfo,
            channel: channel,
            data: seek.serializedBytes(),
            signer: signer,
            nonce: secureRandomBytes(24),
            timestamp: timestamp,
            tlsCertificateHash: tlsCertificateHash
        )
    }

    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

extension AsyncStream where Element: Sendable {
    init(_ elements: some Sequence<Element>) {
        self.init { continuation in
            for element in elements { continuation.yield(element) }
            continuation.finish()
        }
    }
}
