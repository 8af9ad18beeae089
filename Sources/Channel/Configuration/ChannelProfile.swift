package import FabricProtos
import SwiftProtobuf

/// What a new channel is to be: the content of a profile in `configtx.yaml`, with files already read.
///
/// - Source: Fabric v3.1, `configtx.yaml` and package `internal/configtxgen/genesisconfig`.
package struct ChannelProfile: Sendable {
    package var policies: [String: PolicyDefinition]
    /// Names at the channel level, for example `V3_0`.
    package var capabilities: [String]
    package var orderer: OrdererProfile?
    package var application: ApplicationProfile?
    /// Left over from system channels; not needed.
    package var consortium: String?
    /// Left over from system channels, which Fabric 3 does not run: organizations by consortium; `nil` without the group.
    package var consortiums: [String: [OrganizationProfile]]?

    package init(
        policies: [String: PolicyDefinition] = .channelDefaults,
        capabilities: [String] = ["V3_0"],
        orderer: OrdererProfile?,
        application: ApplicationProfile?,
        consortium: String? = nil,
        consortiums: [String: [OrganizationProfile]]? = nil
    ) {
        self.policies = policies
        self.capabilities = capabilities
        self.orderer = orderer
        self.application = application
        self.consortium = consortium
        self.consortiums = consortiums
    }

    /// A policy in the policy language.
    package enum PolicyDefinition: Hashable, Sendable {
        /// `OR('Org1MSP.admin')`.
        case signature(String)
        /// `MAJORITY Admins`.
        case implicitMeta(String)

        /// A policy of a type as `configtx.yaml` writes it; `nil` for another type.
        package init?(type: String, rule: String) {
            switch type {
            case "Signature": self = .signature(rule)
            case "ImplicitMeta": self = .implicitMeta(rule)
            default: return nil
            }
        }
    }

    /// How the channel is ordered.
    package struct OrdererProfile: Sendable {
        package var consensus: Consensus
        /// Addresses of the ordering service as a whole; not with channel capability V3_0.
        package var addresses: [String]
        package var batchTimeout: Duration
        package var batchSize: Orderer_BatchSize
        package var maximumChannels: UInt64
        package var organizations: [OrganizationProfile]
        package var policies: [String: PolicyDefinition]
        package var capabilities: [String]

        package init(
            consensus: Consensus,
            organizations: [OrganizationProfile],
            addresses: [String] = [],
            batchTimeout: Duration = .seconds(2),
            batchSize: Orderer_BatchSize = .fabricDefault,
            maximumChannels: UInt64 = 0,
            policies: [String: PolicyDefinition] = .ordererDefaults,
            capabilities: [String] = ["V2_0"]
        ) {
            self.consensus = consensus
            self.organizations = organizations
            self.addresses = addresses
            self.batchTimeout = batchTimeout
            self.batchSize = batchSize
            self.maximumChannels = maximumChannels
            self.policies = policies
            self.capabilities = capabilities
        }
    }

    /// The consensus engine and who takes part.
    package enum Consensus: Sendable {
        case raft(Etcdraft_ConfigMetadata)
        /// The block validation policy is derived from the consenters, whatever the profile says.
        case bft(options: Orderer_Smartbft_Options, consenters: [Common_Consenter])
    }

    /// Who uses the channel.
    package struct ApplicationProfile: Sendable {
        package var organizations: [OrganizationProfile]
        package var policies: [String: PolicyDefinition]
        package var capabilities: [String]
        /// Policies by resource.
        package var acls: [String: String]

        package init(
            organizations: [OrganizationProfile],
            policies: [String: PolicyDefinition] = .applicationDefaults,
            capabilities: [String] = ["V2_5"],
            acls: [String: String] = [:]
        ) {
            self.organizations = organizations
            self.policies = policies
            self.capabilities = capabilities
            self.acls = acls
        }
    }

    /// An organization, as part of the Orderer or the Application group.
    package struct OrganizationProfile: Sendable {
        /// The name of its group: letters, digits, "." and "-".
        package var name: String
        /// `nil` writes an empty group (`SkipAsForeign`).
        package var msp: Msp_MSPConfig?
        package var policies: [String: PolicyDefinition]
        /// `host:port` of its orderers; written in the Orderer group only.
        package var ordererEndpoints: [String]
        /// Written in the Application group only.
        package var anchorPeers: [ApplicationOrganization.AnchorPeer]

        package init(
            name: String,
            msp: Msp_MSPConfig?,
            policies: [String: PolicyDefinition],
            ordererEndpoints: [String] = [],
            anchorPeers: [ApplicationOrganization.AnchorPeer] = []
        ) {
            self.name = name
            self.msp = msp
            self.policies = policies
            self.ordererEndpoints = ordererEndpoints
            self.anchorPeers = anchorPeers
        }
    }
}

// MARK: - Defaults of Fabric's sample profiles

extension [String: ChannelProfile.PolicyDefinition] {
    /// Policies of the root group.
    package static let channelDefaults: Self = [
        "Readers": .implicitMeta("ANY Readers"),
        "Writers": .implicitMeta("ANY Writers"),
        "Admins": .implicitMeta("MAJORITY Admins"),
    ]

    /// Policies of the Orderer group.
    package static let ordererDefaults: Self = channelDefaults.merging([
        "BlockValidation": .implicitMeta("ANY Writers")
    ]) { $1 }

    /// Policies of the Application group.
    package static let applicationDefaults: Self = channelDefaults.merging([
        "Endorsement": .implicitMeta("MAJORITY Endorsement"),
        "LifecycleEndorsement": .implicitMeta("MAJORITY Endorsement"),
    ]) { $1 }

    /// Policies of an organization that runs orderers.
    package static func ordererOrganization(_ mspIdentifier: String) -> Self {
        [
            "Readers": .signature("OR('\(mspIdentifier).member')"),
            "Writers": .signature("OR('\(mspIdentifier).member')"),
            "Admins": .signature("OR('\(mspIdentifier).admin')"),
        ]
    }

    /// Policies of an organization that runs peers and clients.
    package static func applicationOrganization(_ mspIdentifier: String) -> Self {
        [
            "Readers": .signature(
                "OR('\(mspIdentifier).admin', '\(mspIdentifier).peer', '\(mspIdentifier).client')"
            ),
            "Writers": .signature("OR('\(mspIdentifier).admin', '\(mspIdentifier).client')"),
            "Admins": .signature("OR('\(mspIdentifier).admin')"),
            "Endorsement": .signature("OR('\(mspIdentifier).peer')"),
        ]
    }
}

extension Orderer_BatchSize {
    /// 500 messages, 10 MiB at most, 2 MiB preferred.
    package static let fabricDefault = Orderer_BatchSize.with {
        $0.maxMessageCount = 500
        $0.absoluteMaxBytes = 10 << 20
        $0.preferredMaxBytes = 2 << 20
    }
}

extension Etcdraft_Options {
    /// Ticks of 500 ms, elections after 10, heartbeats after 1; a snapshot each 16 MiB.
    package static let fabricDefault = Etcdraft_Options.with {
        $0.tickInterval = "500ms"
        $0.electionTick = 10
        $0.heartbeatTick = 1
        $0.maxInflightBlocks = 5
        $0.snapshotIntervalSize = 16 << 20
    }
}

extension Orderer_Smartbft_Options {
    /// What Fabric 3 writes where a profile says nothing.
    package static let fabricDefault = Orderer_Smartbft_Options.with {
        $0.requestBatchMaxCount = 100
        $0.requestBatchMaxBytes = 10 << 20
        $0.requestBatchMaxInterval = "50ms"
        $0.incomingMessageBufferSize = 200
        $0.requestPoolSize = 400
        $0.requestForwardTimeout = "2s"
        $0.requestComplainTimeout = "20s"
        $0.requestAutoRemoveTimeout = "3m0s"
        $0.viewChangeResendInterval = "5s"
        $0.viewChangeTimeout = "20s"
        $0.leaderHeartbeatTimeout = "1m0s"
        $0.leaderHeartbeatCount = 10
        $0.collectTimeout = "1s"
    }

    /// Fabric's options with a leader that is given up after a second without a block that somebody waits for, instead of
    /// 20: for one machine, or one data center.
    package static let quick = {
        var options = Self.fabricDefault
        options.leaderHeartbeatTimeout = "1s"
        options.requestForwardTimeout = "500ms"
        options.requestComplainTimeout = "5s"
        options.viewChangeResendInterval = "200ms"
        options.viewChangeTimeout = "10s"
        return options
    }()
}
