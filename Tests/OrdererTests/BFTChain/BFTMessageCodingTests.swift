import Consensus
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@testable import Orderer

/// Messages between BFT consenters, of which some lie.
@Suite struct BFTMessageCodingTests {
    static let bounds = BFTMessageBounds(signatures: 4, blockBytes: 1000, envelopeBytes: 500)
    static let ballot = BFTBallot(
        round: BFTRound(height: 7, view: 3, decisionsInView: 2),
        digest: [UInt8](repeating: 5, count: 32)
    )
    static let signatures = (1...3).map {
        BFTSignature(signer: NodeID($0), bytes: [UInt8](repeating: UInt8($0), count: 71))
    }
    static let prepared = BFTCertificate(phase: .prepare, ballot: ballot, signatures: signatures)
    static let decided = BFTCertificate(phase: .commit, ballot: ballot, signatures: signatures)
    static let timedOut = BFTTimeoutCertificate(
        height: 7,
        view: 4,
        parts: [
            .init(lock: 3, signature: signatures[0]), .init(lock: nil, signature: signatures[1]),
            .init(lock: 0, signature: signatures[2]),
        ],
        lock: prepared
    )

    static let messages: [BFTMessage.Content] = [
        .proposal(BFTProposal(ballot: ballot, payload: [1, 2, 3], ticket: .founding, signature: [9])),
        .proposal(BFTProposal(ballot: ballot, payload: [1], ticket: .decided(decided), signature: [9])),
        .proposal(BFTProposal(ballot: ballot, payload: [1], ticket: .timedOut(timedOut), signature: [9])),
        .vote(BFTVote(phase: .prepare, ballot: ballot, signature: [8])),
        .vote(BFTVote(phase: .commit, ballot: ballot, signature: [8])),
        .timeout(BFTTimeout(height: 7, view: 3, lock: nil, signature: [7])),
        .timeout(BFTTimeout(height: 7, view: 3, lock: prepared, signature: [7])),
        .enter(height: 7, view: 5, .timedOut(timedOut)), .enter(height: 7, view: 5, .decided(decided)),
        .status(height: 0, view: 0), .decision(decided, payload: nil), .decision(decided, payload: [4, 4]),
        .want(height: 7, digest: [1]), .payload(height: 7, [6, 6, 6]),
    ]

    private static func request(_ content: BFTMessage.Content) throws -> Weft_Consensus_StepRequest {
        try Weft_Consensus_StepRequest(BFTMessage(from: 2, to: 3, content: content), channel: "trade")
    }

    private static func read(_ content: BFTMessage.Content) throws -> BFTMessage {
        try BFTMessage(self.request(content), within: self.bounds)
    }

    @Test("a message comes back as it was", arguments: Self.messages)
    func roundTrips(content: BFTMessage.Content) throws {
        let bytes: Data = try Self.request(content).serializedBytes()
        let message = try BFTMessage(Weft_Consensus_StepRequest(serializedBytes: bytes), within: Self.bounds)
        #expect(message == BFTMessage(from: 2, to: 3, content: content))
    }

    @Test(
        "a message that ends early, or has other bytes, is refused or read as another one",
        arguments: messages,
        seeds(3)
    )
    func survivesDamage(content: BFTMessage.Content, seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let request = try Self.request(content)
        let whole = try BFTMessage(request, within: Self.bounds)
        for length in 0..<request.message.count {
            var damaged = request
            damaged.message = request.message.prefix(length)
            #expect((try? BFTMessage(damaged, within: Self.bounds)) != whole)
            damaged.message = request.message
            damaged.message[damaged.message.startIndex + length] = UInt8.random(in: 0...255, using: &random)
            guard let message = try? BFTMessage(damaged, within: Self.bounds) else { continue }
            // Whatever it is now, its claims are within the bounds.
            #expect(message.claims.count <= 2 * Self.bounds.signatures + 1)
        }
    }

    @Test("random bytes are refused, or read within the bounds", arguments: seeds(3))
    func survivesNoise(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<5000 {
            var request = Weft_Consensus_StepRequest()
            request.message = Data(
                (0..<Int.random(in: 0...200, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            )
            guard let message = try? BFTMessage(request, within: Self.bounds) else { continue }
            #expect(message.claims.count <= 2 * Self.bounds.signatures + 1)
        }
    }

    private static func certificate(_ count: Int) -> BFTCertificate {
        BFTCertificate(
            phase: .commit,
            ballot: self.ballot,
            signatures: (0..<count).map { BFTSignature(signer: NodeID($0 + 1), bytes: [1]) }
        )
    }

    @Test("as many signatures as there can be are read, one more is refused")
    func boundsSignatures() throws {
        #expect(throws: Never.self) { try Self.read(.decision(Self.certificate(4), payload: nil)) }
        #expect(throws: UnreadableBFTMessage.self) {
            try Self.read(.decision(Self.certificate(5), payload: nil))
        }
        let parts = Self.certificate(5).signatures.map {
            BFTTimeoutCertificate.Part(lock: nil, signature: $0)
        }
        let ticket = BFTTicket.timedOut(BFTTimeoutCertificate(height: 1, view: 1, parts: parts, lock: nil))
        #expect(throws: UnreadableBFTMessage.self) { try Self.read(.enter(height: 1, view: 2, ticket)) }
    }

    @Test("two signatures of one consenter in a certificate are refused")
    func refusesRepeatedSigners() {
        var certificate = Self.decided
        certificate.signatures[1].signer = 1
        #expect(throws: UnreadableBFTMessage.self) { try Self.read(.decision(certificate, payload: nil)) }
    }

    static let unusable: [BFTMessage.Content] = [
        .want(height: 7, digest: []), .want(height: 7, digest: [UInt8](repeating: 1, count: 129)),
        .vote(BFTVote(phase: .commit, ballot: ballot, signature: [])),
        .vote(BFTVote(phase: .commit, ballot: ballot, signature: [UInt8](repeating: 1, count: 4097))),
        .payload(height: 7, []), .payload(height: 7, [UInt8](repeating: 1, count: 1001)),
        .status(height: .max, view: 1), .status(height: 1, view: 1 << 62),
        .timeout(BFTTimeout(height: 1, view: .max, lock: nil, signature: [1])),
        .decision(
            BFTCertificate(phase: .commit, ballot: ballot, signatures: [BFTSignature(signer: 0, bytes: [1])]),
            payload: nil
        ),
        .decision(
            BFTCertificate(
                phase: .commit,
                ballot: ballot,
                signatures: [BFTSignature(signer: 1 << 32, bytes: [1])]
            ),
            payload: nil
        ),
    ]

    @Test("sizes and numbers that no honest consenter sends are refused", arguments: unusable)
    func refusesUnusable(content: BFTMessage.Content) {
        #expect(throws: UnreadableBFTMessage.self) { try Self.read(content) }
    }

    @Test("a message that says nothing, or has no phase or reason, is refused")
    func refusesEmpty() throws {
        #expect(throws: UnreadableBFTMessage.self) {
            try BFTMessage(Weft_Consensus_StepRequest(), within: Self.bounds)
        }
        var vote = Weft_Consensus_Message()
        vote.vote = try Weft_Consensus_Message(
            serializedBytes: Self.request(.vote(BFTVote(phase: .commit, ballot: Self.ballot, signature: [1])))
                .message
        ).vote
        vote.vote.phase = .unspecified
        var enter = Weft_Consensus_Message()
        enter.enter.height = 1
        for message in [vote, enter] {
            var request = Weft_Consensus_StepRequest()
            request.message = try message.serializedBytes()
            #expect(throws: UnreadableBFTMessage.self) { try BFTMessage(request, within: Self.bounds) }
        }
    }

    @Test("a message that is too large is refused before it is taken apart")
    func boundsBytes() {
        var request = Weft_Consensus_StepRequest()
        request.message = Data(count: Self.bounds.messageBytes + 1)
        #expect {
            try BFTMessage(request, within: Self.bounds)
        } throws: {
            "\($0)".contains("bytes without its block")
        }
    }
}
