package import Channel
package import FabricProtos
package import Operations
package import RPC

/// How one ordering node runs; a plain value, read once at start.
package struct OrdererNodeConfiguration: Sendable {
    /// `host:port`; port 0 takes any that is free.
    package var listenAddress: String
    /// `nil` for plaintext, which only tests should want.
    package var tls: ServerTLS?
    /// Limits and timings of the gRPC server.
    ///
    /// Its time for a graceful shutdown is short: what waits in a stream is answered when the node begins to stop, and
    /// streams that are merely open need no time.
    package var transport: TransportOptions = {
        var options = TransportOptions()
        options.gracefulShutdownTimeout = .seconds(2)
        return options
    }()
    /// Signs blocks and configuration transactions.
    package var identity: RenewableIdentity
    /// Holds a folder per channel, made if missing: `channels/<channel>/log` and `…/consensus`.
    package var dataFolder: String
    /// The first blocks of channels to begin with; ignored for those that the data folder has already.
    package var genesisBlocks: [Common_Block] = []
    /// When batches are cut; ``CuttingMode/fabric`` restores Fabric's exact cutting.
    package var cutting: CuttingMode = .adaptive
    /// Whether SUCCESS means that the envelope is in a durable block; `false` answers when it is queued, as Fabric.
    package var acknowledgesWhenDurable = true
    /// `false` accepts expired certificates, as Fabric's key `General.Authentication.NoExpirationChecks`.
    package var checksExpiration = true
    /// Threads that check signatures; `nil` takes one per processor.
    package var checkingThreads: Int?
    package var limits = OrdererLimits()
    /// How the node reaches other orderers.
    package var cluster: ClusterSettings
    /// A tick of Raft on this node, where that isn't the channel's, as Fabric's key `Consensus.TickIntervalOverride`.
    package var tickInterval: Duration?
    /// Where the node counts.
    package var metrics = Metrics()
    /// Where the node says what must be well.
    package var health = HealthChecks()

    package init(listenAddress: String, tls: ServerTLS?, identity: SigningIdentity, dataFolder: String) {
        self.listenAddress = listenAddress
        self.tls = tls
        self.identity = RenewableIdentity(identity)
        self.dataFolder = dataFolder
        self.cluster = ClusterSettings(identity: tls.map { RenewableTLSIdentity($0.identity) })
    }
}
