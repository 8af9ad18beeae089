import TestSupport
import Testing

@testable import Orderer

@Suite struct BatchCutterTests {
    /// Feeds sizes in, one per millisecond, and returns the batches that are cut without waiting.
    private func batches(
        of sizes: [Int],
        count: Int = 500,
        bytes: Int = 2 << 20,
        configs: Set<Int> = []
    ) -> (batches: [Int], left: BatchCutter.Decision) {
        var cutter = BatchCutter(
            bounds: BatchBounds(maxMessageCount: count, preferredMaxBytes: bytes, timeout: .seconds(2)),
            mode: .fabric
        )
        var batches: [Int] = []
        for (index, size) in sizes.enumerated() {
            let now = Duration.milliseconds(index)
            cutter.arrived(size: size, isConfig: configs.contains(index), at: now)
            while case .cut(let count) = cutter.decision(at: now) {
                batches.append(count)
                cutter.took(at: now)
            }
        }
        return (batches, cutter.decision(at: .milliseconds(sizes.count)))
    }

    @Test("seven small envelopes with three to a block: 3, 3, and 1 when the time is up")
    func cutsByCount() {
        let result = self.batches(of: Array(repeating: 100, count: 7), count: 3)
        #expect(result.batches == [3, 3])
        #expect(result.left == .wait(until: .milliseconds(2006)))
    }

    @Test("three of 8 KB against 20 KB preferred: blocks of 2 and 1")
    func cutsByBytes() {
        let result = self.batches(of: [8_000, 8_000, 8_000], bytes: 20_000)
        #expect(result.batches == [2])
        #expect(
            result.left == .wait(until: .seconds(2)),
            "the timer goes on from the first envelope, as Fabric's"
        )
    }

    @Test("an envelope larger than preferred stands alone and pushes out what waits: 1, 1, 1")
    func isolatesLargeEnvelopes() {
        let result = self.batches(of: [100, 30_000, 200], bytes: 20_000)
        #expect(result.batches == [1, 1])
        #expect(result.left == .wait(until: .milliseconds(2002)))
    }

    @Test("a config envelope stands alone, behind what waited")
    func isolatesConfig() {
        let result = self.batches(of: [100, 100, 100, 100], configs: [2])
        #expect(result.batches == [2, 1])
        #expect(result.left == .wait(until: .milliseconds(2003)))
    }

    @Test("the timer of a batch is not restarted by later envelopes")
    func timesOut() {
        var cutter = BatchCutter(
            bounds: BatchBounds(maxMessageCount: 10, preferredMaxBytes: 1000, timeout: .seconds(2)),
            mode: .fabric
        )
        #expect(cutter.decision(at: .zero) == .wait(until: nil))
        cutter.arrived(size: 1, isConfig: false, at: .seconds(1))
        cutter.arrived(size: 1, isConfig: false, at: .seconds(2))
        #expect(cutter.decision(at: .seconds(2)) == .wait(until: .seconds(3)))
        #expect(cutter.decision(at: .seconds(3)) == .cut(2))
        cutter.took(at: .seconds(3))
        #expect(cutter.decision(at: .seconds(3)) == .wait(until: nil))
    }

    @Test("new bounds form new batches of what still waits")
    func rebounds() {
        var cutter = BatchCutter(
            bounds: BatchBounds(maxMessageCount: 4, preferredMaxBytes: 1000, timeout: .seconds(2)),
            mode: .fabric
        )
        for _ in 0..<6 { cutter.arrived(size: 1, isConfig: false, at: .zero) }
        #expect(cutter.decision(at: .zero) == .cut(4))
        cutter.rebound(
            BatchBounds(maxMessageCount: 5, preferredMaxBytes: 1000, timeout: .seconds(1)),
            queue: Array(repeating: (size: 1, isConfig: false), count: 6),
            at: .seconds(1)
        )
        #expect(cutter.decision(at: .seconds(1)) == .cut(5))
        cutter.took(at: .seconds(1))
        #expect(cutter.decision(at: .seconds(1)) == .wait(until: .seconds(2)))
    }

    /// What must hold for every batch, whatever arrives and whenever one looks.
    @Test("no bound is ever exceeded, nothing is lost, order is kept", arguments: seeds(100))
    func keepsItsBounds(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let bounds = BatchBounds(
            maxMessageCount: Int.random(in: 1...20, using: &random),
            preferredMaxBytes: Int.random(in: 1...2_000, using: &random),
            timeout: .milliseconds(Int.random(in: 1...2_000, using: &random))
        )
        let mode: CuttingMode = Bool.random(using: &random) ? .adaptive : .fabric
        var cutter = BatchCutter(bounds: bounds, mode: mode)
        var queue: [(size: Int, isConfig: Bool, arrival: Duration)] = []
        var now = Duration.zero
        for _ in 0..<300 {
            now += .microseconds(Int.random(in: 0...20_000, using: &random))
            if Int.random(in: 0..<4, using: &random) > 0 {
                let size = Int.random(in: 1...3_000, using: &random)
                let isConfig = Int.random(in: 0..<20, using: &random) == 0
                queue.append((size, isConfig, now))
                cutter.arrived(size: size, isConfig: isConfig, at: now)
            }
            switch cutter.decision(at: now) {
            case .cut(let count):
                try #require(count >= 1 && count <= queue.count)
                let batch = queue.prefix(count)
                #expect(count <= bounds.maxMessageCount)
                #expect(count == 1 || batch.reduce(0) { $0 + $1.size } <= bounds.preferredMaxBytes)
                #expect(count == 1 || !batch.contains { $0.isConfig })
                queue.removeFirst(count)
                cutter.took(at: now)
            case .wait(until: let moment):
                #expect((moment == nil) == queue.isEmpty)
                if let moment, let first = queue.first {
                    #expect(moment > now && moment <= first.arrival + bounds.timeout)
                }
            }
        }
    }
}
