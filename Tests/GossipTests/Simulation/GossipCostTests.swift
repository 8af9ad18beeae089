import GossipSimulation
import Testing

@Suite struct GossipCostTests {
    @Test func aCalmNetworkCostsEachPeerLittle() throws {
        let cost = try GossipCost(peers: 8)
        print("\(GossipCost.heading)\n\(cost.row)")
        #expect(cost.convergence != nil)
        #expect(cost.messagesPerSecond > 1 && cost.messagesPerSecond < 30)
        #expect(cost.bytesPerSecond < 20_000)
    }
}
