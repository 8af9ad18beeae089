import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Channel
@testable import Consensus
@testable import Orderer

/// What is ordered is the canonical encoding, whether the bytes that came in are it or not.
@Suite struct ReceivedEnvelopeTests {
    private static let envelope = Common_Envelope.with {
        $0.payload = Data(repeating: 1, count: 300)
        $0.signature = Data(repeating: 2, count: 70)
    }

    @Test("bytes that protobuf's libraries write are kept as they are, also in a slice")
    func keepsCanonical() throws {
        let envelopes = [
            Self.envelope, Common_Envelope(), .with { $0.payload = Data([1]) },
            .with { $0.signature = Data([2]) },
        ]
        for envelope in envelopes {
            let bytes: Data = try envelope.serializedBytes()
            let slice = (Data([9, 9, 9]) + bytes + Data([9])).dropFirst(3).dropLast()
            for bytes in [bytes, slice] {
                let received = try ReceivedEnvelope(bytes)
                #expect(received.envelope == envelope)
                #expect(received.bytes == bytes)
                #expect(received.size == envelope.payload.count + envelope.signature.count)
            }
        }
    }

    @Test("other encodings of an envelope are read, and not kept")
    func readsOthers() throws {
        let payload = Data([0x0a, 1, 7])
        let signature = Data([0x12, 1, 8])
        let others: [(String, Data)] = [
            ("fields out of order", signature + payload),
            ("a field twice", Data([0x0a, 1, 6]) + payload + signature),
            ("a length in two bytes", Data([0x0a, 0x81, 0, 7]) + signature),
            ("an unknown field", payload + signature + Data([0x1a, 1, 1])),
        ]
        for (what, bytes) in others {
            let received = try ReceivedEnvelope(bytes)
            #expect(received.envelope.payload == Data([7]), "\(what)")
            #expect(received.envelope.signature == Data([8]), "\(what)")
            #expect(received.bytes == nil, "\(what)")
        }
        let empty = try ReceivedEnvelope(Data([0x0a, 0]) + signature)
        #expect(empty.bytes == nil, "an empty field that is there")
    }

    @Test("what is no envelope is refused")
    func refusesGarbage() {
        for bytes in [Data([0x0a, 200, 1]), Data([0xff]), Data("no envelope".utf8)] {
            #expect(throws: (any Error).self) { try ReceivedEnvelope(bytes) }
        }
    }

    @Test("a block is encoded as SwiftProtobuf does it", arguments: [0, 1, 127, 128, 20_000])
    func encodesBlocks(size: Int) throws {
        var block = Common_Block.next(
            after: nil,
            envelopes: [Data(repeating: 3, count: size), Data(), Data(repeating: 4, count: 5)]
        )
        #expect(try block.encoded() == block.serializedBytes())
        block = .next(after: block.header, envelopes: [])
        block.setMetadata(.signatures, Data(repeating: 5, count: size))
        block.header.number = .max
        #expect(try block.encoded() == block.serializedBytes())
        let deliverable = try DeliverableBlock(block)
        let response = try Orderer_DeliverResponse(serializedBytes: deliverable.whole)
        #expect(response.block == block)
        #expect(
            try Orderer_DeliverResponse(serializedBytes: deliverable.header()).block.metadata
                == block.metadata
        )
        block.unknownFields = try Common_Block(serializedBytes: Data([0x7a, 1, 1])).unknownFields
        #expect(try block.encoded() == block.serializedBytes())
        block.clearData()
        #expect(try block.encoded() == block.serializedBytes())
    }

    @Test("an entry of Raft's log is encoded as SwiftProtobuf does it")
    func encodesEntries() throws {
        for payload in [[], [1], [UInt8](repeating: 6, count: 70_000)] {
            for number in [UInt64(0), 1, 300, .max] {
                let entry = RaftEntry(
                    position: RaftPosition(index: number, term: number),
                    content: .payload(payload)
                )
                #expect(try Raftpb_Entry.bytes(of: entry) == Raftpb_Entry(entry).serializedBytes())
            }
        }
    }
}
