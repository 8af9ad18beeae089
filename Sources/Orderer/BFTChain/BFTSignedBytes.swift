internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// The bytes that consenters of a BFT channel sign.
///
/// A commit vote is Fabric's block signature: `OrdererBlockMetadata ‖ identifier header ‖ header`, whose metadata hold
/// the round as `ViewMetadata`. The other statements are Weft's own. They begin with a byte that no protobuf message
/// begins with, so that none of them can be taken for anything else that the same key signs; they name the kind and the
/// channel, and every field has a fixed size or its length before it. `docs/formats/consensus-store.md` has them.
///
/// Source: Fabric v3.1, package `orderer/consensus/smartbft`, assembling and verifying of block signatures.
enum BFTSignedBytes {
    private static let domain = Data("weft.bft.1".utf8)

    private enum Kind: UInt8 {
        case prepare = 1
        case timeout = 2
    }

    /// The bytes of a statement that is no block signature.
    static func statement(_ statement: BFTStatement, channel: ChannelID) -> Data {
        let name = Data(channel.description.utf8)
        var bytes = self.domain
        switch statement {
        case .vote(_, let ballot):
            bytes.append(Kind.prepare.rawValue)
            bytes.append(sized: name)
            bytes.append(contentsOf: ballot.round.height.bigEndianBytes)
            bytes.append(contentsOf: ballot.round.view.bigEndianBytes)
            bytes.append(contentsOf: ballot.round.decisionsInView.bigEndianBytes)
            bytes.append(sized: Data(ballot.digest))
        case .timeout(let height, let view, let lock):
            bytes.append(Kind.timeout.rawValue)
            bytes.append(sized: name)
            bytes.append(contentsOf: height.bigEndianBytes)
            bytes.append(contentsOf: view.bigEndianBytes)
            bytes.append(lock == nil ? 0 : 1)
            bytes.append(contentsOf: (lock ?? 0).bigEndianBytes)
        }
        return bytes
    }

    /// `OrdererBlockMetadata` of a block that was decided in this round.
    static func ordererMetadata(_ round: BFTRound, lastConfig: BlockNumber) throws -> Data {
        var view = Smartbftprotos_ViewMetadata()
        view.viewID = round.view
        view.latestSequence = round.height
        view.decisionsInView = round.decisionsInView
        var metadata = Common_OrdererBlockMetadata()
        metadata.lastConfig.index = lastConfig
        metadata.consenterMetadata = try view.serializedBytes()
        return try metadata.serializedBytes()
    }

    /// What a block signature of `ballot` signs; `nil` if the ballot is about no block.
    static func block(_ ballot: BFTBallot, identifierHeader: Data) -> Data? {
        guard let digest = ProposalDigest(ballot.digest),
            let metadata = try? self.ordererMetadata(ballot.round, lastConfig: digest.lastConfig)
        else { return nil }
        return metadata + identifierHeader + digest.header
    }
}

extension BFTRound {
    /// The round in which a block was decided; `nil` if it was not ordered by BFT consenters.
    init?(of block: Common_Block) throws {
        let bytes = try block.ordererMetadata().orderer.consenterMetadata
        guard !bytes.isEmpty else { return nil }
        let metadata = try Smartbftprotos_ViewMetadata(serializedBytes: bytes)
        self.init(
            height: metadata.latestSequence,
            view: metadata.viewID,
            decisionsInView: metadata.decisionsInView
        )
    }
}

extension Data {
    /// Appends a length in four bytes, and the bytes.
    fileprivate mutating func append(sized bytes: Data) {
        Swift.withUnsafeBytes(of: UInt32(truncatingIfNeeded: bytes.count).bigEndian) {
            self.append(contentsOf: $0)
        }
        self.append(bytes)
    }
}
