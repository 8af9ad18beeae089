/// Timings and bounds of gossip, with Fabric's defaults and names.
///
/// - Source: Fabric v3.1, `sampleconfig/core.yaml`, section `peer.gossip`, and the defaults in `gossip/gossip/config.go`,
///   `gossip/discovery`, `gossip/state` and `gossip/election`.
package struct GossipOptions: Equatable, Sendable {
    /// Addresses of own organization's peers to begin with (`bootstrap`).
    package var bootstrap: [String] = []

    // Membership.
    package var aliveInterval: Duration = .seconds(5)
    package var aliveExpiration: Duration = .seconds(25)
    package var reconnectInterval: Duration = .seconds(25)
    package var expirationFactor = 20
    /// How long alive messages carry the certificate (`publishCertPeriod`).
    package var publishCertPeriod: Duration = .seconds(10)
    package var maxConnectionAttempts = 120

    // Spreading.
    package var propagateIterations = 1
    package var propagatePeerNum = 3

    // Pull of identities and blocks.
    package var pullInterval: Duration = .seconds(4)
    package var pullPeerNum = 3
    package var digestWait: Duration = .seconds(1)
    package var requestWait: Duration = .milliseconds(1_500)
    package var responseWait: Duration = .seconds(2)

    // Channel state.
    package var publishStateInfoInterval: Duration = .seconds(4)
    package var requestStateInfoInterval: Duration = .seconds(4)
    package var stateInfoRetention = 100
    package var maxBlockCountToStore = 10

    // State transfer.
    package var stateEnabled = false
    package var stateCheckInterval: Duration = .seconds(10)
    package var stateResponseTimeout: Duration = .seconds(3)
    package var stateBatchSize: UInt64 = 10
    package var stateBlockBufferSize = 20
    package var stateMaxRetries = 3

    // Blocks and leaders.
    package var blockGossipEnabled = false
    package var orgLeader = true
    package var useLeaderElection = false
    package var electionStartupGracePeriod: Duration = .seconds(15)
    package var electionMembershipSampleInterval: Duration = .seconds(1)
    package var electionLeaderAliveThreshold: Duration = .seconds(10)
    package var electionDuration: Duration = .seconds(5)

    // Private data.
    package var pullRetryThreshold: Duration = .seconds(60)
    package var pushAckTimeout: Duration = .seconds(3)
    package var pullResponseWait: Duration = .seconds(5)
    package var bTLPullMargin: UInt64 = 10
    package var reconcileSleepInterval: Duration = .seconds(60)
    package var reconcileBatchSize = 10
    package var reconciliationEnabled = true
    package var skipPullingInvalidTransactions = false
    package var transientstoreMaxBlockRetention: UInt64 = 1_000
    package var implicitRequiredPeerCount = 0
    package var implicitMaxPeerCount = 1

    // Bounds of what one organization may take of this peer's memory, whatever its peers invent. Not in Fabric.
    /// How many peers of one organization are known.
    package var peersPerOrganization = 2_000
    /// How many certificates of one organization's peers are known.
    package var identitiesPerOrganization = 4_000
    /// How many connections there are with one organization's peers.
    package var connectionsPerOrganization = 500

    package init() {}
}
