import Channel
import Consensus
import FabricProtos
import Foundation
import GRPCCore
import Ledger
import Simulation
import SwiftProtobuf

@testable import Orderer

/// The ways from one BFT consenter to the others, through the simulated network.
final class ChainBFTLinks: BFTNetwork, @unchecked Sendable {
    // Why `@unchecked`: a simulation runs on one thread.

    private unowned let node: ChainNode
    private let life: Int
    /// Packs envelopes as a real node does; it opens no stream.
    private let packing: BFTLinks
    private var others: [NodeID] = []

    init(node: ChainNode, life: Int, channel: ChannelID) {
        self.node = node
        self.life = life
        self.packing = BFTLinks(channel: channel, network: NoCluster(), capacity: 1)
    }

    func configure(_ membership: ClusterMembership, own: NodeID) {
        self.others = membership.members.map(\.id).filter { $0 != own }
    }

    func send(_ message: BFTMessage) -> Bool {
        // What a dead process sends goes nowhere.
        guard self.node.life == self.life, self.node.acts() else { return true }
        guard self.others.contains(message.to) else { return false }
        self.node.cluster.say(message, by: self.node)
        return true
    }

    func give(_ envelopes: [OrderingChannel.Waiting], to node: NodeID) {
        guard self.others.contains(node) else { return }
        self.give(envelopes, to: [node])
    }

    func spread(_ envelopes: [OrderingChannel.Waiting]) { self.give(envelopes, to: self.others) }

    private func give(_ envelopes: [OrderingChannel.Waiting], to others: [NodeID]) {
        guard self.node.life == self.life else { return }
        let cluster = self.node.cluster
        // One that censors keeps what its clients send to itself.
        if cluster.isLiar(self.node.machine), cluster.dice.chance(300) { return }
        for request in self.packing.requests(for: envelopes.compactMap { BFTLinks.clientBytes($0) }) {
            for other in others where self.node.acts() {
                _ = cluster.send(.step(request), from: self.node, to: other, known: other)
            }
        }
    }

    func close() {}
}

extension ChainCluster {
    func isLiar(_ machine: UInt64) -> Bool { self.adversary.liars.contains(machine) }

    /// A consenter wants to send a message; what a liar sends instead is its own business.
    func say(_ message: BFTMessage, by node: ChainNode) {
        guard self.isLiar(node.machine) else {
            self.promises.sends(message, liars: self.adversary.liars)
            if let text = self.promises.violation { self.invariants.violated(text) }
            if self.isLiar(message.to) { self.adversary.observe(message) }
            return self.transmit(message, from: node)
        }
        for lie in self.adversary.outgoing(message, of: self) { self.transmit(lie, from: node) }
    }

    /// Sends a message as it is on the wire.
    func transmit(_ message: BFTMessage, from node: ChainNode) {
        do {
            let request = try Weft_Consensus_StepRequest(message, channel: ChainIdentities.channel)
            _ = self.send(.step(request), from: node, to: message.to, known: message.to)
        } catch {
            self.invariants.violated("a message can't be encoded: \(error)")
        }
    }

    /// What the service of a real node does with what other consenters send.
    func receive(
        _ request: Weft_Consensus_StepRequest,
        by node: ChainNode,
        from sender: ChainNode
    ) throws(RPCError) {
        guard let channels = node.process?.channels else { return }
        let key = sender.tlsKey.tlsKey
        let (channel, id) = try BFTService.sender(key, of: request, among: channels)
        if case .message = request.content {
            if self.mutation == .skipProposalRules { self.trust(request, on: channel) }
            return try BFTService.receive(request, from: id, for: channel)
        }
        let bounds = BFTMessageBounds(channel.configuration)
        let envelopes = try SpreadEnvelopes.envelopes(of: request, within: bounds)
        let checked = SpreadEnvelopes.check(envelopes, for: channel)
        self.queue(checked.waiting[...], from: id, on: channel, of: node, until: self.now + 1.seconds)
    }

    /// Queues envelopes, and tries again what finds no room.
    private func queue(
        _ envelopes: ArraySlice<OrderingChannel.Waiting>,
        from id: NodeID,
        on channel: OrderingChannel,
        of node: ChainNode,
        until deadline: Moment
    ) {
        var rest = envelopes
        while let envelope = rest.first {
            guard case .taken = channel.queue(envelope, spreadBy: id) else { break }
            rest = rest.dropFirst()
        }
        node.wake(at: self.now)
        guard !rest.isEmpty, self.now < deadline else { return }
        let life = node.life
        self.after(10.milliseconds) { cluster in
            guard node.life == life else { return }
            cluster.queue(rest, from: id, on: channel, of: node, until: deadline)
        }
    }

    /// Has a node take the envelopes of a proposal for ones that it has checked.
    private func trust(_ request: Weft_Consensus_StepRequest, on channel: OrderingChannel) {
        guard let block = try? Common_Block(serializedBytes: request.block) else { return }
        let sequence = channel.configuration.sequence
        channel.monitor.withLock { state in
            for bytes in block.data.data {
                state.bft.rechecked(
                    OrderingChannel.Waiting(
                        bytes: bytes,
                        size: bytes.count,
                        isConfig: false,
                        sequence: sequence,
                        fingerprint: EnvelopeFingerprint(bytes)
                    )
                )
            }
        }
    }
}

/// A stream of blocks, or headers, from one orderer to another, for as long as both live and want it.
final class ChainStream {
    private let pull: BlockPull
    private unowned let node: ChainNode
    private let life: Int
    private let machine: UInt64
    private var sourceLife: Int?
    private var next: BlockNumber
    private let isHeaders: Bool
    /// Nothing has come yet.
    private var isNew = true

    init(_ pull: BlockPull, to node: ChainNode, from machine: UInt64) throws {
        let payload = try EnvelopeHeaders(pull.request()).payload
        let seek = try Orderer_SeekInfo(serializedBytes: payload.data)
        self.pull = pull
        self.node = node
        self.life = node.life
        self.machine = machine
        self.next = seek.start.specified.number
        self.isHeaders = seek.contentType == .headerWithSig
    }

    func begin() { self.goOn(after: self.node.cluster.dice.between(2.milliseconds, 20.milliseconds)) }

    private func goOn(after length: Moment) {
        self.node.cluster.schedule(.run { self.flow($0) }, at: self.node.effectMoment + length)
    }

    private func flow(_ cluster: ChainCluster) {
        guard self.node.life == self.life, self.node.isUp, !self.pull.isClosed else { return }
        guard let source = cluster.nodes[self.machine], source.isUp,
            self.sourceLife.map({ $0 == source.life }) ?? true
        else { return self.end() }
        guard cluster.source(self.machine, for: self.node.machine) != nil else {
            // A connection that broke is noticed soon, or late.
            return cluster.dice.chance(100) ? self.end() : self.goOn(after: 200.milliseconds)
        }
        self.sourceLife = source.life
        do {
            var offered = 0
            for _ in 0..<20 {
                guard var block = try cluster.block(self.next, of: source) else { break }
                if !self.isHeaders, source.withholds { break }
                if self.isHeaders, !block.isConfigBlock { block.clearData() }
                guard let isWanted = self.pull.offer(block) else { break }
                guard isWanted else { return }
                self.next += 1
                offered += 1
            }
            // Of two and more at the begin it is known that they were missed.
            if self.isNew, !self.isHeaders, offered > 1 { cluster.counts.catchUps += 1 }
            self.isNew = false
            if offered > 0 { self.node.wake(at: cluster.now) }
            self.goOn(after: cluster.dice.between(20.milliseconds, 100.milliseconds))
        } catch {
            self.end()
        }
    }

    private func end() {
        self.pull.end(RPCError(code: .unavailable, message: "the orderer is gone"))
        self.node.wake(at: self.node.cluster.now)
    }
}
