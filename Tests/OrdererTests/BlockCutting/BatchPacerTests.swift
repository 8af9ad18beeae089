import TestSupport
import Testing

@testable import Orderer

/// The adaptive cutting, against clients that wait for each answer before they send again.
@Suite struct BatchPacerTests {
    /// What a run of ``simulate(clients:thinking:block:seed:)`` came to, after a time to settle.
    struct Outcome {
        var blockSizes: [Int]
        /// From arrival to answer.
        var latencies: [Duration]

        var meanBlock: Double { Double(self.blockSizes.reduce(0, +)) / Double(max(1, self.blockSizes.count)) }
        var meanLatency: Duration { self.latencies.reduce(.zero, +) / max(1, self.latencies.count) }
    }

    /// Clients in a closed loop: each sends, waits for its block, works for about `thinking`, and sends again.
    ///
    /// The work of all clients shares one processor, so that many clients are bound by `perEnvelope` and not by
    /// `thinking`.
    private func simulate(
        clients: Int,
        thinking: Duration,
        perEnvelope: Duration,
        block: Duration,
        seed: UInt64,
        for length: Duration = .seconds(9)
    ) -> Outcome {
        var random = SplitMix64(seed: seed)
        let bounds = BatchBounds(maxMessageCount: 500, preferredMaxBytes: 2 << 20, timeout: .seconds(2))
        var cutter = BatchCutter(bounds: bounds, mode: .adaptive)
        var arrivals: [Duration] = []  // In order, since the processor takes one at a time.
        var arrived = 0
        var processorFree = Duration.zero
        func send(after moment: Duration) {
            let ready = moment + thinking * Double.random(in: 0.5...1.5, using: &random)
            processorFree = max(processorFree, ready) + perEnvelope
            arrivals.append(processorFree)
        }
        for _ in 0..<clients { send(after: .zero) }
        var queue: [Duration] = []
        var outcome = Outcome(blockSizes: [], latencies: [])
        var now = Duration.zero
        while now < length {
            while arrived < arrivals.count, arrivals[arrived] <= now {
                let next = arrivals[arrived]
                arrived += 1
                queue.append(next)
                cutter.arrived(size: 1000, isConfig: false, at: next)
            }
            switch cutter.decision(at: now) {
            case .cut(let count):
                cutter.took(at: now)
                now += block
                let batch = queue.prefix(count)
                queue.removeFirst(count)
                for arrival in batch {
                    if now > .seconds(4) { outcome.latencies.append(now - arrival) }
                    send(after: now)
                }
                if now > .seconds(4) { outcome.blockSizes.append(count) }
            case .wait(until: let moment):
                now = min(moment ?? length, arrived < arrivals.count ? arrivals[arrived] : length)
            }
        }
        return outcome
    }

    @Test("a client that is alone waits milliseconds, not BatchTimeout", arguments: seeds(3))
    func servesALoneClientAtOnce(seed: UInt64) {
        let outcome = self.simulate(
            clients: 1,
            thinking: .milliseconds(5),
            perEnvelope: .microseconds(300),
            block: .milliseconds(3),
            seed: seed
        )
        #expect(outcome.meanLatency < .milliseconds(8))
    }

    @Test("blocks at saturation reach half of MaxMessageCount", arguments: seeds(3))
    func fillsBlocksAtSaturation(seed: UInt64) {
        let outcome = self.simulate(
            clients: 512,
            thinking: .milliseconds(2),
            perEnvelope: .microseconds(700),
            block: .milliseconds(8),
            seed: seed
        )
        #expect(outcome.meanBlock >= 250)
    }

    @Test("a stray envelope between two waves of many clients is not taken for all of them")
    func keepsTheGoalBetweenWaves() {
        let bounds = BatchBounds(maxMessageCount: 500, preferredMaxBytes: 2 << 20, timeout: .seconds(2))
        var cutter = BatchCutter(bounds: bounds, mode: .adaptive)
        var sizes: [Int] = []
        var now = Duration.zero
        func send(_ count: Int, over time: Duration) {
            for _ in 0..<count {
                now += time / count
                while case .cut(let count) = cutter.decision(at: now) {
                    cutter.took(at: now)
                    sizes.append(count)
                }
                cutter.arrived(size: 1000, isConfig: false, at: now)
            }
        }
        // Each wave is answered with the block that its 250th envelope fills; one more comes 30 ms behind.
        for _ in 0..<20 {
            send(250, over: .milliseconds(40))
            send(1, over: .milliseconds(30))
            now += .milliseconds(100)
        }
        #expect(sizes.suffix(10).allSatisfy { $0 >= 250 }, "\(sizes)")
    }

    @Test("waves of clients, each answered by a block of its own, come together")
    func joinsWaves() {
        let bounds = BatchBounds(maxMessageCount: 500, preferredMaxBytes: 2 << 20, timeout: .seconds(2))
        var cutter = BatchCutter(bounds: bounds, mode: .adaptive)
        // Eight waves of 48 that take a while each until they come again.
        let way = Duration.milliseconds(440)
        var arrivals = (0..<8 * 48).map {
            Duration.milliseconds(55 * ($0 / 48)) + .microseconds(100 * ($0 % 48))
        }
        var arrived = 0
        var sizes: [Int] = []
        var now = Duration.zero
        while now < .seconds(30), arrived < arrivals.count {
            while arrived < arrivals.count, arrivals[arrived] <= now {
                cutter.arrived(size: 1000, isConfig: false, at: arrivals[arrived])
                arrived += 1
            }
            switch cutter.decision(at: now) {
            case .cut(let count):
                cutter.took(at: now)
                now += .milliseconds(20)
                sizes.append(count)
                let last = arrivals.last ?? .zero
                for index in 0..<count {
                    arrivals.append(max(now + way, last) + .microseconds(100 * index))
                }
            case .wait(until: let moment):
                let next = arrived < arrivals.count ? arrivals[arrived] : nil
                guard let later = [moment, next].compactMap(\.self).min() else { return }
                now = later
            }
        }
        #expect(sizes.prefix(8).allSatisfy { $0 <= 2 * 48 }, "\(sizes.prefix(8))")
        #expect(sizes.suffix(8).allSatisfy { $0 >= 2 * 48 }, "\(sizes.suffix(8))")
    }

    @Test("clients fewer than the goal are not kept waiting for more", arguments: [10, 60, 150])
    func doesNotWaitForClientsThatDoNotExist(clients: Int) {
        let outcome = self.simulate(
            clients: clients,
            thinking: .milliseconds(2),
            perEnvelope: .microseconds(500),
            block: .milliseconds(5),
            seed: 7
        )
        // Sharing the processor takes this long; cutting may add a small part of BatchTimeout to it.
        let floor = Duration.microseconds(500) * clients + .milliseconds(7)
        #expect(outcome.meanLatency < floor * 1.6 + .milliseconds(10))
    }
}
