import Channel
import FabricProtos
import Foundation
import TestSupport
import Testing

/// Which orderer a node takes the blocks of a BFT channel from, whatever f of them do.
@Suite struct BFTDeliveryTests {
    typealias Delivery = BFTDelivery<String>

    /// A chain with a configuration block that replaces a consenter, and for each block one that was not agreed on.
    struct Chain: Sendable {
        var blocks: [Common_Block]
        var forged: [Common_Block]
        var consenters: Int

        init(consenters: Int, length: Int) throws {
            var channel = try BFTTestChannel(consenters: consenters)
            self.consenters = consenters
            self.blocks = [channel.genesis]
            self.forged = [channel.genesis]
            for number in 1..<length {
                let last = self.blocks[number - 1].header
                let signers = Array(0..<consenters).shuffled().prefix(channel.quorum)
                var forged = try channel.block(
                    after: last,
                    "forged",
                    signers: Array(signers.prefix(channel.quorum - 1))
                )
                if number == length / 2 {
                    var next = channel.orderers
                    next[0] = try channel.issue("new")
                    self.blocks.append(try channel.configBlock(after: last, orderers: next, sequence: 1))
                    channel.orderers = next
                } else {
                    self.blocks.append(try channel.block(after: last, "\(number)", signers: Array(signers)))
                }
                if number % 3 == 0 {
                    // Signed by a quorum, but with other data.
                    let lie = forged.data
                    forged = self.blocks[number]
                    forged.data = lie
                }
                self.forged.append(forged)
            }
        }
    }

    private static let chains = Result {
        [try Chain(consenters: 4, length: 14), try Chain(consenters: 7, length: 14)]
    }
    private static let timeouts = BFTDeliveryTimeouts(censorship: .seconds(20))

    /// With f orderers of any kind every block is accepted, in time, and no other one.
    @Test(arguments: seeds(40))
    func everyBlockIsAcceptedInTimeAndNoOther(_ seed: UInt64) throws {
        var dice = SplitMix64(seed: seed)
        let chain = try Self.chains.get()[Int(seed % 2)]
        let faults = BFTBlockValidation.tolerableFailures(of: chain.consenters)
        var conducts = Array(repeating: OrdererConduct.honest, count: chain.consenters)
        for place in conducts.indices.shuffled(using: &dice).prefix(faults) {
            conducts[place] = OrdererConduct.allCases.randomElement(using: &dice) ?? .honest
        }
        let run = try SimulatedDelivery(
            chain: chain.blocks,
            forged: chain.forged,
            conducts: conducts,
            timeouts: Self.timeouts,
            seed: seed
        )
        try run.run(until: .seconds(1_000))
        #expect(run.accepted.count == chain.blocks.count - 1, "\(conducts)")
        // Each faulty source holds a block up for the time of censorship at most; then come pauses and latencies.
        let bound = Self.timeouts.censorship * 17 / 16 * faults + .seconds(3)
        for (accepted, created) in zip(run.accepted, run.times.dropFirst()) {
            #expect(accepted - created <= bound, "\(conducts)")
        }
        #expect(run.liars.allSatisfy { [.lying, .forging].contains(conducts[$0]) })
    }

    /// A single faulty source of each kind, and nothing else wrong.
    @Test(arguments: OrdererConduct.allCases)
    func aFaultySourceIsLeft(_ conduct: OrdererConduct) throws {
        let chain = try Self.chains.get()[0]
        for seed in 100..<104 as Range<UInt64> {
            let run = try SimulatedDelivery(
                chain: chain.blocks,
                forged: chain.forged,
                conducts: [conduct, .honest, .honest, .honest],
                timeouts: Self.timeouts,
                seed: seed
            )
            try run.run(until: .seconds(1_000))
            #expect(run.accepted.count == chain.blocks.count - 1)
            if conduct == .honest { #expect(run.sourceChanges == 1 && run.liars.isEmpty) }
        }
    }

    // MARK: - Step by step

    /// A delivery from the orderers a, b, c and d, begun.
    private func begun(
        _ chain: Chain,
        _ timeouts: BFTDeliveryTimeouts = timeouts
    ) throws -> (delivery: Delivery, streams: [String: Delivery.Stream]) {
        var delivery = Delivery(
            sources: ["a", "b", "c", "d"],
            header: chain.blocks[0].header,
            configuration: try ChannelConfiguration(configBlock: chain.blocks[0]),
            timeouts: timeouts,
            at: .seconds(5)
        )
        let streams = Self.opened(delivery.wake(at: .seconds(5)))
        return (delivery, Dictionary(uniqueKeysWithValues: streams.map { ($0.source, $0) }))
    }

    private static func opened(_ commands: [Delivery.Command]) -> [Delivery.Stream] {
        commands.compactMap { if case .open(let stream) = $0 { stream } else { nil } }
    }

    @Test func oneOrdererGivesBlocksAndTheOthersHeaders() throws {
        let (delivery, streams) = try self.begun(Self.chains.get()[0])
        #expect(delivery.source == "a")
        #expect(streams["a"]?.content == .blocks)
        #expect(["b", "c", "d"].allSatisfy { streams[$0]?.content == .headers })
        #expect(streams.values.allSatisfy { $0.start == 1 })
    }

    @Test func theSourceIsLeftWhenItIsSilentAlthoughASignedHeaderIsShown() throws {
        let chain = try Self.chains.get()[0]
        var (delivery, streams) = try self.begun(chain)
        let b = try #require(streams["b"])
        let a = try #require(streams["a"])
        let commands = delivery.shown(chain.blocks[1].attestation, on: b, at: .seconds(10))
        guard case .wake(let delay)? = commands.last else { throw SimulatedDelivery.AcceptedForgery() }
        #expect(delay == Self.timeouts.silence)
        #expect(Self.opened(delivery.wake(at: .seconds(11.9))).isEmpty)
        let leaving = delivery.wake(at: .seconds(12))
        #expect(leaving.contains { if case .close(a.number) = $0 { true } else { false } })
        #expect(delivery.source == "b")
        // After a pause the next one gives blocks, and the old one shows headers.
        let opened = Self.opened(leaving + delivery.wake(at: .seconds(12.2)))
        #expect(opened.first { $0.source == "b" }?.content == .blocks)
        #expect(opened.first { $0.source == "a" }?.content == .headers)
    }

    @Test func headersThatNobodySignedDriveNoSourceAway() throws {
        let chain = try Self.chains.get()[0]
        var (delivery, streams) = try self.begun(chain)
        let b = try #require(streams["b"])
        var unsigned = chain.blocks[1].attestation
        unsigned.setMetadata(.signatures, Data())
        _ = delivery.shown(unsigned, on: b, at: .seconds(10))
        let commands = delivery.wake(at: .seconds(100))
        #expect(delivery.source == "a")
        #expect(commands.contains { if case .report(.lied("b", _)) = $0 { true } else { false } })
        #expect(commands.contains { if case .close(b.number) = $0 { true } else { false } })
    }

    /// The time during which the node checks what came is not the source's fault.
    @Test func aSourceOwesNothingWhileTheNodeIsBusy() throws {
        let chain = try Self.chains.get()[0]
        var (delivery, streams) = try self.begun(chain)
        let (a, b) = (try #require(streams["a"]), try #require(streams["b"]))
        _ = delivery.received(1, on: a.number, at: .seconds(6))
        for number in 1...3 {
            _ = delivery.shown(chain.blocks[number].attestation, on: b, at: .seconds(7))
        }
        #expect(Self.opened(delivery.wake(at: .seconds(500))).isEmpty)
        #expect(delivery.source == "a")
        let configuration = try ChannelConfiguration(configBlock: chain.blocks[0])
        _ = delivery.accepted(chain.blocks[1].header, configuration: configuration, at: .seconds(500))
        _ = delivery.wake(at: .seconds(501))
        #expect(delivery.source == "a")
        _ = delivery.wake(at: .seconds(503))
        #expect(delivery.source == "b")
    }

    @Test func pausesGrowWithEachRoundThatFails() throws {
        var (delivery, streams) = try self.begun(Self.chains.get()[0])
        var stream = try #require(streams["a"])
        var now = Duration.seconds(5)
        var pauses: [Duration] = []
        for _ in 0..<40 {
            _ = delivery.ended(stream, at: now)
            let failed = now
            var next: Delivery.Stream?
            while next == nil {
                now += .milliseconds(50)
                next = Self.opened(delivery.wake(at: now)).first { $0.content == .blocks }
            }
            stream = try #require(next)
            pauses.append(now - failed)
        }
        #expect(pauses[0] == .milliseconds(100))
        #expect(pauses[4] == .milliseconds(200))
        #expect(pauses[39] == .seconds(10))
        #expect(pauses == pauses.sorted())
    }

    @Test func otherOrderersAreTakenUpAndThoseThatAreGoneAreLeft() throws {
        var (delivery, streams) = try self.begun(Self.chains.get()[0])
        let a = try #require(streams["a"])
        // The source stays while it is named, the others change.
        var commands = delivery.configure(["e", "a", "b"], at: .seconds(6))
        #expect(delivery.source == "a")
        #expect(Self.opened(commands).map(\.source) == ["e"])
        #expect(commands.count { if case .close = $0 { true } else { false } } == 2)
        commands = delivery.configure(["e", "b"], at: .seconds(7))
        #expect(delivery.source == "e")
        #expect(commands.contains { if case .close(a.number) = $0 { true } else { false } })
        #expect(Self.opened(commands).map(\.source) == ["e"])
        #expect(Self.opened(commands).first?.content == .blocks)
        // Nobody is left: nothing happens until somebody comes.
        _ = delivery.configure([], at: .seconds(8))
        #expect(delivery.source == nil)
        #expect(Self.opened(delivery.wake(at: .seconds(60))).isEmpty)
        #expect(Self.opened(delivery.configure(["b"], at: .seconds(61))).map(\.source) == ["b"])
    }

    @Test func headersFarAheadAreNotRead() throws {
        let chain = try Self.chains.get()[0]
        var (delivery, streams) = try self.begun(chain)
        let b = try #require(streams["b"])
        for number in 1..<chain.blocks.count {
            _ = delivery.shown(chain.blocks[number].attestation, on: b, at: .seconds(6))
        }
        #expect(!delivery.isFarAhead(b))
        #expect(Delivery.window == 1_000)
    }

    /// What one orderer alone can make a node remember is bounded.
    @Test func headersWithHugeMetadataAreRefused() throws {
        let chain = try Self.chains.get()[0]
        var (delivery, streams) = try self.begun(chain)
        let b = try #require(streams["b"])
        var block = chain.blocks[1].attestation
        block.setMetadata(.orderer, Data(count: 2 << 20))
        let commands = delivery.shown(block, on: b, at: .seconds(6))
        #expect(commands.contains { if case .report(.lied("b", _)) = $0 { true } else { false } })
    }
}
