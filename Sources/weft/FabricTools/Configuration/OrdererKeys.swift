extension FabricKeys {
    /// The keys of `orderer.yaml`.
    ///
    /// - Source: Fabric v3.1, sample `orderer.yaml`, and package `orderer/common/localconfig`.
    static let orderer = FabricKeys(ordererGeneral + ordererCluster + ordererServices)
}

private let ordererGeneral: [FabricKeys.Group] = [
    .init(
        .used,
        below: "General",
        [
            "ListenAddress", "ListenPort", "LocalMSPDir", "LocalMSPID", "MaxRecvMsgSize", "MaxSendMsgSize",
            "TLS.Enabled", "TLS.PrivateKey", "TLS.Certificate", "TLS.RootCAs", "TLS.ClientAuthRequired",
            "TLS.ClientRootCAs", "Keepalive.ServerMinInterval", "Keepalive.ServerInterval",
            "Keepalive.ServerTimeout", "Authentication.TimeWindow", "Authentication.NoExpirationChecks",
            "BootstrapMethod", "GenesisMethod",
        ]
    ),
    .init(.used, ["FileLedger.Location"]),
    .init(
        .notYet("certificates are checked against the present time", unless: ["0", "0s"]),
        ["General.TLS.TLSHandshakeTimeShift"]
    ),
    .init(.notYet("clients aren't slowed down", unless: ["0"]), ["General.Throttling.Rate"]),
    .init(.notNeeded("clients aren't slowed down"), ["General.Throttling.InactivityTimeout"]),
    .init(
        .used,
        below: "General.BCCSP",
        [
            "Default", "SW.FileKeyStore.KeyStore", "SW.FileKeyStore", "PKCS11.Library", "PKCS11.Label",
            "PKCS11.Pin",
            "PKCS11.Immutable", "PKCS11.AltID", "PKCS11.KeyIds", "PKCS11.KeyIds.*",
        ]
    ),
    .init(
        .notNeeded("what is hashed and signed with is decided by the MSP and the key"),
        below: "General.BCCSP",
        [
            "SW.Hash", "SW.Security", "PKCS11.Hash", "PKCS11.Security", "PKCS11.SoftwareVerify",
            "PKCS11.FileKeyStore.KeyStore",
        ]
    ),
    .init(
        .notNeeded("there is no profiling endpoint; use the machine's own tools"),
        ["General.Profile.Enabled", "General.Profile.Address"]
    ),
    .init(
        .notNeeded("there is no system channel, in Fabric v3 neither; join channels with osnadmin"),
        ["General.BootstrapFile", "General.GenesisFile", "General.GenesisProfile", "General.SystemChannel"]
    ),
    .init(.notNeeded("a connection has 10 s to become ready"), ["General.ConnectionTimeout"]),
    .init(
        .notNeeded("set FABRIC_LOGGING_SPEC in its place, as in Fabric"),
        ["General.LogLevel", "General.LogFormat"]
    ),
    .init(
        .notNeeded("a key of Fabric before v3"),
        ["FileLedger.Prefix", "General.LedgerType", "RAMLedger.*", "Kafka.*"]
    ),
]

private let ordererCluster: [FabricKeys.Group] = [
    .init(
        .used,
        below: "General.Cluster",
        [
            "ListenAddress", "ListenPort", "ServerCertificate", "ServerPrivateKey", "ClientCertificate",
            "ClientPrivateKey", "RootCAs", "SendBufferSize", "DialTimeout",
        ]
    ),
    .init(
        .notNeeded("other orderers are tried again after pauses of 50 ms to 1 s, whatever fails"),
        below: "General.Cluster",
        [
            "ReplicationPullTimeout", "ReplicationRetryTimeout", "ReplicationMaxRetries",
            "ReplicationBackgroundRefreshInterval",
        ]
    ),
    .init(
        .notNeeded("an orderer that is asked for blocks gets 3 s, and 64 blocks or 32 MiB wait at most"),
        below: "General.Cluster",
        ["ReplicationBufferSize"]
    ),
    .init(
        .notYet(
            "orderers that copy a BFT channel always compare all its orderers, as with \"consensus\"",
            unless: ["consensus"]
        ),
        ["General.Cluster.ReplicationPolicy"]
    ),
    .init(
        .notNeeded("an envelope that was sent to the leader has 20 s to be in a block"),
        ["General.Cluster.RPCTimeout"]
    ),
    .init(
        .notNeeded("certificates that come near their end are reported in steps from 30 days on"),
        ["General.Cluster.CertExpirationWarningThreshold"]
    ),
    .init(
        .notYet("certificates are checked against the present time", unless: ["0", "0s"]),
        ["General.Cluster.TLSHandshakeTimeShift"]
    ),
    .init(
        .notYet("pauses between attempts to connect", unless: ["1s", "1.6", "2m"]),
        below: "General.Backoff",
        ["BaseDelay", "Multiplier", "MaxDelay"]
    ),
    .init(
        .notNeeded("the consensus log is below FileLedger.Location, and needs no snapshots of its own"),
        ["Consensus.WALDir", "Consensus.SnapDir"]
    ),
    .init(
        .notNeeded("a consenter without a leader looks at the others' blocks after 10 s"),
        ["Consensus.EvictionSuspicion"]
    ),
    .init(.used, ["Consensus.TickIntervalOverride"]),
]

/// The services besides gRPC: `used` once `OrdererYAML` reads them.
private let ordererServices: [FabricKeys.Group] = [
    .init(
        .used,
        below: "Operations",
        [
            "ListenAddress", "TLS.Enabled", "TLS.Certificate", "TLS.PrivateKey", "TLS.ClientAuthRequired",
            "TLS.ClientRootCAs",
        ]
    ),
    .init(
        .notNeeded("the operations service is no client of others"),
        ["Operations.TLS.RootCAs", "Operations.TLS.TLSHandshakeTimeShift"]
    ),
    .init(
        .used,
        below: "Metrics",
        ["Provider", "Statsd.Network", "Statsd.Address", "Statsd.WriteInterval", "Statsd.Prefix"]
    ),
    .init(
        .used,
        below: "Admin",
        [
            "ListenAddress", "TLS.Enabled", "TLS.Certificate", "TLS.PrivateKey", "TLS.ClientAuthRequired",
            "TLS.ClientRootCAs",
        ]
    ),
    .init(.notNeeded("the admin listener calls nobody"), ["Admin.TLS.RootCAs"]),
    .init(
        .notYet("certificates are checked against the present time", unless: ["0", "0s"]),
        ["Admin.TLS.TLSHandshakeTimeShift"]
    ),
    .init(.used, ["ChannelParticipation.MaxRequestBodySize", "ChannelParticipation.Enabled"]),
    .init(
        .notYet("requests aren't recorded in files"),
        ["Debug.BroadcastTraceDir", "Debug.DeliverTraceDir", "Debug.*"]
    ),
]
