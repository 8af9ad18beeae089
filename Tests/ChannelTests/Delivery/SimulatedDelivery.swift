import Channel
import FabricProtos
import Foundation
import TestSupport

/// How an orderer behaves that blocks are asked from.
enum OrdererConduct: CaseIterable, Sendable {
    case honest
    /// Refuses connections.
    case dead
    /// Takes connections and says nothing.
    case silent
    /// Shows headers, but withholds blocks from some number on.
    case censoring
    /// Gives each block, just before its time is up.
    case dripping
    /// Sends blocks that consenters have not signed, or too few, or other ones than they have signed.
    case forging
    /// Shows headers of blocks that don't exist.
    case lying
    /// Ends its streams now and then.
    case flapping
    /// Sends blocks that the node has already.
    case replaying
}

/// A node that takes blocks from simulated orderers, in virtual time.
final class SimulatedDelivery {
    typealias Delivery = BFTDelivery<Int>

    private struct Event {
        var time: Duration
        var order: Int
        var action: () throws -> Void
    }

    /// Block n is here, and came into being at `times[n]`.
    private let chain: [Common_Block]
    let times: [Duration]
    private let forged: [Common_Block]
    private let conducts: [OrdererConduct]
    private let timeouts: BFTDeliveryTimeouts
    private var dice: SplitMix64
    private var delivery: Delivery
    private var configuration: ChannelConfiguration
    private var open: Set<UInt64> = []
    private var events: [Event] = []
    private var order = 0
    private(set) var now = Duration.zero
    /// When each block was accepted, from block 1 on.
    private(set) var accepted: [Duration] = []
    private(set) var sourceChanges = 0
    private(set) var liars: Set<Int> = []

    init(
        chain: [Common_Block],
        forged: [Common_Block],
        conducts: [OrdererConduct],
        timeouts: BFTDeliveryTimeouts,
        seed: UInt64
    ) throws {
        var dice = SplitMix64(seed: seed)
        self.chain = chain
        self.forged = forged
        self.conducts = conducts
        self.timeouts = timeouts
        var time = Duration.zero
        self.times = chain.map { _ in
            time += .milliseconds(Int.random(in: 1...4_000, using: &dice))
            return time
        }
        self.configuration = try ChannelConfiguration(configBlock: chain[0])
        self.delivery = Delivery(
            sources: Array(conducts.indices).shuffled(using: &dice),
            header: chain[0].header,
            configuration: self.configuration,
            timeouts: timeouts,
            at: .zero
        )
        self.dice = dice
    }

    private var height: Int { self.accepted.count + 1 }

    private func latency() -> Duration { .milliseconds(Int.random(in: 1...40, using: &self.dice)) }

    private func after(_ delay: Duration, _ action: @escaping () throws -> Void) {
        self.order += 1
        self.events.append(Event(time: self.now + delay, order: self.order, action: action))
    }

    /// Runs until all blocks are accepted, or until `end`.
    func run(until end: Duration) throws {
        self.obey(self.delivery.wake(at: .zero))
        while self.height < self.chain.count,
            let next = self.events.indices.min(by: {
                (self.events[$0].time, self.events[$0].order) < (self.events[$1].time, self.events[$1].order)
            })
        {
            let event = self.events.remove(at: next)
            self.now = event.time
            guard self.now <= end else { return }
            try event.action()
        }
    }

    // MARK: - The node

    private func obey(_ commands: [Delivery.Command]) {
        for command in commands {
            switch command {
            case .open(let stream):
                self.open.insert(stream.number)
                if stream.content == .blocks { self.sourceChanges += 1 }
                self.after(self.latency()) { self.serve(stream, Int(stream.start)) }
            case .close(let number): self.open.remove(number)
            case .wake(let delay): self.after(delay) { self.obey(self.delivery.wake(at: self.now)) }
            case .report(.lied(let orderer, _)): self.liars.insert(orderer)
            case .report(.withheld): break
            }
        }
    }

    /// A block has come: it is counted, checked for a while, and accepted or not.
    private func receive(_ block: Common_Block, on stream: Delivery.Stream) {
        self.obey(self.delivery.received(block.header.number, on: stream.number, at: self.now))
        self.after(.milliseconds(Int.random(in: 1...30, using: &self.dice))) {
            guard self.open.contains(stream.number) else { return }
            do {
                let last = self.chain[self.height - 1].header
                try block.checkStructure(after: last, expected: last.number + 1)
                try block.verifySignatures(under: self.configuration)
                if block.isConfigBlock {
                    self.configuration = try ChannelConfiguration(configBlock: block)
                }
            } catch {
                self.end(stream)
                return
            }
            guard block.header == self.chain[self.height].header else { throw AcceptedForgery() }
            self.accepted.append(self.now)
            self.obey(
                self.delivery.accepted(block.header, configuration: self.configuration, at: self.now)
            )
        }
    }

    struct AcceptedForgery: Error {}

    private func end(_ stream: Delivery.Stream) {
        guard self.open.remove(stream.number) != nil else { return }
        self.obey(self.delivery.ended(stream, at: self.now))
    }

    // MARK: - The orderers

    /// Has an orderer send block `number` on a stream, and the ones after it, each once the one before is accepted.
    private func serve(_ stream: Delivery.Stream, _ number: Int) {
        guard self.open.contains(stream.number), number < self.chain.count else { return }
        let conduct = self.conducts[stream.source]
        switch conduct {
        case .dead: return self.end(stream)
        case .silent: return
        case .flapping where Int.random(in: 0..<6, using: &self.dice) == 0: return self.end(stream)
        default: break
        }
        // What does not exist yet comes when it does, and a liar doesn't wait.
        let wait = max(.zero, self.times[number] - self.now)
        guard wait == .zero || conduct == .lying || conduct == .forging else {
            return self.after(wait + self.latency()) { self.serve(stream, number) }
        }
        if stream.content == .headers {
            let isLie = conduct == .lying || (conduct == .forging && wait > .zero)
            let block = isLie ? self.forged[number] : self.chain[number]
            self.obey(self.delivery.shown(block.attestation, on: stream, at: self.now))
        } else {
            switch conduct {
            case .censoring where Int.random(in: 0..<3, using: &self.dice) == 0: return
            case .dripping where number >= self.height:
                let pause = self.timeouts.silence * 0.9
                return self.after(pause) {
                    guard self.open.contains(stream.number) else { return }
                    self.receive(self.chain[number], on: stream)
                    self.after(pause) { self.serve(stream, number + 1) }
                }
            case .forging: self.receive(self.forged[number], on: stream)
            case .replaying: self.receive(self.chain[max(0, number - 1)], on: stream)
            default: self.receive(self.chain[number], on: stream)
            }
        }
        // The node takes the next block when it has checked this one.
        self.after(.milliseconds(40)) { self.serve(stream, number + 1) }
    }
}
