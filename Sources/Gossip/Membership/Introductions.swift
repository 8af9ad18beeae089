internal import Channel
internal import Foundation

/// The addresses that a peer begins with: those of its own list, and the anchor peers of its channels.
///
/// Each is dialled until the peer there has told whom it knows. Fabric gives up after `maxConnectionAttempts`; here they
/// become rarer after so many, since a network that was down for an hour should still find together.
///
/// - Source: Fabric v3.1, `gossip/gossip`, `connect2BootstrapPeers` and `learnAnchorPeers`.
struct Introductions: Sendable {
    private struct Introduction: Sendable {
        /// The channels that name it; none for the peer's own list.
        var channels: Set<ChannelID> = []
        var isOwnList = false
        /// Somebody of this peer's organization must be there.
        var mustBeOwn = false
        var attempts = 0
        var next: Duration
        /// Who answered there.
        var peer: PKIID?
        var isDone = false
    }

    private var introductions: [String: Introduction] = [:]

    /// How many addresses there may be; a channel names a few for each organization.
    static let capacity = 1_000
    /// After `maxConnectionAttempts` the pauses are so many times as long.
    static let slowdown = 10

    init(options: GossipOptions, local: LocalPeer, now: Duration) {
        for endpoint in options.bootstrap where !Self.isOwn(endpoint, local) {
            self.introductions[endpoint] = Introduction(isOwnList: true, mustBeOwn: true, next: now)
        }
    }

    /// All addresses; their peers are never forgotten.
    var endpoints: Set<String> { Set(self.introductions.keys) }

    /// Whether an address is this peer's own.
    static func isOwn(_ endpoint: String, _ local: LocalPeer) -> Bool {
        if endpoint.isEmpty || endpoint == local.internalEndpoint || endpoint == local.externalEndpoint {
            return true
        }
        guard let port = local.internalEndpoint.split(separator: ":").last else { return false }
        return endpoint == "127.0.0.1:\(port)" || endpoint == "localhost:\(port)"
    }

    // MARK: - Channels

    mutating func configure(_ configuration: ChannelConfiguration, _ context: inout GossipContext) {
        self.leave(configuration.channelID)
        for organization in configuration.application?.organizations ?? [] {
            let isOwn = organization.mspID == context.local.mspID
            // Who cannot be reached has nothing to say to other organizations.
            guard isOwn || !context.local.externalEndpoint.isEmpty else { continue }
            for anchor in organization.anchorPeers where !anchor.host.isEmpty && anchor.port > 0 {
                let endpoint = "\(anchor.host):\(anchor.port)"
                guard !Self.isOwn(endpoint, context.local) else { continue }
                guard self.introductions[endpoint] != nil || self.introductions.count < Self.capacity else {
                    context.blame(
                        context.local.pkiID,
                        "anchors",
                        "is this peer: its channels name more than \(Self.capacity) anchor peers"
                    )
                    return
                }
                var introduction = self.introductions[endpoint] ?? Introduction(next: context.now)
                introduction.channels.insert(configuration.channelID)
                introduction.mustBeOwn = introduction.mustBeOwn || isOwn
                self.introductions[endpoint] = introduction
            }
        }
    }

    mutating func leave(_ channel: ChannelID) {
        for endpoint in self.introductions.keys {
            self.introductions[endpoint]?.channels.remove(channel)
        }
        self.introductions = self.introductions.filter { $0.value.isOwnList || !$0.value.channels.isEmpty }
    }

    mutating func remove(_ endpoint: String) { self.introductions[endpoint] = nil }

    /// Begins anew: this peer has another name.
    mutating func begin(_ context: inout GossipContext) {
        for endpoint in self.introductions.keys {
            self.introductions[endpoint]?.isDone = false
            self.introductions[endpoint]?.peer = nil
            self.introductions[endpoint]?.attempts = 0
            self.introductions[endpoint]?.next = context.now
        }
    }

    // MARK: - Attempts

    mutating func tick(_ membership: inout Membership, _ context: inout GossipContext) {
        let due = self.introductions.filter { !$0.value.isDone && $0.value.next <= context.now }.keys.sorted()
        for endpoint in due { self.attempt(endpoint, &membership, &context) }
    }

    private mutating func attempt(
        _ endpoint: String,
        _ membership: inout Membership,
        _ context: inout GossipContext
    ) {
        guard var introduction = self.introductions[endpoint] else { return }
        defer { self.introductions[endpoint] = introduction }
        if context.members.values.contains(where: { $0.endpoint == endpoint }) {
            introduction.isDone = true
            return
        }
        introduction.attempts += 1
        let limit = context.options.maxConnectionAttempts
        let slowdown = introduction.attempts >= limit ? Self.slowdown : 1
        introduction.next = context.now + context.options.reconnectInterval * slowdown
        if introduction.attempts == limit {
            context.note(.warning, "nobody answered at \(endpoint) in \(limit) attempts; asks less often now")
        }
        if let peer = introduction.peer, context.connections[peer] != nil {
            membership.request(from: peer, endpoint: endpoint, &context)
        } else {
            context.effects.append(.dial(endpoint: endpoint))
        }
    }

    mutating func fail(_ endpoint: String, _ reason: String, _ context: inout GossipContext) {
        guard let introduction = self.introductions[endpoint], !introduction.isDone else { return }
        let level: GossipNote.Level = introduction.attempts <= 1 ? .info : .debug
        context.note(level, "nobody to talk to at \(endpoint): \(reason)")
    }

    mutating func connected(
        _ connection: GossipConnection,
        _ membership: inout Membership,
        _ context: inout GossipContext
    ) {
        guard let endpoint = connection.endpoint, let introduction = self.introductions[endpoint] else {
            return
        }
        guard !introduction.mustBeOwn || context.identities.isOfOwnOrganization(connection.peer) else {
            let source = introduction.isOwnList ? "the bootstrap list" : "a channel's anchor peers"
            context.blame(
                connection.peer,
                "introduction",
                "answers at \(endpoint), where \(source) promised a peer of the own organization"
            )
            context.connections[connection.peer] = nil
            context.effects.append(.disconnect(connection.peer, reason: "it is of another organization"))
            return
        }
        self.introductions[endpoint]?.peer = connection.peer
        membership.request(from: connection.peer, endpoint: endpoint, &context)
    }

    /// A peer has told whom it knows.
    mutating func answered(by peer: PKIID) {
        for (endpoint, introduction) in self.introductions where introduction.peer == peer {
            self.introductions[endpoint]?.isDone = true
        }
    }
}
