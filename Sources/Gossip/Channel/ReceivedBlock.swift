internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// A block that another peer gave, as far as it could be checked without its predecessor.
struct ReceivedBlock: Sendable {
    let block: Common_Block
    let privateData: [Data]
    let sender: PKIID
    let byteCount: Int
    /// The sequence of the configuration under which its signatures were verified, if they were.
    var signedUnder: UInt64?

    var number: BlockNumber { self.block.header.number }

    /// Reads a block and checks what it says of itself: number, channel, transactions, data hash.
    ///
    /// - Throws: `BlockRefusal`.
    /// - Source: Fabric v3.1, `internal/pkg/peer/gossip`, `VerifyBlock`.
    init(_ payload: Gossip_Payload, from sender: PKIID, _ view: ChannelView) throws(BlockRefusal) {
        let block: Common_Block
        do {
            block = try Common_Block(serializedBytes: payload.data)
            try block.checkStructure(after: nil, expected: payload.seqNum)
        } catch let error as MalformedBlock {
            throw BlockRefusal("\(error)")
        } catch {
            throw BlockRefusal("block \(payload.seqNum) can't be read")
        }
        guard let channel = Self.channel(of: block), channel == view.id.description else {
            throw BlockRefusal("block \(payload.seqNum) is not of this channel")
        }
        self.block = block
        self.privateData = payload.privateData
        self.sender = sender
        self.byteCount = payload.data.count + payload.privateData.reduce(0) { $0 + $1.count }
    }

    private static func channel(of block: Common_Block) -> String? {
        guard let first = block.data.data.first, let envelope = try? Common_Envelope(serializedBytes: first),
            let headers = try? EnvelopeHeaders(envelope)
        else { return nil }
        return headers.channel.channelID
    }

    /// Checks the orderers' signatures under the configuration in force.
    mutating func verifySignatures(_ view: ChannelView) throws(BlockRefusal) {
        guard self.signedUnder != view.configuration.sequence else { return }
        do {
            try self.block.verifySignatures(under: view.configuration)
        } catch {
            throw BlockRefusal("block \(self.number) is not signed by the orderers: \(error)")
        }
        self.signedUnder = view.configuration.sequence
    }
}

/// Why a block from another peer is not taken.
struct BlockRefusal: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
