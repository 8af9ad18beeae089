import Channel
import Consensus
import FabricProtos
import Foundation
import KeyValueStore
import Ledger
import SwiftProtobuf
import Testing

@testable import Orderer

/// One BFT chain, driven by messages that its three fellow consenters signed.
@Suite struct BFTChainTests {
    private let bft: BFTTestNetwork
    private let genesis: Common_Block

    init() throws {
        self.bft = try BFTTestNetwork(4)
        self.genesis = try self.bft.genesis()
    }

    /// Consenter 2, with empty stores, to which no envelope is known.
    private func chain(send: @escaping (BFTMessage) -> Void) throws -> BFTChain {
        try BFTChain(
            BFTChain.Parts(
                channelID: ChannelID("trade"),
                genesis: self.genesis,
                log: BlockLog(store: MemoryStore()),
                consensus: MemoryStore(),
                signer: RenewableIdentity(self.bft.signers[1]),
                nonce: { Data(count: 24) },
                date: { Date() },
                persisting: nil,
                known: { envelopes, _ in envelopes.map { _ in .unknown } },
                checked: { _, _ in },
                send: send
            )
        )
    }

    private func sign(_ statement: BFTStatement, as id: NodeID) throws -> [UInt8] {
        try BFTSigner(
            channel: ChannelID("trade"),
            signer: RenewableIdentity(self.bft.signers[Int(id) - 1]),
            nonce: { Data(count: 24) }
        ).sign(statement, as: id)
    }

    private func vote(_ phase: BFTPhase, _ ballot: BFTBallot, as id: NodeID) throws -> BFTMessage {
        let signature = try self.sign(.vote(phase, ballot), as: id)
        return BFTMessage(
            from: id,
            to: 2,
            content: .vote(BFTVote(phase: phase, ballot: ballot, signature: signature))
        )
    }

    /// What leader 1 proposes behind `previous` in view 0.
    private func proposal(
        _ envelopes: [Data],
        after previous: Common_BlockHeader,
        _ ticket: BFTTicket
    ) throws -> BFTMessage {
        let block = try ProposedBlock(.next(after: previous, envelopes: envelopes), lastConfig: 0)
        let height = previous.number + 1
        let ballot = BFTBallot(
            round: BFTRound(height: height, view: 0, decisionsInView: height - 1),
            digest: block.digest
        )
        let proposal = BFTProposal(
            ballot: ballot,
            payload: block.payload,
            ticket: ticket,
            signature: try self.sign(.vote(.prepare, ballot), as: 1)
        )
        return BFTMessage(from: 1, to: 2, content: .proposal(proposal))
    }

    @Test(
        "a proposal that comes with the last votes on the block before may not repeat that block's transactions",
        arguments: [false, true]
    )
    func judgesWithWhatWasJustDecided(repeats: Bool) throws {
        var sent: [BFTMessage] = []
        let chain = try self.chain { sent.append($0) }
        let envelope: Data = try self.bft.network.envelope(channel: "trade").serializedBytes()
        let first = try self.proposal([envelope], after: self.genesis.header, .founding)
        guard case .proposal(let content) = first.content else { return }
        let commits = try [NodeID(1), 3, 4].map { try self.vote(.commit, content.ballot, as: $0) }
        let signatures = commits.compactMap { message -> BFTSignature? in
            guard case .vote(let vote) = message.content else { return nil }
            return BFTSignature(signer: message.from, bytes: vote.signature)
        }
        let certificate = BFTCertificate(phase: .commit, ballot: content.ballot, signatures: signatures)
        let decided = try ProposedBlock(payload: content.payload).block.header
        let other: Data = try self.bft.network.envelope("other", channel: "trade").serializedBytes()
        let next = try self.proposal(
            [other] + (repeats ? [envelope] : []),
            after: decided,
            .decided(certificate)
        )

        var progress = BFTChain.Progress()
        chain.receive([first] + commits + [next])
        try chain.take([], &progress)
        #expect(progress.applied.map(\.block.header.number) == [1])
        #expect(progress.refusals.count == (repeats ? 1 : 0))
        #expect(progress.refusals.allSatisfy { $0.contains("ordered before") })
        let votes = sent.contains { if case .vote = $0.content { $0.height == 2 } else { false } }
        #expect(votes == !repeats)
    }
}
