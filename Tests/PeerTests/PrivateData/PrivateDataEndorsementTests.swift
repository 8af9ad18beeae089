import Channel
import FabricProtos
import Foundation
import Gossip
import Testing

@testable import Peer

/// Private writes reach other peers before they are endorsed.
@Suite struct PrivateDataEndorsementTests {
    private func proposal() throws -> Protos_SignedProposal {
        try #require(
            try EndorsementVector.all().first { $0.id == "053-private-put-two-collections" }
        ).proposal
    }

    @Test func eachCollectionIsSentWithItsDefinition() async throws {
        let exchange = ScriptedExchange()
        let link = PrivateDataLink()
        link.connect(exchange, options: GossipOptions())
        let network = try RecordedNetwork(organization: "AlphaMSP", privateData: link)
        let answer = try await network.endorser.process(self.proposal())
        #expect(answer.hasEndorsement)
        let pushed = exchange.pushed
        #expect(pushed.map(\.collectionName) == ["colab", "colall"])
        #expect(pushed.allSatisfy { $0.namespace == "scriptcc" && $0.privateSimHeight == 107 })
        #expect(
            pushed.map { $0.collectionConfigs.config.map(\.staticCollectionConfig.name) }
                == [["colab"], ["colall"]]
        )
        #expect(pushed.allSatisfy { !$0.privateRwset.isEmpty })
    }

    @Test func aPushThatFailsFailsTheProposal() async throws {
        let exchange = ScriptedExchange(
            failure: PrivateDataNotSpread("collection colab of scriptcc wants 2 other peers, 1 has it")
        )
        let link = PrivateDataLink()
        link.connect(exchange, options: GossipOptions())
        let network = try RecordedNetwork(organization: "AlphaMSP", privateData: link)
        let answer = try await network.endorser.process(self.proposal())
        #expect(!answer.hasEndorsement && answer.response.status == 500)
        #expect(answer.response.message.contains("collection colab of scriptcc wants 2 other peers"))
    }
}
