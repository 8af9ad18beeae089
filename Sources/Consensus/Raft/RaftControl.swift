/// How a Raft node behaves: a channel's etcdraft options.
package struct RaftConfiguration: Equatable, Sendable {
    /// A follower that hears nothing from a leader for this many ticks, or up to twice as many, campaigns; a leader
    /// that hears from no quorum for this many ticks steps down.
    package var electionTicks: Int
    /// A leader sends heartbeats after this many ticks; less than ``electionTicks``.
    package var heartbeatTicks: Int
    /// How many appends may be on their way to one follower.
    package var maxInflightMessages: Int
    /// The entries of one append have at most this many bytes, but one entry is always sent.
    package var maxMessageBytes: Int
    /// Randomizes when this node campaigns: different on every node and at every start.
    package var seed: UInt64

    package init(
        electionTicks: Int = 10,
        heartbeatTicks: Int = 1,
        maxInflightMessages: Int = 5,
        maxMessageBytes: Int = 2 << 20,
        seed: UInt64
    ) {
        self.electionTicks = electionTicks
        self.heartbeatTicks = heartbeatTicks
        self.maxInflightMessages = maxInflightMessages
        self.maxMessageBytes = maxMessageBytes
        self.seed = seed
    }
}

/// What only Raft is told.
///
/// Catching up: a follower that gets a snapshot changes nothing but tells ``RaftEvent/catchUp(_:)``. The driver pulls
/// the blocks through that of the snapshot from the other orderers, makes them durable, and only then gives
/// ``caughtUp(_:)``; the log begins there after the write that follows. A crash in between leaves the old log, a longer
/// ledger, and nothing to repair: the driver opens the engine with the position of its ledger, the leader probes,
/// and sends a snapshot again. Meanwhile the node votes and answers heartbeats, and further snapshots are ignored.
package enum RaftCommand: Equatable, Sendable {
    /// Ask for votes now instead of when the time is up. Does nothing on a leader, or on a node without a vote.
    case campaign
    /// A leader makes this follower the leader, as soon as it has the whole log. Until that happens, or an election
    /// timeout has passed, proposals are refused.
    case transferLeadership(to: NodeID)
    /// A leader proposes a change of the voters; answered like a proposal, and refused while one is under way.
    case changeVoters(VoterChange)
    /// The voters besides this node, whom one that has lost what it promised asks; other nodes ignore it.
    case recollect(from: [NodeID])
    /// A message to this node could not be sent.
    case unreachable(NodeID)
    /// A snapshot was handed to the transport, or could not be.
    case snapshotSent(to: NodeID, success: Bool)
    /// The ledger holds everything that the snapshot stands for, durably.
    case caughtUp(RaftSnapshot)
    /// The driver gave up catching up; another snapshot will be taken.
    case catchUpFailed
}

/// What only Raft tells.
package enum RaftEvent: Equatable, Sendable {
    /// A change of the voters is final, at this position; `voters` have votes now. After a restart changes that were
    /// told before come again.
    case votersChanged(position: UInt64, change: VoterChange, voters: [NodeID])
    /// This node lacks too much to be fed from the leader's log: pull blocks as ``RaftCommand`` says.
    case catchUp(RaftSnapshot)
    /// This node had lost what it promised, and knows enough again to vote.
    case recollected
    /// A node sent what it can't mean; the message changed nothing.
    case refused(from: NodeID, reason: String)
}

/// What a Raft node is and knows of the others.
package struct RaftStatus: Equatable, Sendable {
    package enum Role: Equatable, Sendable { case follower, preCandidate, candidate, leader }

    package var role: Role
    package var leader: NodeID?
    package var term: Term
    /// Who has votes, as far as the log is applied here.
    package var voters: [NodeID]
    /// The last entry that is known to be committed.
    package var commit: UInt64
    /// The last entry whose effect the driver was told.
    package var applied: UInt64
    package var last: RaftPosition
    /// To whom leadership is being handed over.
    package var transferee: NodeID?
    /// On a leader, how far each other voter is.
    package var followers: [NodeID: RaftFollower]
    /// On a node that has lost what it promised and doesn't vote: those that have yet to answer it.
    package var unheard: [NodeID]?

    /// The nodes from which a leader heard since it last checked, and itself; empty on a node that doesn't lead.
    ///
    /// Fabric's leaders tell these to the other orderers as active.
    package var activeNodes: [NodeID] {
        guard self.role == .leader, let leader = self.leader else { return [] }
        return [leader] + self.followers.filter(\.value.isActive).keys.sorted()
    }
}

/// How far a follower is, as its leader sees it.
package struct RaftFollower: Equatable, Sendable {
    package enum State: Equatable, Sendable { case probe, replicate, snapshot }

    package var state: State
    /// It holds the leader's log durably through this entry.
    package var match: UInt64
    /// It has been heard since the leader last checked its quorum.
    package var isActive: Bool
    /// No append is sent to it now.
    package var isPaused: Bool
}
