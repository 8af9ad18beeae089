import Foundation
import Testing

@testable import weft

/// That Weft knows what it makes of every key of Fabric's configuration files.
struct FabricKeysTests {
    /// The names of all keys in the samples of Fabric v3.1.5, and of those that only its code knows.
    private static let core = """
        peer.id peer.networkId peer.listenAddress peer.address peer.addressAutoDetect peer.gateway.enabled
        peer.gateway.endorsementTimeout peer.gateway.broadcastTimeout peer.gateway.dialTimeout
        peer.keepalive.interval peer.keepalive.timeout peer.keepalive.minInterval
        peer.keepalive.client.interval peer.keepalive.client.timeout peer.keepalive.deliveryClient.interval
        peer.keepalive.deliveryClient.timeout peer.gossip.bootstrap peer.gossip.useLeaderElection
        peer.gossip.orgLeader peer.gossip.membershipTrackerInterval peer.gossip.endpoint
        peer.gossip.maxBlockCountToStore peer.gossip.maxPropagationBurstLatency
        peer.gossip.maxPropagationBurstSize peer.gossip.propagateIterations peer.gossip.propagatePeerNum
        peer.gossip.pullInterval peer.gossip.pullPeerNum peer.gossip.requestStateInfoInterval
        peer.gossip.publishStateInfoInterval peer.gossip.stateInfoRetentionInterval
        peer.gossip.publishCertPeriod peer.gossip.skipBlockVerification peer.gossip.dialTimeout
        peer.gossip.connTimeout peer.gossip.recvBuffSize peer.gossip.sendBuffSize peer.gossip.digestWaitTime
        peer.gossip.requestWaitTime peer.gossip.responseWaitTime peer.gossip.aliveTimeInterval
        peer.gossip.aliveExpirationTimeout peer.gossip.reconnectInterval peer.gossip.maxConnectionAttempts
        peer.gossip.msgExpirationFactor peer.gossip.externalEndpoint peer.gossip.election.startupGracePeriod
        peer.gossip.election.membershipSampleInterval peer.gossip.election.leaderAliveThreshold
        peer.gossip.election.leaderElectionDuration peer.gossip.pvtData.pullRetryThreshold
        peer.gossip.pvtData.transientstoreMaxBlockRetention peer.gossip.pvtData.pushAckTimeout
        peer.gossip.pvtData.btlPullMargin peer.gossip.pvtData.reconcileBatchSize
        peer.gossip.pvtData.reconcileSleepInterval peer.gossip.pvtData.reconciliationEnabled
        peer.gossip.pvtData.skipPullingInvalidTransactionsDuringCommit
        peer.gossip.pvtData.implicitCollectionDisseminationPolicy.requiredPeerCount
        peer.gossip.pvtData.implicitCollectionDisseminationPolicy.maxPeerCount peer.gossip.state.enabled
        peer.gossip.state.checkInterval peer.gossip.state.responseTimeout peer.gossip.state.batchSize
        peer.gossip.state.blockBufferSize peer.gossip.state.maxRetries peer.tls.enabled
        peer.tls.clientAuthRequired peer.tls.cert.file peer.tls.key.file peer.tls.rootcert.file
        peer.tls.clientRootCAs.files peer.tls.clientKey.file peer.tls.clientCert.file
        peer.authentication.timewindow peer.fileSystemPath peer.BCCSP.Default peer.BCCSP.SW.Hash
        peer.BCCSP.SW.Security peer.BCCSP.SW.FileKeyStore.KeyStore peer.BCCSP.PKCS11.Library
        peer.BCCSP.PKCS11.Label peer.BCCSP.PKCS11.Pin peer.BCCSP.PKCS11.Hash peer.BCCSP.PKCS11.Security
        peer.BCCSP.PKCS11.SoftwareVerify peer.BCCSP.PKCS11.Immutable peer.BCCSP.PKCS11.AltID
        peer.BCCSP.PKCS11.KeyIds peer.mspConfigPath peer.localMspId peer.client.connTimeout
        peer.deliveryclient.blockGossipEnabled peer.deliveryclient.reconnectTotalTimeThreshold
        peer.deliveryclient.connTimeout peer.deliveryclient.reConnectBackoffThreshold
        peer.deliveryclient.blockCensorshipTimeoutKey peer.deliveryclient.minimalReconnectInterval
        peer.deliveryclient.addressOverrides peer.deliveryclient.policy peer.localMspType peer.profile.enabled
        peer.profile.listenAddress peer.handlers.authFilters peer.handlers.decorators
        peer.handlers.endorsers.escc.name peer.handlers.endorsers.escc.library
        peer.handlers.validators.vscc.name peer.handlers.validators.vscc.library peer.validatorPoolSize
        peer.discovery.enabled peer.discovery.authCacheEnabled peer.discovery.authCacheMaxSize
        peer.discovery.authCachePurgeRetentionRatio peer.discovery.orgMembersAllowedAccess
        peer.limits.concurrency.endorserService peer.limits.concurrency.deliverService
        peer.limits.concurrency.gatewayService peer.maxRecvMsgSize peer.maxSendMsgSize vm.endpoint
        vm.docker.tls.enabled vm.docker.tls.ca.file vm.docker.tls.cert.file vm.docker.tls.key.file
        vm.docker.attachStdout vm.docker.hostConfig.NetworkMode vm.docker.hostConfig.Dns
        vm.docker.hostConfig.LogConfig.Type vm.docker.hostConfig.LogConfig.Config.max-size
        vm.docker.hostConfig.LogConfig.Config.max-file vm.docker.hostConfig.Memory chaincode.id.path
        chaincode.id.name chaincode.builder chaincode.pull chaincode.golang.runtime
        chaincode.golang.dynamicLink chaincode.java.runtime chaincode.node.runtime chaincode.externalBuilders
        chaincode.installTimeout chaincode.startuptimeout chaincode.executetimeout chaincode.mode
        chaincode.keepalive chaincode.system._lifecycle chaincode.system.cscc chaincode.system.lscc
        chaincode.system.qscc chaincode.logging.level chaincode.logging.shim chaincode.logging.format
        chaincode.runtimeParams.useWriteBatch chaincode.runtimeParams.maxSizeWriteBatch
        chaincode.runtimeParams.useGetMultipleKeys chaincode.runtimeParams.maxSizeGetMultipleKeys
        ledger.blockchain ledger.state.stateDatabase ledger.state.totalQueryLimit
        ledger.state.couchDBConfig.couchDBAddress ledger.state.couchDBConfig.username
        ledger.state.couchDBConfig.password ledger.state.couchDBConfig.maxRetries
        ledger.state.couchDBConfig.maxRetriesOnStartup ledger.state.couchDBConfig.requestTimeout
        ledger.state.couchDBConfig.internalQueryLimit ledger.state.couchDBConfig.maxBatchUpdateSize
        ledger.state.couchDBConfig.createGlobalChangesDB ledger.state.couchDBConfig.cacheSize
        ledger.history.enableHistoryDatabase ledger.pvtdataStore.collElgProcMaxDbBatchSize
        ledger.pvtdataStore.collElgProcDbBatchesInterval
        ledger.pvtdataStore.deprioritizedDataReconcilerInterval ledger.pvtdataStore.purgeInterval
        ledger.pvtdataStore.purgedKeyAuditLogging ledger.snapshots.rootDir operations.listenAddress
        operations.tls.enabled operations.tls.cert.file operations.tls.key.file
        operations.tls.clientAuthRequired operations.tls.clientRootCAs.files metrics.provider
        metrics.statsd.network metrics.statsd.address metrics.statsd.writeInterval metrics.statsd.prefix
        peer.chaincodeListenAddress peer.chaincodeAddress peer.connectiontimeout
        peer.gossip.state.channelSize peer.gossip.nonBlockingCommitMode peer.tls.serverhostoverride
        peer.tls.handshakeTimeShift logging.level logging_level
        """

    private static let orderer = """
        General.ListenAddress General.ListenPort General.TLS.Enabled General.TLS.PrivateKey
        General.TLS.Certificate General.TLS.RootCAs General.TLS.ClientAuthRequired General.TLS.ClientRootCAs
        General.Keepalive.ServerMinInterval General.Keepalive.ServerInterval General.Keepalive.ServerTimeout
        General.Backoff.BaseDelay General.Backoff.Multiplier General.Backoff.MaxDelay General.MaxRecvMsgSize
        General.MaxSendMsgSize General.Throttling.Rate General.Throttling.InactivityTimeout
        General.Cluster.SendBufferSize General.Cluster.ClientCertificate General.Cluster.ClientPrivateKey
        General.Cluster.ListenPort General.Cluster.ListenAddress General.Cluster.ServerCertificate
        General.Cluster.ServerPrivateKey General.Cluster.ReplicationPolicy General.LocalMSPDir
        General.LocalMSPID General.Profile.Enabled General.Profile.Address General.BCCSP.Default
        General.BCCSP.SW.Hash General.BCCSP.SW.Security General.BCCSP.SW.FileKeyStore.KeyStore
        General.BCCSP.PKCS11.Library General.BCCSP.PKCS11.Label General.BCCSP.PKCS11.Pin
        General.BCCSP.PKCS11.Hash General.BCCSP.PKCS11.Security General.BCCSP.PKCS11.FileKeyStore.KeyStore
        General.Authentication.TimeWindow FileLedger.Location Debug.BroadcastTraceDir Debug.DeliverTraceDir
        Operations.ListenAddress Operations.TLS.Enabled Operations.TLS.Certificate Operations.TLS.PrivateKey
        Operations.TLS.ClientAuthRequired Operations.TLS.ClientRootCAs Metrics.Provider Metrics.Statsd.Network
        Metrics.Statsd.Address Metrics.Statsd.WriteInterval Metrics.Statsd.Prefix Admin.ListenAddress
        Admin.TLS.Enabled Admin.TLS.Certificate Admin.TLS.PrivateKey Admin.TLS.ClientAuthRequired
        Admin.TLS.ClientRootCAs ChannelParticipation.Enabled ChannelParticipation.MaxRequestBodySize
        Consensus.WALDir Consensus.SnapDir
        General.ConnectionTimeout General.GenesisMethod General.GenesisFile General.BootstrapMethod
        General.BootstrapFile General.TLS.TLSHandshakeTimeShift General.Authentication.NoExpirationChecks
        General.Cluster.RootCAs General.Cluster.DialTimeout General.Cluster.RPCTimeout
        General.Cluster.ReplicationBufferSize General.Cluster.ReplicationPullTimeout
        General.Cluster.ReplicationRetryTimeout General.Cluster.ReplicationMaxRetries
        General.Cluster.CertExpirationWarningThreshold General.Cluster.TLSHandshakeTimeShift FileLedger.Prefix
        General.BCCSP.PKCS11.SoftwareVerify General.BCCSP.PKCS11.Immutable General.BCCSP.PKCS11.AltID
        General.BCCSP.PKCS11.KeyIds Operations.TLS.RootCAs Operations.TLS.TLSHandshakeTimeShift Admin.TLS.RootCAs
        Admin.TLS.TLSHandshakeTimeShift Consensus.EvictionSuspicion Consensus.TickIntervalOverride
        """

    @Test func everyKeyOfFabricsSamplesIsClassified() {
        for (keys, names, count) in [(FabricKeys.core, Self.core, 190), (.orderer, Self.orderer, 80)] {
            let names = names.split(whereSeparator: \.isWhitespace).map(String.init)
            #expect(names.count >= count)
            for name in names {
                #expect(keys.use(of: name) != .unknown, "\(name)")
                #expect(keys.use(of: name.uppercased()) == keys.use(of: name), "\(name) in upper case")
            }
        }
    }

    @Test func misspeltKeysAreUnknown() {
        for name in ["peer.gossip.bootstap", "peers.id", "peer", "peer.tls", "peer.tls.cert.file.name", "x"] {
            let isSection = ["peer", "peer.tls"].contains(name)
            #expect((FabricKeys.core.use(of: name) == .unknown) == !isSection, "\(name)")
        }
        #expect(FabricKeys.orderer.use(of: "General.ListenAdress") == .unknown)
    }

    @Test func aKeyBelowAnOpenSectionIsClassifiedLikeTheSection() {
        #expect(
            FabricKeys.core.use(of: "vm.docker.hostConfig.LogConfig.Config.max-size")
                == FabricKeys.core.use(of: "vm.endpoint")
        )
        #expect(FabricKeys.core.use(of: "chaincode.system._lifecycle") != .unknown)
    }

    @Test func variablesAreClassifiedLikeTheirKeys() {
        #expect(FabricKeys.core.key(ofVariable: "CORE_PEER_TLS_CERT_FILE", .core) == "peer.tls.cert.file")
        #expect(FabricKeys.core.key(ofVariable: "CORE_CHAINCODE_SYSTEM__LIFECYCLE", .core) != nil)
        #expect(FabricKeys.core.key(ofVariable: "CORE_PEER_TLS_CERT", .core) == nil)
        #expect(
            FabricKeys.orderer.key(ofVariable: "ORDERER_GENERAL_LISTENPORT", .orderer) == "General.ListenPort"
        )
        #expect(FabricKeys.orderer.key(ofVariable: "CORE_GENERAL_LISTENPORT", .orderer) == nil)
    }

    @Test func remarksSayWhetherAKeyIsNeeded() throws {
        let settings = try SettingsFile(
            """
            peer:
              id: peer0
              gossip:
                skipBlockVerification: true
              validatorPoolSize: 4
              idd: misspelt
              localMspType: bccsp
            """
        ).settings(["CORE_PEER_GATEWAY_ENABLED": "false", "CORE_PEER_GATWAY_ENABLED": "true"])
        let remarks = FabricKeys.core.remarks(on: settings)
        #expect(
            remarks.contains {
                $0.hasPrefix("without effect") && $0.contains("peer.gossip.skipBlockVerification")
            }
        )
        #expect(
            remarks.contains { $0.hasPrefix("not needed by Weft") && $0.contains("peer.validatorPoolSize") }
        )
        #expect(
            remarks.contains {
                $0.hasPrefix("unknown key") && $0.contains("peer.idd")
                    && $0.contains("CORE_PEER_GATWAY_ENABLED")
            }
        )
        #expect(remarks.contains { $0.hasPrefix("without effect") && $0.contains("peer.gateway.enabled") })
        #expect(!remarks.contains { $0.contains("peer.id,") || $0.contains("peer.id)") }, "it is used")
        #expect(!remarks.contains { $0.contains("localMspType") }, "it asks for what Weft does anyway")
    }
}
