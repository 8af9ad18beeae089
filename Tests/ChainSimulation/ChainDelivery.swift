import Channel
import FabricProtos
import Foundation
import Simulation

@testable import Orderer

/// A peer that follows a BFT channel, with the real delivery client: blocks from one orderer, headers from all others.
struct ChainDelivery {
    private typealias Decisions = BFTDelivery<UInt64>

    private struct Open {
        var stream: Decisions.Stream
        var next: BlockNumber
        /// The life of the orderer's process.
        var life: Int
    }

    private(set) var height: BlockNumber = 1
    private var lastHeader: Common_BlockHeader
    private var configuration: ChannelConfiguration
    private var decisions: Decisions?
    private var sources: [UInt64] = []
    private var open: [UInt64: Open] = [:]

    init(genesis: Common_Block) throws {
        self.lastHeader = genesis.header
        self.configuration = try ChannelConfiguration(configBlock: genesis)
    }

    /// Does what is to be done at one moment.
    mutating func read(_ cluster: ChainCluster) throws {
        let now = Duration.microseconds(cluster.now)
        if self.sources.isEmpty { self.sources = cluster.members }
        var decisions = self.decisions ?? self.begin(cluster, now)
        defer { self.decisions = decisions }
        if self.sources != cluster.members {
            self.sources = cluster.members
            self.obey(decisions.configure(self.sources, at: now), cluster)
        }
        self.obey(decisions.wake(at: now), cluster)
        for number in self.open.keys.sorted() {
            guard let entry = self.open[number] else { continue }
            try self.read(entry, &decisions, cluster, now)
        }
    }

    private func begin(_ cluster: ChainCluster, _ now: Duration) -> Decisions {
        Decisions(
            sources: self.sources.map { ($0, cluster.dice.number()) }.sorted { $0.1 < $1.1 }.map(\.0),
            header: self.lastHeader,
            configuration: self.configuration,
            timeouts: BFTDeliveryTimeouts(censorship: .seconds(5)),
            at: now
        )
    }

    private mutating func read(
        _ entry: Open,
        _ decisions: inout Decisions,
        _ cluster: ChainCluster,
        _ now: Duration
    ) throws {
        var entry = entry
        guard let source = cluster.nodes[entry.stream.source], source.isUp, source.life == entry.life else {
            self.open[entry.stream.number] = nil
            return self.obey(decisions.ended(entry.stream, at: now), cluster)
        }
        // One that is stopped is silent.
        guard source.pausedUntil <= cluster.now else { return }
        for _ in 0..<20 where self.open[entry.stream.number] != nil {
            guard var block = try cluster.block(entry.next, of: source) else { break }
            switch entry.stream.content {
            case .headers:
                if !block.isConfigBlock { block.clearData() }
                self.obey(decisions.shown(block, on: entry.stream, at: now), cluster)
            case .blocks:
                if source.withholds { return }
                self.obey(
                    decisions.received(block.header.number, on: entry.stream.number, at: now),
                    cluster
                )
                guard self.accept(block, cluster) else {
                    self.open[entry.stream.number] = nil
                    return self.obey(decisions.ended(entry.stream, at: now), cluster)
                }
                if block.isConfigBlock {
                    self.configuration = try ChannelConfiguration(configBlock: block)
                }
                self.obey(
                    decisions.accepted(block.header, configuration: self.configuration, at: now),
                    cluster
                )
            }
            entry.next += 1
            if self.open[entry.stream.number] != nil { self.open[entry.stream.number] = entry }
        }
    }

    /// Checks a block as a peer does; one that passes must be the chain's.
    private mutating func accept(_ block: Common_Block, _ cluster: ChainCluster) -> Bool {
        do {
            try block.checkStructure(after: self.lastHeader, expected: self.height)
            try cluster.invariants.verify(block, under: self.configuration)
        } catch {
            return false
        }
        guard cluster.invariants.blocks.indices.contains(Int(self.height)),
            cluster.invariants.blocks[Int(self.height)] == block.header.hash
        else {
            cluster.invariants.violated("a peer has another block \(self.height)")
            return false
        }
        self.lastHeader = block.header
        self.height += 1
        return true
    }

    private mutating func obey(_ commands: [Decisions.Command], _ cluster: ChainCluster) {
        for command in commands {
            switch command {
            case .open(let stream):
                let life = cluster.nodes[stream.source]?.life ?? 0
                self.open[stream.number] = Open(stream: stream, next: stream.start, life: life)
            case .close(let number): self.open[number] = nil
            case .wake: break  // It looks several times a second.
            case .report(.withheld(let number, let source, let other, _)):
                cluster.trace("a peer leaves machine \(source): machine \(other) shows block \(number)")
            case .report(.lied(let source, _)):
                if !cluster.isLiar(source) {
                    cluster.invariants.violated("a peer takes the headers of machine \(source) for lies")
                }
            }
        }
    }
}
