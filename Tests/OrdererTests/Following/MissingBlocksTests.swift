import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// How a consenter gets the blocks that it lacks from orderers of which some are silent, slow or wrong.
@Suite struct MissingBlocksTests {
    /// Orderers by address: how many blocks each gives, from the one that it is asked for.
    private struct Orderers: BlockNetwork {
        let chain: [Common_Block]
        let gives: [String: Int]

        func run(_ pull: BlockPull) {
            guard let seek = pull.seek, let count = self.gives[pull.source.address] else {
                return pull.end(BlocksRefused(status: .notFound))
            }
            for block in self.chain.dropFirst(Int(seek.start.specified.number)).prefix(count) {
                guard pull.offer(block) == true else { return }
            }
        }
    }

    private static func source(_ address: String) -> BlockSource {
        BlockSource(address: address, rootsPEM: "")
    }

    /// Copies as the channel's thread does, while time passes whenever there is nothing to take; returns the blocks and
    /// how long it took.
    private func copy(
        _ gives: [String: Int],
        turn: Duration?,
        rejectsFirst: Bool = false
    ) throws -> (blocks: [Common_Block], time: Duration) {
        let network = try TestNetwork()
        var chain = [network.genesis]
        for number in 1..<40 {
            let envelope: Data = try network.envelope("\(number)").serializedBytes()
            chain.append(.next(after: chain[number - 1].header, envelopes: [envelope]))
        }
        var settings = OrderingChannel.Settings.forTests(network)
        settings.network = Orderers(chain: chain, gives: gives)
        // The order in which they are asked is that of their addresses.
        let places = CountUp()
        settings.random = { places.next() }
        let channel = OrderingChannel(
            configuration: try ChannelConfiguration(configBlock: network.genesis),
            settings: settings
        )
        let missing = MissingBlocks(
            BlockPuller(channel: channel),
            sources: gives.keys.sorted().map(Self.source),
            through: 39,
            patience: .seconds(1),
            turn: turn
        )
        var copied = [chain[0]]
        var now = Duration.zero
        var mayReject = rejectsFirst
        for _ in 0..<10_000 where copied.count < chain.count {
            guard let blocks = try missing.take(from: BlockNumber(copied.count), at: now) else { break }
            if mayReject, !blocks.isEmpty {
                mayReject = false
                try missing.reject(MalformedBlock(number: 1, reason: "the test refuses it"))
                continue
            }
            for block in blocks where block.header.number == BlockNumber(copied.count) {
                copied.append(block)
            }
            if copied.count < chain.count, let look = missing.nextLook(at: now) { now = look }
        }
        return (copied, now)
    }

    @Test("one that gives nothing is left after its patience, one that refuses at once")
    func leavesTheSilent() throws {
        let (blocks, time) = try self.copy(["a": 0, "b": 40], turn: nil)
        #expect(blocks.map(\.header.number) == Array(0..<40))
        #expect(time == .seconds(1))
    }

    @Test("one that ends early is followed by the next")
    func goesOnElsewhere() throws {
        let (blocks, _) = try self.copy(["a": 5, "b": 40], turn: nil)
        #expect(blocks.map(\.header.number) == Array(0..<40))
    }

    @Test("when nobody has more it ends")
    func ends() throws {
        let (blocks, _) = try self.copy(["a": 5, "b": 0], turn: nil)
        #expect(blocks.map(\.header.number) == Array(0..<6))
    }

    @Test("what can't be used is asked of the next")
    func rejects() throws {
        let (blocks, time) = try self.copy(["a": 40, "b": 40], turn: nil, rejectsFirst: true)
        #expect(blocks.count == 40)
        #expect(time == .zero)
    }

    @Test("where orderers may lie, each has a turn, also one that goes on giving a little")
    func takesTurns() throws {
        let network = try TestNetwork()
        var settings = OrderingChannel.Settings.forTests(network)
        var chain = [network.genesis]
        for number in 1..<4 {
            let envelope: Data = try network.envelope("\(number)").serializedBytes()
            chain.append(.next(after: chain[number - 1].header, envelopes: [envelope]))
        }
        let drip = Drip()
        settings.network = drip
        let places = CountUp()
        settings.random = { places.next() }
        let channel = OrderingChannel(
            configuration: try ChannelConfiguration(configBlock: network.genesis),
            settings: settings
        )
        let missing = MissingBlocks(
            BlockPuller(channel: channel),
            sources: ["a", "b"].map(Self.source),
            through: 9,
            patience: .seconds(1),
            turn: .seconds(2)
        )
        #expect(try missing.take(from: 1, at: .zero) == [])
        let first = try #require(drip.pulls.first)
        #expect(first.source.address == "a")
        // A block every 900 ms is never too late for the patience.
        for number in 1..<3 {
            _ = first.offer(chain[number])
            let now = Duration.milliseconds(900 * number)
            #expect(try missing.take(from: BlockNumber(number), at: now)?.count == 1)
        }
        #expect(missing.nextLook(at: .milliseconds(1_800)) == .seconds(2))
        #expect(try missing.take(from: 3, at: .seconds(2)) == [])
        #expect(drip.pulls.map(\.source.address) == ["a", "b"])
        // It was of use: it gets another turn when the other one gives nothing.
        #expect(try missing.take(from: 3, at: .seconds(3)) == [])
        #expect(drip.pulls.map(\.source.address) == ["a", "b", "a"])
    }
}

/// An order for what is shuffled.
private final class CountUp: Sendable {
    private let last = Monitor(UInt64(0))

    func next() -> UInt64 {
        self.last.withLock { last in
            last += 1
            return last
        }
    }
}

/// Orderers that give what the test offers.
private final class Drip: BlockNetwork {
    private let list = Monitor<[BlockPull]>([])

    var pulls: [BlockPull] { self.list.withLock { $0 } }

    func open(_ stream: any ClusterStream, rootsPEM: String) { stream.close() }

    func ask(
        _ member: ClusterMember,
        rootsPEM: String,
        patience: Duration,
        silent: @escaping @Sendable () -> Void
    ) {}

    func run(_ pull: BlockPull) { self.list.withLock { $0.append(pull) } }
}
