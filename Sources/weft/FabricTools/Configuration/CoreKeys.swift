extension FabricKeys {
    /// The keys of `core.yaml`.
    ///
    /// - Source: Fabric v3.1, sample `core.yaml`, and the packages that read it.
    static let core = FabricKeys(corePeer + coreGossip + coreContracts + coreLedger + coreOperations)
}

private let corePeer: [FabricKeys.Group] = [
    .init(
        .used,
        below: "peer",
        [
            "id", "networkId", "listenAddress", "address", "addressAutoDetect", "localMspId", "mspConfigPath",
            "fileSystemPath", "maxRecvMsgSize", "maxSendMsgSize", "keepalive.interval", "keepalive.timeout",
            "keepalive.minInterval", "discovery.enabled", "discovery.orgMembersAllowedAccess",
            "limits.concurrency.endorserService",
            "limits.concurrency.gatewayService",
            "deliveryclient.addressOverrides", "deliveryclient.policy",
            "deliveryclient.blockCensorshipTimeoutKey", "deliveryclient.minimalReconnectInterval",
            "client.connTimeout",
        ]
    ),
    .init(
        .used,
        below: "peer.tls",
        [
            "enabled", "clientAuthRequired", "cert.file", "key.file", "rootcert.file", "clientRootCAs.files",
            "clientCert.file", "clientKey.file", "serverhostoverride",
        ]
    ),
    .init(
        .notYet("certificates are checked against the present time", unless: ["0", "0s"]),
        ["peer.tls.handshakeTimeShift"]
    ),
    .init(.notYet("the gateway is always there", unless: ["true"]), ["peer.gateway.enabled"]),
    .init(.notYet("endorsers get 30 s", unless: ["30s"]), ["peer.gateway.endorsementTimeout"]),
    .init(.notYet("orderers get 30 s", unless: ["30s"]), ["peer.gateway.broadcastTimeout"]),
    .init(
        .notNeeded("connections to other peers are made when they are needed, and again after a failure"),
        ["peer.gateway.dialTimeout"]
    ),
    .init(
        .notNeeded("outgoing connections are checked every minute, with 20 s for the answer"),
        below: "peer.keepalive",
        ["client.interval", "client.timeout", "deliveryClient.interval", "deliveryClient.timeout"]
    ),
    .init(
        .notYet("proposals and requests may be 15 minutes off", unless: ["15m", "900s"]),
        ["peer.authentication.timewindow"]
    ),
    .init(
        .notYet("streams of blocks aren't counted", unless: ["0", "2500"]),
        ["peer.limits.concurrency.deliverService"]
    ),
    .init(
        .notNeeded("block delivery goes to another orderer at once, and tries again for ever"),
        below: "peer.deliveryclient",
        ["connTimeout", "reconnectTotalTimeThreshold", "reConnectBackoffThreshold"]
    ),
    .init(
        .used,
        ["peer.deliveryclient.blockGossipEnabled"]
    ),
    .init(.notYet("MSPs are of type bccsp", unless: ["bccsp"]), ["peer.localMspType"]),
    .init(
        .used,
        below: "peer.BCCSP",
        [
            "Default", "SW.FileKeyStore.KeyStore", "SW.FileKeyStore", "PKCS11.Library", "PKCS11.Label",
            "PKCS11.Pin",
            "PKCS11.Immutable", "PKCS11.AltID", "PKCS11.KeyIds", "PKCS11.KeyIds.*",
        ]
    ),
    .init(
        .notNeeded("what is hashed and signed with is decided by the MSP and the key"),
        below: "peer.BCCSP",
        [
            "SW.Hash", "SW.Security", "PKCS11.Hash", "PKCS11.Security", "PKCS11.SoftwareVerify",
            "PKCS11.FileKeyStore.KeyStore",
        ]
    ),
    .init(
        .notNeeded("there is no profiling endpoint; use the machine's own tools"),
        ["peer.profile.enabled", "peer.profile.listenAddress"]
    ),
    .init(
        .notYet(
            "only Fabric's own filters, endorsement and validation are there",
            unless: ["[…]", "escc", "vscc"]
        ),
        ["peer.handlers.authFilters", "peer.handlers.decorators"]
    ),
    .init(
        .notYet(
            "only Fabric's own endorsement and validation are there",
            unless: ["defaultendorsement", "defaultvalidation"]
        ),
        ["peer.handlers.endorsers.*", "peer.handlers.validators.*"]
    ),
    .init(.notNeeded("validation uses all processors"), ["peer.validatorPoolSize"]),
    .init(
        .notNeeded("who may ask discovery is decided once for each request"),
        below: "peer.discovery",
        ["authCacheEnabled", "authCacheMaxSize", "authCachePurgeRetentionRatio"]
    ),
    .init(
        .notNeeded("a connection has 10 s to become ready"),
        ["peer.connectiontimeout"]
    ),
    .init(
        .notNeeded("keys of Fabric before v2"),
        ["peer.events.*", "peer.adminService.*"]
    ),
    .init(
        .notNeeded("set FABRIC_LOGGING_SPEC in its place, as in Fabric"),
        ["logging.level", "logging_level", "logging.format"]
    ),
]

private let coreGossip: [FabricKeys.Group] = [
    .init(.used, below: "peer.gossip", ["bootstrap", GossipKey.retention] + GossipKey.all.map(\.name)),
    .init(
        .notNeeded("messages are passed on at once, and a peer that sends too fast waits"),
        below: "peer.gossip",
        ["maxPropagationBurstLatency", "maxPropagationBurstSize", "recvBuffSize"]
    ),
    .init(.notYet("blocks are always verified", unless: ["false"]), ["peer.gossip.skipBlockVerification"]),
    .init(
        .notNeeded("blocks from other peers wait in one bounded buffer"),
        ["peer.gossip.state.channelSize", "peer.gossip.nonBlockingCommitMode"]
    ),
]

private let coreContracts: [FabricKeys.Group] = [
    .init(
        .used,
        [
            "chaincode.executetimeout", "chaincode.startuptimeout", "chaincode.installTimeout",
            "chaincode.externalBuilders", "chaincode.externalBuilders.*", "peer.chaincodeListenAddress",
            "peer.chaincodeAddress",
        ]
    ),
    .init(.notYet("contracts that nobody launched are not let in", unless: ["net"]), ["chaincode.mode"]),
    .init(.notYet("connections are kept alive by gRPC alone", unless: ["0"]), ["chaincode.keepalive"]),
    .init(
        .notYet("contracts write their logs as they choose"),
        ["chaincode.logging.level", "chaincode.logging.shim", "chaincode.logging.format"]
    ),
    .init(
        .notYet("contracts may send batches of up to 1,000", unless: ["true", "1000"]),
        [
            "chaincode.runtimeParams.useWriteBatch", "chaincode.runtimeParams.maxSizeWriteBatch",
            "chaincode.runtimeParams.useGetMultipleKeys", "chaincode.runtimeParams.maxSizeGetMultipleKeys",
        ]
    ),
    .init(
        .notNeeded("Weft has no use for Docker"),
        [
            "vm.endpoint", "vm.docker.tls.enabled", "vm.docker.tls.ca.file", "vm.docker.tls.cert.file",
            "vm.docker.tls.key.file", "vm.docker.attachStdout", "vm.docker.hostConfig.*", "chaincode.id.path",
            "chaincode.id.name", "chaincode.builder", "chaincode.pull", "chaincode.golang.runtime",
            "chaincode.golang.dynamicLink", "chaincode.java.runtime", "chaincode.java.Dockerfile",
            "chaincode.node.runtime",
        ]
    ),
    .init(
        .notNeeded("system contracts are always there"),
        ["chaincode.system.*", "chaincode.systemPlugins.*"]
    ),
]

private let coreLedger: [FabricKeys.Group] = [
    .init(.notYet("the state is kept in LevelDB", unless: ["goleveldb"]), ["ledger.state.stateDatabase"]),
    .init(.notYet("queries aren't cut short", unless: ["100000"]), ["ledger.state.totalQueryLimit"]),
    .init(
        .notNeeded("the state is kept in LevelDB, not in CouchDB"),
        below: "ledger.state.couchDBConfig",
        [
            "couchDBAddress", "username", "password", "maxRetries", "maxRetriesOnStartup", "requestTimeout",
            "internalQueryLimit", "maxBatchUpdateSize", "createGlobalChangesDB", "cacheSize",
            "warmIndexesAfterNBlocks", "redoLogPath",
        ]
    ),
    .init(.notYet("the history is always kept", unless: ["true"]), ["ledger.history.enableHistoryDatabase"]),
    .init(.notNeeded("an empty section"), ["ledger.blockchain"]),
    .init(
        .notNeeded("private data that becomes readable later is kept with its block, without a batch job"),
        below: "ledger.pvtdataStore",
        ["collElgProcMaxDbBatchSize", "collElgProcDbBatchesInterval", "deprioritizedDataReconcilerInterval"]
    ),
    .init(
        .notNeeded("private data is deleted in the block at which it expires"),
        ["ledger.pvtdataStore.purgeInterval"]
    ),
    .init(.notYet("purges aren't logged"), ["ledger.pvtdataStore.purgedKeyAuditLogging"]),
    .init(.notYet("snapshots"), ["ledger.snapshots.rootDir"]),
]

/// The operations service and metrics.
private let coreOperations: [FabricKeys.Group] = [
    .init(
        .used,
        below: "operations",
        [
            "listenAddress", "tls.enabled", "tls.cert.file", "tls.key.file", "tls.clientAuthRequired",
            "tls.clientRootCAs.files",
        ]
    ),
    .init(
        .used,
        below: "metrics",
        ["provider", "statsd.network", "statsd.address", "statsd.writeInterval", "statsd.prefix"]
    ),
]
