import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@testable import Gossip

/// What a running Fabric peer said on a stream, and what it answered to.
///
/// Recorded by a client of ours, which played a second peer, with Fabric v3.1: see `Vectors/gossip/README.md`.
@Suite(.enabled(if: VectorReport.applies("gossip") && VectorReport.applies("blocks")))
struct RecordedGossipTests {
    private struct Recorded {
        var isOfPeer: Bool
        var envelope: Gossip_Envelope
        var message: Gossip_GossipMessage
    }

    private let messages: [Recorded]
    private let view: ChannelView

    init() throws {
        var rest = try Data(contentsOf: VectorReport.folder("gossip").appendingPathComponent("stream.bin"))
        var messages: [Recorded] = []
        while let side = rest.popFirst() {
            var length = 0
            var shift = 0
            while let byte = rest.popFirst(), shift < 56 {
                length |= Int(byte & 0x7f) << shift
                shift += 7
                if byte & 0x80 == 0 { break }
            }
            let envelope = try Gossip_Envelope(serializedBytes: rest.prefix(length))
            rest = Data(rest.dropFirst(length))
            messages.append(
                Recorded(
                    isOfPeer: side == UInt8(ascii: "P"),
                    envelope: envelope,
                    message: try Gossip_GossipMessage(serializedBytes: envelope.payload)
                )
            )
        }
        self.messages = messages
        let blocks = VectorReport.folder("blocks").appendingPathComponent("main.peer.blocks")
        var file = try BlockFile(contentsOf: blocks)
        guard let first = file.next() else { throw CancellationError() }
        self.view = try ChannelView(ChannelConfiguration(configBlock: Common_Block(serializedBytes: first)))
    }

    /// The PKI-ID of the recorded peer, or of the client.
    private func name(ofPeer isPeer: Bool) throws -> PKIID {
        for recorded in self.messages where recorded.isOfPeer == isPeer {
            if case .conn(let conn) = recorded.message.content { return try #require(PKIID(conn.pkiID)) }
        }
        throw CancellationError()
    }

    @Test func everyMessageHasItsTag() {
        #expect(self.messages.count == 51)
        #expect(self.messages.filter { !$0.message.hasLegalTag }.isEmpty)
    }

    @Test func stateInfosAndRequestsForThemCarryTheMAC() throws {
        // The peer is in two channels.
        let other = try ChannelID("vecside")
        var count = 0
        for recorded in self.messages {
            switch recorded.message.content {
            case .stateInfoPullReq(let request):
                let name = try self.name(ofPeer: recorded.isOfPeer)
                let isOfOther = request.channelMac == other.mac(of: name.bytes)
                #expect(request.channelMac == self.view.id.mac(of: name.bytes) || isOfOther)
                count += isOfOther ? 0 : 1
            case .stateInfo(let info):
                #expect(info.channelMac == self.view.id.mac(of: info.pkiID))
                count += 1
            case .stateSnapshot(let snapshot):
                #expect(!snapshot.elements.isEmpty)
                for element in snapshot.elements {
                    let info = try Gossip_GossipMessage(serializedBytes: element.payload).stateInfo
                    #expect(info.channelMac == self.view.id.mac(of: info.pkiID))
                    #expect(info.properties.ledgerHeight > 0)
                    #expect(info.timestamp.seqNum >= info.timestamp.incNum)
                }
                count += 1
            default: continue
            }
        }
        #expect(count >= 5)
    }

    /// The same bytes as Fabric's peer sends, and as the client asked for blocks.
    @Test func ownMessagesAreEncodedAsTheRecordedOnes() throws {
        var count = 0
        for recorded in self.messages {
            let message = recorded.message
            switch message.content {
            case .stateRequest(let request):
                let own = self.view.message(
                    .chanOrOrg,
                    nonce: message.nonce,
                    .stateRequest(
                        .with {
                            $0.startSeqNum = request.startSeqNum
                            $0.endSeqNum = request.endSeqNum
                        }
                    )
                )
                #expect(try own.serializedData() == recorded.envelope.payload)
                count += 1
            case .hello(let hello) where hello.msgType == .blockMsg:
                let content = Gossip_GossipHello.with {
                    $0.nonce = hello.nonce
                    $0.msgType = .blockMsg
                }
                let own = self.view.message(.chanAndOrg, .hello(content))
                #expect(try own.serializedData() == recorded.envelope.payload)
                count += 1
            default: continue
            }
        }
        #expect(count == 3)
    }

    /// Blocks from a Fabric peer pass every check that needs no predecessor, and each follows the one before.
    @Test func theBlocksOfAFabricPeerAreTaken() throws {
        let response = try #require(
            self.messages.compactMap { recorded -> Gossip_RemoteStateResponse? in
                guard case .stateResponse(let response) = recorded.message.content else { return nil }
                return response
            }.first
        )
        let sender = try self.name(ofPeer: true)
        var buffer = BlockBuffer(window: 20)
        let first = try #require(response.payloads.first?.seqNum)
        _ = buffer.advance(to: first, nil)
        for payload in response.payloads.reversed() {
            buffer.insert(try ReceivedBlock(payload, from: sender, self.view))
        }
        let (blocks, refused) = buffer.handOver(self.view)
        VectorReport.record(folder: "gossip", name: "stream.bin", holds: refused == nil && blocks.count == 3)
        #expect(refused == nil, "\(String(describing: refused))")
        #expect(blocks.map(\.block.header.number) == [11, 12, 13])
    }
}
