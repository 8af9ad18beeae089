import Foundation
import Gossip
import Peer
import Testing

@testable import weft

@Suite struct GossipKeysTests {
    private func read(_ yaml: String) throws -> PeerConfiguration {
        let node = """
            listen: 0.0.0.0:7051
            advertise: peer0.example:7051
            data: /data
            identity: {mspID: Org1MSP, folder: /msp}

            """
        return try PeerConfiguration(ConfigurationSection(yaml: node + yaml, file: "/peer.yaml"))
    }

    @Test func `Without a section everybody reaches the peer where it says, with Fabric's timings`() throws {
        let gossip = try self.read("").gossip
        #expect(gossip.endpoint == "peer0.example:7051")
        #expect(gossip.externalEndpoint == "peer0.example:7051")
        #expect(gossip.options == GossipOptions())
    }

    @Test func `Keys of all depths are read, and read back as they are written`() throws {
        let configuration = try self.read(
            """
            gossip:
              bootstrap: [a.example:1, b.example:2]
              externalEndpoint: ""
              aliveTimeInterval: 1s
              sendBuffSize: 7
              blockGossipEnabled: true
              orgLeader: false
              useLeaderElection: true
              stateInfoRetentionInterval: 40s
              publishStateInfoInterval: 2s
              election: { leaderAliveThreshold: 3s }
              state: { enabled: true, batchSize: 5 }
              pvtData:
                btlPullMargin: 0
                implicitCollectionDisseminationPolicy: { maxPeerCount: 3 }
            """
        )
        let gossip = configuration.gossip
        #expect(gossip.options.bootstrap == ["a.example:1", "b.example:2"])
        #expect(gossip.endpoint == "peer0.example:7051")
        #expect(gossip.externalEndpoint.isEmpty)
        #expect(gossip.options.aliveInterval == .seconds(1))
        #expect(gossip.sendBufferSize == 7)
        #expect(gossip.options.blockGossipEnabled)
        #expect(!gossip.options.orgLeader)
        #expect(gossip.options.useLeaderElection)
        #expect(gossip.options.stateInfoRetention == 20)
        #expect(gossip.options.electionLeaderAliveThreshold == .seconds(3))
        #expect(gossip.options.stateEnabled)
        #expect(gossip.options.stateBatchSize == 5)
        #expect(gossip.options.bTLPullMargin == 0)
        #expect(gossip.options.implicitMaxPeerCount == 3)
        let again = try PeerConfiguration(ConfigurationSection(yaml: configuration.yaml, file: "/peer.yaml"))
        #expect(again.gossip == gossip)
    }

    @Test(
        arguments: [
            ("gossip: { bootstap: [] }", "bootstap"), ("gossip: { state: { on: true } }", "on"),
            ("gossip: { sendBuffSize: many }", "sendBuffSize"),
            ("gossip: { dialTimeout: -1s }", "dialTimeout"),
            ("gossip: { endpoint: nowhere }", "endpoint"), ("gossip: { orgLeader: maybe }", "orgLeader"),
        ]
    )
    func `What can't be meant is refused with its key`(yaml: String, key: String) {
        let error = #expect(throws: ConfigurationError.self) { try self.read(yaml) }
        #expect(error?.description.contains(key) == true)
    }
}
