internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Decides which peer of an organization takes a channel's blocks from the ordering service.
///
/// Static by default: ``GossipOptions/orgLeader`` says it. Otherwise the peers of the organization elect one: who hears
/// no leader proposes itself, and declares itself if nobody with a smaller PKI-ID proposes. Followers that hear no leader
/// for `electionLeaderAliveThreshold` elect anew, so a leader that is killed has a successor after that time and
/// `electionDuration`: 15 s by default. Of two leaders that hear each other, the one with the greater PKI-ID gives way
/// at the first declaration of the other: within half of `electionLeaderAliveThreshold`.
///
/// - Source: Fabric v3.1, `gossip/election`.
struct LeaderElection: Sendable {
    private enum Phase: Equatable {
        /// Waits until the number of peers is steady, or the grace period is over.
        case starting(until: Duration, sampledAt: Duration, peers: Int)
        case electing(until: Duration, better: Bool)
        case following(until: Duration)
        case leading(nextDeclaration: Duration)
    }

    private var phase: Phase?
    private var told: Bool?
    private var timestamp: Gossip_PeerTime
    /// The newest message of each peer: older ones are replays.
    private var heard: [PKIID: (timestamp: Gossip_PeerTime, at: Duration)] = [:]
    /// Leaves leadership to others until then, or until one is heard.
    private var yieldsUntil: Duration?

    /// How many peers' last messages are remembered.
    static let capacity = 1_000

    init(wallClock: UInt64) {
        self.timestamp = .with { $0.incNum = wallClock }
    }

    /// Whether this peer takes blocks from the ordering service.
    var isLeader: Bool { self.told ?? false }

    /// Takes the time-dependent steps, with the channel's members of the own organization.
    mutating func tick(_ peers: [PKIID], _ view: ChannelView, _ context: inout GossipContext) {
        let options = context.options
        guard options.useLeaderElection else { return self.tell(options.orgLeader, view, &context) }
        self.heard = self.heard.filter {
            context.now - $0.value.at < options.aliveExpiration * options.expirationFactor
        }
        switch self.phase {
        case nil:
            self.tell(false, view, &context)
            self.phase = .starting(
                until: context.now + options.electionStartupGracePeriod,
                sampledAt: context.now,
                peers: peers.count
            )
        case .starting(let until, let sampledAt, let count):
            if context.now >= until { return self.elect(peers, view, &context) }
            guard context.now - sampledAt >= options.electionMembershipSampleInterval else { return }
            if peers.count == count { return self.elect(peers, view, &context) }
            self.phase = .starting(until: until, sampledAt: context.now, peers: peers.count)
        case .following(let until):
            if context.now >= until { self.elect(peers, view, &context) }
        case .electing(let until, let better):
            guard context.now >= until else { return }
            if better { return self.follow(view, &context) }
            context.note(.info, "channel \(view.id): this peer is the leader of its organization now")
            self.tell(true, view, &context)
            self.declare(peers, view, &context)
        case .leading(let next):
            if context.now >= next { self.declare(peers, view, &context) }
        }
    }

    private mutating func elect(_ peers: [PKIID], _ view: ChannelView, _ context: inout GossipContext) {
        if let until = self.yieldsUntil, context.now < until, !peers.isEmpty {
            return self.follow(view, &context)
        }
        self.yieldsUntil = nil
        self.send(isDeclaration: false, peers, view, &context)
        self.phase = .electing(until: context.now + context.options.electionDuration, better: false)
    }

    private mutating func declare(_ peers: [PKIID], _ view: ChannelView, _ context: inout GossipContext) {
        self.send(isDeclaration: true, peers, view, &context)
        self.phase = .leading(
            nextDeclaration: context.now + context.options.electionLeaderAliveThreshold / 2
        )
    }

    private mutating func follow(_ view: ChannelView, _ context: inout GossipContext) {
        if self.isLeader {
            context.note(.info, "channel \(view.id): this peer is no longer the leader of its organization")
        }
        self.tell(false, view, &context)
        self.phase = .following(until: context.now + context.options.electionLeaderAliveThreshold)
    }

    private mutating func tell(_ isLeader: Bool, _ view: ChannelView, _ context: inout GossipContext) {
        guard self.told != isLeader else { return }
        self.told = isLeader
        context.blocks(view, .lead(isLeader))
    }

    mutating func forget(_ peer: PKIID) { self.heard[peer] = nil }

    /// Gives way to another peer for a while, since the ordering service can't be reached from here.
    ///
    /// - Source: Fabric v3.1, `gossip/election`, `Yield`.
    mutating func yield(to peers: [PKIID], _ view: ChannelView, _ context: inout GossipContext) {
        guard context.options.useLeaderElection, case .leading = self.phase, !peers.isEmpty else { return }
        self.yieldsUntil = context.now + context.options.electionLeaderAliveThreshold * 6
        self.follow(view, &context)
    }

    /// Takes a message that a peer of the own organization has signed.
    mutating func receive(
        _ message: Gossip_LeadershipMessage,
        of author: PKIID,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) {
        guard context.options.useLeaderElection, author != context.local.pkiID else { return }
        if let last = self.heard[author]?.timestamp {
            guard message.timestamp.isNewer(than: last) else { return }
        } else if self.heard.count >= Self.capacity {
            return
        }
        self.heard[author] = (message.timestamp, context.now)
        let isSmaller = author < context.local.pkiID
        guard message.isDeclaration else {
            if case .electing(let until, let better) = self.phase {
                self.phase = .electing(until: until, better: better || isSmaller)
            }
            return
        }
        self.yieldsUntil = nil
        if case .leading = self.phase, !isSmaller { return }
        self.follow(view, &context)
    }

    private mutating func send(
        isDeclaration: Bool,
        _ peers: [PKIID],
        _ view: ChannelView,
        _ context: inout GossipContext
    ) {
        self.timestamp.seqNum &+= 1
        var content = Gossip_LeadershipMessage()
        content.pkiID = context.local.pkiID.bytes
        content.timestamp = self.timestamp
        content.isDeclaration = isDeclaration
        do {
            let envelope = try Gossip_Envelope(
                view.message(.chanAndOrg, .leadershipMsg(content)),
                signedBy: context.local.sign
            )
            for peer in peers { context.send(envelope, to: peer) }
        } catch {
            context.note(
                .warning,
                "channel \(view.id): a message of leader election can't be signed: \(error)"
            )
        }
    }
}
