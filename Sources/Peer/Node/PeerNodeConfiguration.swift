package import Channel
package import FabricProtos
package import Operations
package import RPC

/// How one peer runs: plain values, read by the command line from flags and files.
package struct PeerNodeConfiguration: Sendable {
    /// `host:port`; port 0 takes any that is free.
    package var listenAddress: String
    /// `host:port` under which other nodes and clients reach the peer, as its messages name it.
    package var externalEndpoint: String
    /// The peer's TLS towards clients; `nil` for plaintext.
    package var tls: ServerTLS?
    /// The certificate that the peer shows orderers and other peers; `nil` if it has none.
    package var clientTLSIdentity: RenewableTLSIdentity?
    /// Whether orderers and other peers are reached over TLS.
    package var usesTLSToOthers: Bool
    /// Who the peer is: what it endorses and asks for blocks with.
    package var identity: RenewableIdentity
    /// The peer's own organization, whose administrators may administer it.
    package var localMSP: Msp_MSPConfig
    /// The folder that holds the ledgers of all channels.
    package var dataFolder: String
    /// Channels to join at start, unless the peer has joined them already.
    package var genesisBlocks: [Common_Block]
    /// Other ways to orderers than the channels' configurations say.
    package var ordererOverrides: [OrdererOverride]
    /// How blocks of BFT channels are taken.
    package var clusterDelivery = ClusterDeliveryOptions()
    /// How far blocks are read ahead of their commit.
    package var pipelineLimits: CommitPipeline.Limits
    /// Limits and timings of connections.
    package var transport: TransportOptions
    /// How many calls each service takes at once.
    package var concurrency: ConcurrencyLimits
    /// Threads that read blocks and state from disk for clients.
    package var readerThreads: Int
    /// Bounds and timeouts of contracts that run as processes of their own.
    package var contracts = ChaincodeStreamRules.Options()
    /// How contracts are built and started.
    package var launching = LaunchOptions()
    /// How the peer finds others, and who may see it.
    package var gossip = GossipSettings()
    /// Whom the peer tells of other peers.
    package var discovery = DiscoverySettings()
    /// Where the peer counts.
    package var metrics = Metrics()
    /// Where the peer says what must be well.
    package var health = HealthChecks()
    /// Contracts that are part of the peer, by name: each runs once a channel has its definition.
    package var builtInContracts = ContractCatalog.standardBuiltIns

    package init(
        listenAddress: String,
        externalEndpoint: String? = nil,
        tls: ServerTLS? = nil,
        clientTLSIdentity: TLSIdentity? = nil,
        usesTLSToOthers: Bool = true,
        identity: SigningIdentity,
        localMSP: Msp_MSPConfig,
        dataFolder: String,
        genesisBlocks: [Common_Block] = [],
        ordererOverrides: [OrdererOverride] = [],
        pipelineLimits: CommitPipeline.Limits = .init(),
        transport: TransportOptions = TransportOptions(),
        concurrency: ConcurrencyLimits = ConcurrencyLimits(),
        readerThreads: Int = 4
    ) {
        self.listenAddress = listenAddress
        self.externalEndpoint = externalEndpoint ?? listenAddress
        self.tls = tls
        self.clientTLSIdentity = clientTLSIdentity.map(RenewableTLSIdentity.init)
        self.usesTLSToOthers = usesTLSToOthers
        self.identity = RenewableIdentity(identity)
        self.localMSP = localMSP
        self.dataFolder = dataFolder
        self.genesisBlocks = genesisBlocks
        self.ordererOverrides = ordererOverrides
        self.pipelineLimits = pipelineLimits
        self.transport = transport
        self.concurrency = concurrency
        self.readerThreads = readerThreads
    }
}

/// How many calls each service of a peer takes at once; more are refused at once, 0 refuses none.
///
/// - Source: Fabric v3, `peer.limits.concurrency` of core.yaml.
package struct ConcurrencyLimits: Equatable, Sendable {
    package var endorser: Int
    package var gateway: Int

    package init(
        endorser: Int = EndorserService.defaultConcurrency,
        gateway: Int = GatewayService.defaultConcurrency
    ) {
        self.endorser = endorser
        self.gateway = gateway
    }
}
