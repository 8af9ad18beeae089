import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@testable import Channel

/// Slicing must understand every message as SwiftProtobuf does, or peers could disagree.
@Suite struct SlicedMessagesTests {
    /// A transaction's messages, innermost first.
    private struct Sample {
        var response = Data()
        var actionPayload = Data()
        var transaction = Data()
        var signatureHeader = Data()
        var header = Data()
        var payload = Data()
        var envelope = Data()

        init(endorsements: Int) throws {
            var response = Protos_ProposalResponsePayload()
            response.proposalHash = Data(repeating: 1, count: 32)
            response.extension = Data(repeating: 2, count: 300)
            self.response = try response.serializedBytes()
            var actionPayload = Protos_ChaincodeActionPayload()
            actionPayload.chaincodeProposalPayload = Data(repeating: 3, count: 100)
            actionPayload.action.proposalResponsePayload = self.response
            actionPayload.action.endorsements = (0..<endorsements).map { number in
                .with {
                    $0.endorser = Data(repeating: UInt8(number), count: 900)
                    $0.signature = Data(repeating: 4, count: 70)
                }
            }
            self.actionPayload = try actionPayload.serializedBytes()
            var signatureHeader = Common_SignatureHeader()
            signatureHeader.creator = Data(repeating: 5, count: 900)
            signatureHeader.nonce = Data(repeating: 6, count: 24)
            self.signatureHeader = try signatureHeader.serializedBytes()
            var transaction = Protos_Transaction()
            transaction.actions = [
                .with {
                    $0.header = self.signatureHeader
                    $0.payload = self.actionPayload
                }
            ]
            self.transaction = try transaction.serializedBytes()
            var header = Common_Header()
            header.channelHeader = Data(repeating: 7, count: 150)
            header.signatureHeader = self.signatureHeader
            self.header = try header.serializedBytes()
            var payload = Common_Payload()
            payload.header = header
            payload.data = self.transaction
            self.payload = try payload.serializedBytes()
            var envelope = Common_Envelope()
            envelope.payload = self.payload
            envelope.signature = Data(repeating: 8, count: 70)
            self.envelope = try envelope.serializedBytes()
        }
    }

    private func check<M: Message & Equatable>(
        _ bytes: Data,
        _ type: M.Type,
        _ slice: (Data) throws -> M,
        _ place: SourceLocation = #_sourceLocation
    ) {
        // Also as a slice itself, whose indices don't begin at 0.
        let shifted = (Data([9, 9, 9]) + bytes).dropFirst(3)
        #expect((try? slice(bytes)) == (try? M(serializedBytes: bytes)), sourceLocation: place)
        #expect((try? slice(shifted)) == (try? M(serializedBytes: bytes)), sourceLocation: place)
    }

    private func checkAll(_ bytes: Data) {
        self.check(bytes, Protos_ProposalResponsePayload.self) { try .init(slicing: $0) }
        self.check(bytes, Protos_ChaincodeActionPayload.self) { try .init(slicing: $0) }
        self.check(bytes, Protos_Transaction.self) { try .init(slicing: $0) }
        self.check(bytes, Common_SignatureHeader.self) { try .init(slicing: $0) }
        self.check(bytes, Common_Header.self) { try .init(slicing: $0) }
        self.check(bytes, Common_Payload.self) { try .init(slicing: $0) }
        self.check(bytes, Common_Envelope.self) { try .init(slicing: $0) }
    }

    @Test("a plain transaction means what it means to SwiftProtobuf", arguments: [0, 1, 3])
    func understandsPlainMessages(endorsements: Int) throws {
        let sample = try Sample(endorsements: endorsements)
        for bytes in [
            sample.response, sample.actionPayload, sample.transaction, sample.signatureHeader, sample.header,
            sample.payload, sample.envelope, Data(),
        ] {
            self.checkAll(bytes)
        }
    }

    @Test(
        "what is not plain is left to SwiftProtobuf",
        arguments: [
            [0x0a, 0], [0x12, 0], [0x0a, 1, 65, 0x0a, 1, 66], [0x12, 1, 65, 0x0a, 1, 66], [0x02, 0], [0x0a],
            [0x0a, 0x80], [0x0a, 0x81, 0, 65], [0x0a, 5, 1], [0x08, 1], [0x0b, 0x0c], [0x1a, 1, 65],
            [0x0a, 1, 65, 0x1a, 1, 65], [0x8a, 0x01, 1, 65], [0x0d, 1, 2, 3, 4],
            [0x09, 1, 2, 3, 4, 5, 6, 7, 8],
            [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f],
            [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            [0x0a, 2, 0x0a, 0, 0x0a, 2, 0x12, 0],
            [0x12, 2, 0x0a, 0, 0x12, 2, 0x12, 0], [0x0a, 3, 0x1a, 1, 65], [0xff],
        ] as [[UInt8]]
    )
    func leavesOthersAlone(bytes: [UInt8]) {
        self.checkAll(Data(bytes))
    }

    @Test("damaged messages mean what they mean to SwiftProtobuf", arguments: seeds(40))
    func agreesOnDamage(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let sample = try Sample(endorsements: 2)
        for original in [
            sample.envelope, sample.payload, sample.transaction, sample.actionPayload, sample.header,
        ] {
            var bytes = [UInt8](original)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                // Damage near the heads of fields, where it matters, as often as anywhere.
                let place = Int.random(
                    in: 0..<(Bool.random(using: &random) ? 12 : bytes.count),
                    using: &random
                )
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                default: bytes.removeLast(Int.random(in: 0..<bytes.count / 2, using: &random))
                }
            }
            self.checkAll(Data(bytes))
        }
    }
}
