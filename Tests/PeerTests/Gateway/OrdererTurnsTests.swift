import Channel
import Testing

@testable import Peer

/// Whom the gateway asks first.
@Suite struct OrdererTurnsTests {
    private let now = ContinuousClock.now
    private let orderers = ["a", "b", "c"].map {
        OrdererEndpoint(address: $0, tlsRootsPEM: "")
    }

    private func order(_ turns: OrdererTurns, after time: Duration = .zero) -> [String] {
        turns.order(self.orderers, at: self.now + time).map(\.address)
    }

    @Test("one that failed is asked after the others, for a while")
    func avoids() {
        var turns = OrdererTurns()
        turns.failed("b", at: self.now)
        for _ in 0..<20 { #expect(self.order(turns).last == "b") }
        #expect((0..<200).contains { _ in self.order(turns, after: .seconds(11)).last != "b" })
    }

    @Test("one that answers again is as good as any, though all failed together with a silent leader")
    func forgives() {
        var turns = OrdererTurns()
        for (number, orderer) in ["b", "a", "c"].enumerated() {
            turns.failed(orderer, at: self.now + .milliseconds(number))
        }
        #expect(self.order(turns) == ["b", "a", "c"])
        turns.answered("a")
        turns.answered("c")
        for _ in 0..<20 { #expect(self.order(turns).last == "b") }
    }
}
