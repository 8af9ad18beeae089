/// Fabric's metrics that Weft has too, by Fabric's names.
///
/// - Source: Fabric v3.1, metrics reference, and the packages named at each group.
extension MetricDefinition {
    // Packages core/ledger/kvledger and common/ledger/blkstorage.
    package static let blockchainHeight = gauge(
        "ledger.blockchain_height",
        ["channel"],
        "How many blocks the ledger has."
    )
    package static let blockProcessingTime = seconds(
        "ledger.block_processing_time",
        ["channel"],
        "Seconds from a received block to its commit.",
        buckets: ledgerBuckets
    )
    package static let blockstorageCommitTime = seconds(
        "ledger.blockstorage_commit_time",
        ["channel"],
        "Seconds to write a block to the block log.",
        buckets: ledgerBuckets
    )
    package static let blockAndPrivateDataCommitTime = seconds(
        "ledger.blockstorage_and_pvtdata_commit_time",
        ["channel"],
        "Seconds to write a block and its private data.",
        buckets: ledgerBuckets
    )
    package static let stateCommitTime = seconds(
        "ledger.statedb_commit_time",
        ["channel"],
        "Seconds to write the state that a block makes.",
        buckets: ledgerBuckets
    )
    package static let transactionCount = counter(
        "ledger.transaction_count",
        ["channel", "transaction_type", "chaincode", "validation_code"],
        "Transactions in committed blocks."
    )

    // Package core/endorser.
    package static let proposalsReceived = counter(
        "endorser.proposals_received",
        [],
        "Proposals that came to this peer for endorsement."
    )
    package static let successfulProposals = counter(
        "endorser.successful_proposals",
        [],
        "Proposals that this peer endorsed or answered."
    )
    package static let proposalDuration = seconds(
        "endorser.proposal_duration",
        ["channel", "chaincode", "success"],
        "Seconds to answer a proposal."
    )
    package static let proposalValidationFailures = counter(
        "endorser.proposal_validation_failures",
        [],
        "Proposals refused before they were simulated."
    )
    package static let endorsementFailures = counter(
        "endorser.endorsement_failures",
        ["channel", "chaincode", "chaincodeerror"],
        "Proposals that were simulated and not endorsed."
    )
    package static let proposalSimulationFailures = counter(
        "endorser.proposal_simulation_failures",
        ["channel", "chaincode"],
        "Proposals whose simulation failed."
    )

    // Package core/chaincode.
    package static let launchDuration = seconds(
        "chaincode.launch_duration",
        ["chaincode", "success"],
        "Seconds until a contract was connected and had registered."
    )
    package static let launchFailures = counter(
        "chaincode.launch_failures",
        ["chaincode"],
        "Attempts to connect to a contract that failed."
    )
    package static let executeTimeouts = counter(
        "chaincode.execute_timeouts",
        ["chaincode"],
        "Transactions for which a contract took too long."
    )
    package static let shimRequestsReceived = counter(
        "chaincode.shim_requests_received",
        ["type", "channel", "chaincode"],
        "Requests of contracts."
    )
    package static let shimRequestsCompleted = counter(
        "chaincode.shim_requests_completed",
        ["type", "channel", "chaincode", "success"],
        "Requests of contracts that were answered."
    )
    package static let shimRequestDuration = seconds(
        "chaincode.shim_request_duration",
        ["type", "channel", "chaincode", "success"],
        "Seconds to answer a contract's request."
    )

    // Package orderer/common/broadcast.
    package static let broadcastValidateDuration = seconds(
        "broadcast.validate_duration",
        ["channel", "type", "status"],
        "Seconds to check an envelope."
    )
    package static let broadcastEnqueueDuration = seconds(
        "broadcast.enqueue_duration",
        ["channel", "type", "status"],
        "Seconds from a checked envelope to its answer: that it is in a durable block, unless configured otherwise."
    )
    package static let broadcastProcessedCount = counter(
        "broadcast.processed_count",
        ["channel", "type", "status"],
        "Envelopes answered."
    )

    // Package orderer/common/blockcutter.
    package static let blockFillDuration = seconds(
        "blockcutter.block_fill_duration",
        ["channel"],
        "Seconds from the first envelope of a block to its cut."
    )

    // Package common/deliver.
    package static let deliverStreamsOpened = counter(
        "deliver.streams_opened",
        [],
        "Streams of blocks that were opened."
    )
    package static let deliverStreamsClosed = counter(
        "deliver.streams_closed",
        [],
        "Streams of blocks that were closed."
    )
    package static let deliverRequestsReceived = counter(
        "deliver.requests_received",
        ["channel", "filtered", "data_type"],
        "Requests for blocks that came in."
    )
    package static let deliverRequestsCompleted = counter(
        "deliver.requests_completed",
        ["channel", "filtered", "data_type", "success"],
        "Requests for blocks that are done with."
    )
    package static let deliverBlocksSent = counter(
        "deliver.blocks_sent",
        ["channel", "filtered", "data_type"],
        "Blocks sent."
    )

    // Package orderer/consensus/smartbft.
    package static let bftClusterSize = gauge(
        "consensus.BFT.cluster_size",
        ["channel"],
        "How many consenters the channel has."
    )
    package static let bftCommittedBlockNumber = gauge(
        "consensus.BFT.committed_block_number",
        ["channel"],
        "The number of the newest final block."
    )
    package static let bftIsLeader = gauge(
        "consensus.BFT.is_leader",
        ["channel"],
        "1 if this node leads the channel, else 0."
    )
    package static let bftLeaderID = gauge(
        "consensus.BFT.leader_id",
        ["channel"],
        "The number of the consenter that leads."
    )
    package static let bftDataPersistDuration = seconds(
        "consensus.BFT.data_persist_duration",
        ["channel"],
        "Seconds to make what a consenter promises durable. Fabric has no such metric for BFT."
    )

    // Package orderer/consensus/etcdraft.
    package static let raftClusterSize = gauge(
        "consensus.etcdraft.cluster_size",
        ["channel"],
        "Consenters of the channel."
    )
    package static let raftIsLeader = gauge(
        "consensus.etcdraft.is_leader",
        ["channel"],
        "1 while this node leads the channel's consenters, else 0."
    )
    package static let raftActiveNodes = gauge(
        "consensus.etcdraft.active_nodes",
        ["channel"],
        "Consenters that the leader has heard from lately."
    )
    package static let raftCommittedBlockNumber = gauge(
        "consensus.etcdraft.committed_block_number",
        ["channel"],
        "Number of the newest block."
    )
    package static let raftSnapshotBlockNumber = gauge(
        "consensus.etcdraft.snapshot_block_number",
        ["channel"],
        "Number of the block of the newest snapshot."
    )
    package static let raftLeaderChanges = counter(
        "consensus.etcdraft.leader_changes",
        ["channel"],
        "How often the leader has changed since the start."
    )
    package static let raftProposalFailures = counter(
        "consensus.etcdraft.proposal_failures",
        ["channel"],
        "Envelopes that could not be proposed."
    )
    package static let raftDataPersistDuration = seconds(
        "consensus.etcdraft.data_persist_duration",
        ["channel"],
        "Seconds to make a batch of the Raft log durable."
    )
    package static let raftNormalProposals = counter(
        "consensus.etcdraft.normal_proposals_received",
        ["channel"],
        "Transactions that came to be ordered."
    )
    package static let raftConfigProposals = counter(
        "consensus.etcdraft.config_proposals_received",
        ["channel"],
        "Configurations that came to be ordered."
    )

    // Package orderer/common/cluster.
    package static let clusterQueueCapacity = gauge(
        "cluster.comm.egress_queue_capacity",
        ["host", "msg_type", "channel"],
        "Messages that may wait to be sent to another orderer."
    )
    package static let clusterQueueLength = gauge(
        "cluster.comm.egress_queue_length",
        ["host", "msg_type", "channel"],
        "Messages that wait to be sent to another orderer."
    )
    package static let clusterQueueWorkers = gauge(
        "cluster.comm.egress_queue_workers",
        ["channel"],
        "Tasks that send messages to other orderers."
    )
    package static let clusterEgressStreams = gauge(
        "cluster.comm.egress_stream_count",
        ["channel"],
        "Streams to other orderers."
    )
    package static let clusterEgressConnections = gauge(
        "cluster.comm.egress_tls_connection_count",
        [],
        "Connections to other orderers."
    )
    package static let clusterIngressStreams = gauge(
        "cluster.comm.ingress_stream_count",
        [],
        "Streams from other orderers."
    )
    package static let clusterSendTime = seconds(
        "cluster.comm.msg_send_time",
        ["host", "channel"],
        "Seconds to hand a message for another orderer to its connection."
    )
    package static let clusterDroppedCount = counter(
        "cluster.comm.msg_dropped_count",
        ["host", "channel"],
        "Messages to other orderers that were dropped."
    )

    // Package orderer/common/multichannel.
    package static let participationStatus = gauge(
        "participation.status",
        ["channel"],
        "0 inactive, 1 active, 2 onboarding, 3 failed."
    )
    package static let participationConsensusRelation = gauge(
        "participation.consensus_relation",
        ["channel"],
        "0 other, 1 consenter, 2 follower, 3 config-tracker."
    )

    // Packages common/grpcmetrics and internal/pkg/comm.
    package static let unaryRequestsReceived = counter(
        "grpc.server.unary_requests_received",
        ["service", "method"],
        "Unary calls that came in."
    )
    package static let unaryRequestsCompleted = counter(
        "grpc.server.unary_requests_completed",
        ["service", "method", "code"],
        "Unary calls answered."
    )
    package static let unaryRequestDuration = seconds(
        "grpc.server.unary_request_duration",
        ["service", "method", "code"],
        "Seconds to answer a unary call."
    )
    package static let streamRequestsReceived = counter(
        "grpc.server.stream_requests_received",
        ["service", "method"],
        "Streams that were opened."
    )
    package static let streamRequestsCompleted = counter(
        "grpc.server.stream_requests_completed",
        ["service", "method", "code"],
        "Streams that have ended."
    )
    package static let streamRequestDuration = seconds(
        "grpc.server.stream_request_duration",
        ["service", "method", "code"],
        "Seconds that a stream was open."
    )
    package static let streamMessagesReceived = counter(
        "grpc.server.stream_messages_received",
        ["service", "method"],
        "Messages that came in on streams."
    )
    package static let streamMessagesSent = counter(
        "grpc.server.stream_messages_sent",
        ["service", "method"],
        "Messages sent on streams."
    )
    package static let connectionsOpened = counter(
        "grpc.comm.conn_opened",
        [],
        "gRPC connections that were opened."
    )
    package static let connectionsClosed = counter(
        "grpc.comm.conn_closed",
        [],
        "gRPC connections that were closed."
    )

    // Packages flogging/metrics and core/operations.
    package static let logEntriesChecked = counter(
        "logging.entries_checked",
        ["level"],
        "Lines that were held against the logging specification."
    )
    package static let logEntriesWritten = counter("logging.entries_written", ["level"], "Lines logged.")
    package static let fabricVersion = gauge(
        "fabric.version",
        ["version"],
        "1 for the version of Weft that runs."
    )

    // Package gossip/metrics.
    package static let gossipMessagesSent = counter(
        "gossip.comm.messages_sent",
        [],
        "Messages that were sent to other peers."
    )
    package static let gossipMessagesReceived = counter(
        "gossip.comm.messages_received",
        [],
        "Messages that came from other peers."
    )
    package static let gossipOverflowCount = counter(
        "gossip.comm.overflow_count",
        [],
        "Messages that were dropped because too many waited for a peer."
    )
    package static let gossipPeersKnown = gauge(
        "gossip.membership.total_peers_known",
        ["channel"],
        "Other peers of a channel that are known to be alive."
    )
    package static let gossipLeader = gauge(
        "gossip.leader_election.leader",
        ["channel"],
        "1 if the peer takes blocks from the ordering service for its organization, else 0."
    )
    package static let gossipStateHeight = gauge(
        "gossip.state.height",
        ["channel"],
        "How many blocks a channel has."
    )
    package static let gossipPayloadBufferSize = gauge(
        "gossip.payload_buffer.size",
        ["channel"],
        "Blocks from other peers that wait for those before them."
    )
}
