import Channel
import Foundation
import Gossip
import Peer

/// A key below `peer.gossip` of Fabric's `core.yaml`, which is also one below `gossip` of Weft's own file.
///
/// - Source: Fabric v3.1, `sampleconfig/core.yaml` and the packages that read it.
struct GossipKey: Sendable {
    /// Its path below the section, such as `state.enabled`.
    let name: String
    /// The accepted form, for error messages.
    let expected: String
    /// What a text changes; `nil` if it isn't in the accepted form.
    let change: @Sendable (_ text: String) -> (@Sendable (inout GossipSettings) -> Void)?
    /// What stands for the present value.
    let text: @Sendable (_ settings: GossipSettings) -> String

    private init(
        _ name: String,
        expected: String,
        text: @escaping @Sendable (_ settings: GossipSettings) -> String,
        change: @escaping @Sendable (_ text: String) -> (@Sendable (inout GossipSettings) -> Void)?
    ) {
        self.name = name
        self.expected = expected
        self.change = change
        self.text = text
    }
}

extension GossipKey {
    private typealias Path<Value> = any WritableKeyPath<GossipSettings, Value> & Sendable
    private typealias Change = @Sendable (inout GossipSettings) -> Void

    /// A duration; as in Fabric, none stands for the default.
    private static func duration(_ name: String, _ path: Path<Duration>) -> Self {
        Self(name, expected: "a duration, such as 4s", text: { GoDuration.text($0[keyPath: path]) }) {
            text -> Change? in
            guard let value = GoDuration.parse(text), value >= .zero else { return nil }
            return { settings in if value > .zero { settings[keyPath: path] = value } }
        }
    }

    /// A number; as in Fabric, 0 stands for the default, unless `takesZero`.
    private static func number<Value: FixedWidthInteger & Sendable>(
        _ name: String,
        _ path: Path<Value>,
        takesZero: Bool = false
    ) -> Self {
        Self(name, expected: "a whole number, 0 or more", text: { "\($0[keyPath: path])" }) {
            text -> Change? in
            guard let value = Value(text), value >= 0 else { return nil }
            return { settings in if takesZero || value > 0 { settings[keyPath: path] = value } }
        }
    }

    private static func flag(_ name: String, _ path: Path<Bool>) -> Self {
        Self(name, expected: "true or false", text: { "\($0[keyPath: path])" }) { text -> Change? in
            guard let value = Bool(text.lowercased()) else { return nil }
            return { settings in settings[keyPath: path] = value }
        }
    }

    private static func address(_ name: String, _ path: Path<String>) -> Self {
        Self(name, expected: "host:port", text: { $0[keyPath: path] }) { text -> Change? in
            guard text.isEmpty || configuredAddress(text) != nil else { return nil }
            return { settings in settings[keyPath: path] = text }
        }
    }

    /// Every key with one value; `bootstrap` is a list.
    static let all: [GossipKey] = addresses + membership + channelState + stateTransfer + privateData

    private static let addresses: [GossipKey] = [
        address("endpoint", \.endpoint),
        address("externalEndpoint", \.externalEndpoint),
    ]

    private static let membership: [GossipKey] = [
        duration("membershipTrackerInterval", \.membershipTrackerInterval),
        duration("dialTimeout", \.dialTimeout),
        duration("connTimeout", \.connectionTimeout),
        number("sendBuffSize", \.sendBufferSize),
        duration("aliveTimeInterval", \.options.aliveInterval),
        duration("aliveExpirationTimeout", \.options.aliveExpiration),
        duration("reconnectInterval", \.options.reconnectInterval),
        number("msgExpirationFactor", \.options.expirationFactor),
        duration("publishCertPeriod", \.options.publishCertPeriod),
        number("maxConnectionAttempts", \.options.maxConnectionAttempts),
        number("propagateIterations", \.options.propagateIterations),
        number("propagatePeerNum", \.options.propagatePeerNum),
        duration("pullInterval", \.options.pullInterval),
        number("pullPeerNum", \.options.pullPeerNum),
        duration("digestWaitTime", \.options.digestWait),
        duration("requestWaitTime", \.options.requestWait),
        duration("responseWaitTime", \.options.responseWait),
    ]

    private static let channelState: [GossipKey] = [
        duration("publishStateInfoInterval", \.options.publishStateInfoInterval),
        duration("requestStateInfoInterval", \.options.requestStateInfoInterval),
        number("maxBlockCountToStore", \.options.maxBlockCountToStore),
        flag("orgLeader", \.options.orgLeader),
        flag("useLeaderElection", \.options.useLeaderElection),
        duration("election.startupGracePeriod", \.options.electionStartupGracePeriod),
        duration("election.membershipSampleInterval", \.options.electionMembershipSampleInterval),
        duration("election.leaderAliveThreshold", \.options.electionLeaderAliveThreshold),
        duration("election.leaderElectionDuration", \.options.electionDuration),
    ]

    private static let stateTransfer: [GossipKey] = [
        flag("state.enabled", \.options.stateEnabled),
        duration("state.checkInterval", \.options.stateCheckInterval),
        duration("state.responseTimeout", \.options.stateResponseTimeout),
        number("state.batchSize", \.options.stateBatchSize),
        number("state.blockBufferSize", \.options.stateBlockBufferSize),
        number("state.maxRetries", \.options.stateMaxRetries),
    ]

    private static let privateData: [GossipKey] = [
        duration("pvtData.pullRetryThreshold", \.options.pullRetryThreshold),
        duration("pvtData.pushAckTimeout", \.options.pushAckTimeout),
        number("pvtData.btlPullMargin", \.options.bTLPullMargin, takesZero: true),
        number("pvtData.reconcileBatchSize", \.options.reconcileBatchSize),
        duration("pvtData.reconcileSleepInterval", \.options.reconcileSleepInterval),
        flag("pvtData.reconciliationEnabled", \.options.reconciliationEnabled),
        flag("pvtData.skipPullingInvalidTransactionsDuringCommit", \.options.skipPullingInvalidTransactions),
        number("pvtData.transientstoreMaxBlockRetention", \.options.transientstoreMaxBlockRetention),
        number(
            "pvtData.implicitCollectionDisseminationPolicy.requiredPeerCount",
            \.options.implicitRequiredPeerCount,
            takesZero: true
        ),
        number(
            "pvtData.implicitCollectionDisseminationPolicy.maxPeerCount",
            \.options.implicitMaxPeerCount,
            takesZero: true
        ),
    ]

    /// How long what peers say of a channel counts, in Fabric a duration, here a multiple of how often they say it.
    static let retention = "stateInfoRetentionInterval"
}

extension GossipSettings {
    /// What `core.yaml` says below `peer.gossip`.
    ///
    /// - Parameters:
    ///   - settings: The file and the environment.
    ///   - address: How the own organization reaches the peer, where no endpoint is set.
    /// - Throws: ``ConfigurationError`` when a value is not in the accepted form.
    init(_ settings: FabricSettings, address: String) throws(ConfigurationError) {
        self.init()
        self.options.bootstrap = try settings.texts("peer.gossip.bootstrap").filter { !$0.isEmpty }
        for key in GossipKey.all {
            try settings.value("peer.gossip.\(key.name)", expected: key.expected, key.change)?(&self)
        }
        if self.endpoint.isEmpty { self.endpoint = address }
        self.options.blockGossipEnabled =
            try settings.flag("peer.deliveryclient.blockGossipEnabled") ?? self.options.blockGossipEnabled
        self.setRetention(try settings.duration("peer.gossip.\(GossipKey.retention)"))
    }

    /// What Weft's own file says below `gossip`; no section stands for defaults.
    ///
    /// - Parameters:
    ///   - section: The section.
    ///   - address: How others reach the peer, where no endpoint is set.
    /// - Throws: ``ConfigurationError`` when a key is unknown, or a value not in the accepted form.
    init(_ section: ConfigurationSection?, address: String) throws(ConfigurationError) {
        self.init()
        self.endpoint = address
        self.externalEndpoint = address
        guard let section else { return }
        self.options.bootstrap = try section.texts("bootstrap")
        try self.read(section, below: "", besides: ["bootstrap", "blockGossipEnabled", GossipKey.retention])
        let flag: (String) -> Bool? = { Bool($0) }
        self.options.blockGossipEnabled =
            try section.optionalValue("blockGossipEnabled", expected: "true or false", flag)
            ?? self.options.blockGossipEnabled
        self.setRetention(
            try section.optionalValue(
                GossipKey.retention,
                expected: "a duration, such as 400s",
                { GoDuration.parse($0) }
            )
        )
    }

    private mutating func read(
        _ section: ConfigurationSection,
        below path: String,
        besides: Set<String> = []
    ) throws(ConfigurationError) {
        let keys = GossipKey.all.filter { $0.name.hasPrefix(path) }
            .map { (String($0.name.dropFirst(path.count)), $0) }
        let here = keys.filter { !$0.0.contains(".") }
        let sections = Set(
            keys.compactMap { $0.0.contains(".") ? $0.0.prefix { $0 != "." } : nil }.map(String.init)
        )
        try section.allow(keys: Set(here.map(\.0)).union(sections).union(besides))
        for (name, key) in here {
            try section.optionalValue(name, expected: key.expected, key.change)?(&self)
        }
        for name in sections.sorted() {
            guard let child = try section.optionalSection(name) else { continue }
            try self.read(child, below: "\(path)\(name).")
        }
    }

    private mutating func setRetention(_ interval: Duration?) {
        guard let interval, interval > .zero else { return }
        self.options.stateInfoRetention = max(1, Int(interval / self.options.publishStateInfoInterval))
    }
}
