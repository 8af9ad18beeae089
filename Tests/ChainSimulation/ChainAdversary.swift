import Channel
import Consensus
import FabricProtos
import Foundation
import Simulation
import SwiftProtobuf

@testable import Orderer

/// All lying consenters of a BFT channel together: they see what any of them sees, and say what harms most.
///
/// Each runs the real chain, so that it takes part and leads; what that wants to send passes through
/// ``outgoing(_:of:)``, and ``act(in:)`` adds what no chain says. They can't forge others' signatures.
final class ChainAdversary {
    /// What becomes of a leader's block in one round.
    private enum Plan {
        case honest, silent
        /// Everybody gets this block instead.
        case lie(ProposedBlock)
        /// Half of the consenters get this block instead.
        case equivocation(ProposedBlock)
    }

    let liars: Set<UInt64>
    private let identities: ChainIdentities
    private var seen: [BFTMessage] = []
    private var plans: [BFTRound: Plan] = [:]
    private var ballots: [BFTBallot] = []
    private var votes: [BFTStatement: [NodeID: [UInt8]]] = [:]
    /// The latest place that any of them knows of.
    private var height: UInt64 = 1
    private var view: BFTView = 0
    /// Counts what is made up, so that each is another one.
    private var made: UInt64 = 1 << 40

    init(liars: Set<UInt64>, identities: ChainIdentities) {
        self.liars = liars
        self.identities = identities
    }

    // MARK: - Knowledge

    func observe(_ message: BFTMessage) {
        guard message.height < 1 << 40 else { return }
        if self.seen.count < 200 {
            self.seen.append(message)
        } else {
            self.seen[Int(message.height % 200)] = message
        }
        // What liars say of where they are isn't true.
        if message.height > self.height, !self.liars.contains(message.from) {
            self.height = message.height
            self.ballots.removeAll { $0.round.height + 1 < message.height }
            self.votes = self.votes.filter { $0.key.height + 1 >= message.height }
            self.plans = self.plans.filter { $0.key.height + 1 >= message.height }
        }
        switch message.content {
        case .proposal(let proposal): self.view = max(self.view, proposal.ballot.round.view)
        case .vote(let vote): self.view = max(self.view, vote.ballot.round.view)
        default: break
        }
        for claim in message.claims {
            self.votes[claim.statement, default: [:]][claim.signature.signer] = claim.signature.bytes
            guard case .vote(_, let ballot) = claim.statement, !self.ballots.contains(ballot) else {
                continue
            }
            self.ballots.append(ballot)
        }
    }

    private func signer(_ liar: UInt64) throws -> BFTSigner {
        self.made += 1
        let nonce = ChainIdentities.nonce(self.made)
        return BFTSigner(
            channel: try ChannelID(ChainIdentities.channel),
            signer: RenewableIdentity(self.identities.machines[Int(liar) - 1].signer),
            nonce: { nonce }
        )
    }

    // MARK: - What the chain wanted to say

    func outgoing(_ message: BFTMessage, of cluster: ChainCluster) -> [BFTMessage] {
        self.observe(message)
        do {
            let content: BFTMessage.Content
            switch message.content {
            case .proposal(let proposal):
                guard let lied = try self.proposal(proposal, of: message, cluster) else { return [] }
                content = .proposal(lied)
            case .timeout(var timeout):
                // Lies about its lock.
                if timeout.lock != nil, cluster.dice.chance(500) {
                    timeout.lock = nil
                    let signer = try self.signer(message.from)
                    timeout.signature = try signer.sign(timeout.statement, as: message.from)
                }
                content = .timeout(timeout)
            case .vote, .decision, .payload, .enter:
                if cluster.dice.chance(200) { return [] }
                content = message.content
            case .status, .want: content = message.content
            }
            let said = BFTMessage(from: message.from, to: message.to, content: content)
            self.observe(said)
            return [said]
        } catch {
            cluster.trace("a lie can't be told: \(error)")
            return [message]
        }
    }

    /// What a lying leader proposes to one consenter; `nil` for nothing.
    private func proposal(
        _ proposal: BFTProposal,
        of message: BFTMessage,
        _ cluster: ChainCluster
    ) throws -> BFTProposal? {
        let round = proposal.ballot.round
        let plan = try self.plans[round] ?? self.plan(proposal, by: message.from, cluster)
        self.plans[round] = plan
        switch plan {
        case .honest: return proposal
        case .silent: return nil
        case .equivocation(let other):
            return message.to % 2 == 0 ? try self.propose(other, proposal, by: message.from) : proposal
        case .lie(let lie): return try self.propose(lie, proposal, by: message.from)
        }
    }

    private func propose(
        _ block: ProposedBlock,
        _ honest: BFTProposal,
        by liar: NodeID
    ) throws -> BFTProposal {
        var proposal = honest
        proposal.payload = block.payload
        proposal.ballot.digest = block.digest
        proposal.signature = try self.signer(liar).sign(.vote(.prepare, proposal.ballot), as: liar)
        return proposal
    }

    private func plan(_ proposal: BFTProposal, by liar: NodeID, _ cluster: ChainCluster) throws -> Plan {
        let honest = try ProposedBlock(payload: proposal.payload)
        let chance = cluster.dice.below(1_000)
        if chance < 550 { return .honest }
        if chance < 600 { return .silent }
        let lies = BlockLies(
            honest: honest,
            liar: self.identities.machines[Int(liar) - 1].signer,
            identities: self.identities,
            first: self.made
        )
        self.made += 100
        if chance < 750 {
            guard let other = try lies.otherBlock(cluster) else { return .honest }
            cluster.trace("machine \(liar) proposes two blocks \(honest.block.header.number)")
            return .equivocation(other)
        }
        if chance < 850 {
            guard let censored = try lies.censored(cluster) else { return .honest }
            cluster.trace("machine \(liar) leaves envelopes out of block \(honest.block.header.number)")
            return .lie(censored)
        }
        guard let lie = cluster.dice.pick(BlockLies.Lie.allCases),
            let block = try lies.block(lie, cluster)
        else { return .honest }
        cluster.trace("machine \(liar) proposes block \(honest.block.header.number) that is a lie: \(lie)")
        return .lie(block)
    }

    // MARK: - What no chain says

    func act(in cluster: ChainCluster) {
        guard let liar = cluster.dice.pick(self.liars.sorted()), let node = cluster.nodes[liar], node.lives,
            node.pausedUntil <= cluster.now
        else { return }
        node.forges = cluster.dice.chance(200)
        node.withholds = cluster.dice.chance(200)
        let targets = cluster.consenters.filter { $0 != liar && cluster.dice.chance(600) }
        do {
            for content in try self.contents(by: liar, cluster) {
                for target in targets {
                    let message = BFTMessage(from: liar, to: target, content: content)
                    self.observe(message)
                    cluster.transmit(message, from: node)
                }
            }
            guard cluster.dice.chance(100), let target = cluster.dice.pick(targets) else { return }
            // What can't be read, and envelopes that can't be ordered.
            self.made += 1
            var request = Weft_Consensus_StepRequest()
            request.version = Weft_Consensus_StepRequest.spokenVersion
            request.channel = ChainIdentities.channel
            if cluster.dice.chance(500) {
                request.message = Data(repeating: UInt8(truncatingIfNeeded: self.made), count: 40)
            } else {
                var envelope = try self.identities.envelope(self.made, size: 40)
                envelope.signature = Data(repeating: 1, count: 64)
                request.envelope = try envelope.serializedBytes()
            }
            _ = cluster.send(.step(request), from: node, to: target, known: target)
        } catch {
            cluster.trace("a lie can't be told: \(error)")
        }
    }

    private func contents(by liar: UInt64, _ cluster: ChainCluster) throws -> [BFTMessage.Content] {
        switch cluster.dice.below(10) {
        case 0...3: return try self.voteForEverything(by: liar)
        case 4, 5:
            let view = self.view &+ UInt64(cluster.dice.below(2))
            var timeout = BFTTimeout(height: self.height, view: view, lock: nil, signature: [])
            timeout.signature = try self.signer(liar).sign(timeout.statement, as: liar)
            return [.timeout(timeout)]
        case 6: return self.smallCertificate(cluster)
        case 7:
            let height = cluster.dice.pick([0, self.height, self.height + 3, 1 << 50, .max]) ?? 0
            return [
                .status(height: height, view: .max),
                .want(height: self.height, digest: [UInt8](repeating: 1, count: 90)),
            ]
        default: return cluster.dice.pick(self.seen).map { [$0.content] } ?? []
        }
    }

    /// Votes in both phases for the newest blocks that it knows of.
    private func voteForEverything(by liar: UInt64) throws -> [BFTMessage.Content] {
        var contents: [BFTMessage.Content] = []
        for ballot in self.ballots.suffix(3) {
            for phase in [BFTPhase.prepare, .commit] {
                let signature = try self.signer(liar).sign(.vote(phase, ballot), as: liar)
                contents.append(.vote(BFTVote(phase: phase, ballot: ballot, signature: signature)))
            }
        }
        return contents
    }

    /// A certificate of all votes that it has seen, though they are too few, or doubled.
    private func smallCertificate(_ cluster: ChainCluster) -> [BFTMessage.Content] {
        guard let ballot = cluster.dice.pick(self.ballots),
            let phase = cluster.dice.pick([BFTPhase.prepare, .commit])
        else { return [] }
        var signatures = (self.votes[.vote(phase, ballot)] ?? [:]).sorted { $0.key < $1.key }.map {
            BFTSignature(signer: $0.key, bytes: $0.value)
        }
        signatures += signatures
        let certificate = BFTCertificate(phase: phase, ballot: ballot, signatures: signatures)
        return [
            .decision(certificate, payload: nil),
            .enter(height: ballot.round.height &+ 1, view: ballot.round.view, .decided(certificate)),
        ]
    }
}
