import Channel
import FabricProtos
import Foundation
import Ledger
import Simulation
import SwiftProtobuf

@testable import Orderer

/// What clients sent, and what they were told.
struct ChainClients {
    /// An envelope whose client wants it ordered.
    struct Submission {
        var envelope: Common_Envelope
        var headers: EnvelopeHeaders
        var fingerprint: EnvelopeFingerprint
        /// How often it was sent.
        var attempt = 0
        /// Where it was sent last.
        var machine: UInt64 = 0
    }

    /// What nobody has acknowledged yet.
    var outstanding: [UInt64: Submission] = [:]
    var last: UInt64 = 0
}

extension ChainCluster {
    /// A client has a new envelope.
    func submitNew() {
        self.clients.last += 1
        let number = self.clients.last
        do {
            let envelope = try self.identities.envelope(number, size: self.dice.between(50, 400))
            let fingerprint = EnvelopeFingerprint(try envelope.serializedBytes())
            self.clients.outstanding[number] = ChainClients.Submission(
                envelope: envelope,
                headers: try EnvelopeHeaders(envelope),
                fingerprint: fingerprint
            )
            self.invariants.sends(fingerprint)
            self.submit(number)
        } catch {
            self.invariants.violated("envelope \(number) can't be made: \(error)")
        }
    }

    /// Sends an envelope to some orderer, and again to another one if no answer comes for as long as this client waits.
    private func submit(_ number: UInt64) {
        guard var submission = self.clients.outstanding[number] else { return }
        guard let machine = self.dice.pick(self.members) else { return }
        submission.attempt += 1
        submission.machine = machine
        self.clients.outstanding[number] = submission
        self.retry(
            number,
            attempt: submission.attempt,
            after: self.dice.between(300.milliseconds, 25.seconds)
        )
        guard let node = self.nodes[machine], let channel = node.channel, node.pausedUntil <= self.now else {
            return self.retry(
                number,
                attempt: submission.attempt,
                after: self.dice.between(50.milliseconds, 500.milliseconds)
            )
        }
        let answered = { [unowned self] (response: Orderer_BroadcastResponse) in
            self.answer(response, number, submission.attempt, from: node)
        }
        do {
            let waiting = try channel.check(submission.envelope, submission.headers)
            let answer = channel.submit(waiting, ChainAnswer(answered).take)
            if let answer { answered(answer) }
        } catch {
            answered(error.response)
        }
        node.wake(at: self.now)
    }

    private func retry(_ number: UInt64, attempt: Int, after length: Moment) {
        self.after(length) { cluster in
            guard cluster.clients.outstanding[number]?.attempt == attempt else { return }
            cluster.submit(number)
        }
    }

    private func answer(
        _ response: Orderer_BroadcastResponse,
        _ number: UInt64,
        _ attempt: Int,
        from node: ChainNode
    ) {
        guard node.lives else { return }
        // Answers of one moment come in any order, and must not change what chance decides elsewhere.
        var dice = Dice(seed: self.seed ^ number << 24 ^ UInt64(attempt))
        let action = { (cluster: ChainCluster) in
            guard response.status == .success else {
                return cluster.retry(
                    number,
                    attempt: attempt,
                    after: cluster.dice.between(20.milliseconds, 1.seconds)
                )
            }
            guard let submission = cluster.clients.outstanding.removeValue(forKey: number) else { return }
            cluster.invariants.acknowledges(number, submission.fingerprint)
        }
        self.schedule(.run(action), at: node.effectMoment + dice.between(1_000, 5_000))
    }

    /// Clients of a machine that went down send to another one soon.
    func crashed(_ machine: UInt64) {
        for (number, submission) in self.clients.outstanding.sorted(by: { $0.key < $1.key })
        where submission.machine == machine {
            self.retry(
                number,
                attempt: submission.attempt,
                after: self.dice.between(20.milliseconds, 2.seconds)
            )
        }
    }

    /// An administrator sends an update; what is refused is not sent again.
    func submit(update: Common_Envelope, to node: ChainNode) {
        guard let channel = node.channel else { return }
        do {
            let waiting = try channel.check(update, EnvelopeHeaders(update))
            self.mayChange = true
            let answered = ChainAnswer { [unowned self] response in
                self.trace("update: \(response.status) \(response.info)")
            }
            if let answer = channel.submit(waiting, answered.take) {
                self.trace("update: \(answer.status) \(answer.info)")
            }
        } catch {
            self.trace("update refused: \(error)")
        }
        node.wake(at: self.now)
    }
}

/// Hears what becomes of an envelope.
private struct ChainAnswer: @unchecked Sendable {
    // Why `@unchecked`: a simulation runs on one thread.
    private let body: (Orderer_BroadcastResponse) -> Void

    init(_ body: @escaping (Orderer_BroadcastResponse) -> Void) { self.body = body }

    var take: @Sendable (Orderer_BroadcastResponse) -> Void { { self.body($0) } }
}

/// A peer that follows the channel: it takes blocks from one orderer, checks each, and asks another one when that one
/// has no more or serves what it must not.
struct ChainReader {
    private(set) var height: BlockNumber = 0
    private var lastHeader: Common_BlockHeader?
    private var configuration: ChannelConfiguration?
    private let genesis: Common_Block
    /// The orderer that it reads from.
    private var source: UInt64 = 1
    /// How often blocks were refused.
    private(set) var refusals = 0

    init(genesis: Common_Block) { self.genesis = genesis }

    mutating func read(_ cluster: ChainCluster) throws {
        var hasProgressed = false
        if let node = cluster.nodes[self.source], node.isUp, node.pausedUntil <= cluster.now {
            for _ in 0..<20 {
                guard let block = try cluster.block(self.height, of: node) else { break }
                do {
                    try block.checkStructure(after: self.lastHeader, expected: self.height)
                    if let configuration, cluster.mutation != .trustPulledBlocks || !node.forges {
                        try cluster.invariants.verify(block, under: configuration)
                    }
                } catch {
                    self.refusals += 1
                    break
                }
                if self.height == 0, block.header != self.genesis.header { break }
                guard cluster.invariants.blocks.indices.contains(Int(self.height)),
                    cluster.invariants.blocks[Int(self.height)] == block.header.hash
                else {
                    return cluster.invariants.violated("a peer has another block \(self.height)")
                }
                if block.isConfigBlock { self.configuration = try ChannelConfiguration(configBlock: block) }
                self.lastHeader = block.header
                self.height += 1
                hasProgressed = true
            }
        }
        if !hasProgressed { self.source = cluster.dice.pick(cluster.members) ?? self.source }
    }
}
