import Channel
import Consensus
import FabricProtos
import Foundation
import GRPCCore
import Simulation
import SwiftProtobuf

@testable import Orderer

/// The ways from one consenter to the others, through the simulated network.
final class ChainLinks: ConsenterLinks, @unchecked Sendable {
    // Why `@unchecked`: a simulation runs on one thread.

    private unowned let node: ChainNode
    private let life: Int
    private var membership: ClusterMembership?

    init(node: ChainNode, life: Int) {
        self.node = node
        self.life = life
    }

    func configure(_ membership: ClusterMembership, own: NodeID) { self.membership = membership }

    func send(_ request: Orderer_ConsensusRequest, to node: NodeID) -> Bool {
        self.send(.consensus(request), to: node)
    }

    func send(_ request: Orderer_SubmitRequest, to node: NodeID) -> Bool {
        self.send(.submit(request, until: .max), to: node)
    }

    private func send(_ content: ChainCluster.Parcel.Content, to node: NodeID) -> Bool {
        // What a dead process sends goes nowhere.
        guard self.node.life == self.life, self.node.acts() else { return true }
        guard let member = self.membership?.member(node),
            let machine = ChainIdentities.machine(at: member.endpoint)
        else { return false }
        return self.node.cluster.send(content, from: self.node, to: machine, known: node)
    }

    func ask(_ node: NodeID, patience: Duration) {
        guard self.node.life == self.life, self.node.acts() else { return }
        guard let member = self.membership?.member(node),
            let machine = ChainIdentities.machine(at: member.endpoint)
        else { return }
        self.node.cluster.ask(machine, by: self.node, known: node)
    }
}

/// The way to other orderers' blocks: what they have comes at once, and takes its time.
struct ChainPulls: ClusterNetwork {
    unowned let node: ChainNode
    let life: Int

    func open(_ stream: any ClusterStream, rootsPEM: String) { stream.close() }

    func ask(
        _ member: ClusterMember,
        rootsPEM: String,
        patience: Duration,
        silent: @escaping @Sendable () -> Void
    ) {}

    func run(_ pull: BlockPull) {
        if self.node.streamsBlocks { return self.stream(pull) }
        defer { pull.end(RPCError(code: .unavailable, message: "the orderer has no more blocks")) }
        guard self.node.life == self.life, self.node.acts(),
            let machine = ChainIdentities.machine(at: pull.source.address)
        else { return }
        self.node.spend(self.node.cluster.dice.between(2.milliseconds, 20.milliseconds))
        guard let source = self.node.cluster.source(machine, for: self.node.machine) else { return }
        do {
            let payload = try EnvelopeHeaders(pull.request()).payload
            let seek = try Orderer_SeekInfo(serializedBytes: payload.data).start
            let newest = source.height == 0 ? 0 : source.height - 1
            let start = seek.type == .newest(Orderer_SeekNewest()) ? newest : seek.specified.number
            for number in start..<(start + UInt64(BlockPull.capacity)) {
                guard let block = try self.node.cluster.block(number, of: source) else { return }
                guard self.node.acts(), pull.offer(block) == true else { return }
                // Of two and more it is known that they were missed.
                if number == start + 1 { self.node.cluster.counts.catchUps += 1 }
            }
        } catch {
            pull.end(error)
        }
    }

    private func stream(_ pull: BlockPull) {
        guard self.node.life == self.life, self.node.acts(),
            let machine = ChainIdentities.machine(at: pull.source.address)
        else { return pull.end(RPCError(code: .unavailable, message: "the orderer can't be reached")) }
        do {
            try ChainStream(pull, to: self.node, from: machine).begin()
        } catch {
            pull.end(error)
        }
    }
}
