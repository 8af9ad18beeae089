/// What one node of a Raft cluster tells another: the part of etcd's `raftpb.Message` that Fabric's orderers use.
///
/// Source: etcd's raft package; its message types in parentheses below.
package struct RaftMessage: Equatable, Sendable {
    /// The sender, as its connection proves.
    package var from: NodeID
    package var to: NodeID
    /// The sender's term; of a pre-vote, and of a reply that grants one, the term that the candidate asks for.
    package var term: Term
    package var content: Content

    package init(from: NodeID, to: NodeID, term: Term, content: Content) {
        self.from = from
        self.to = to
        self.term = term
        self.content = content
    }

    /// Whether the message stands for blocks, which its driver fills in.
    package var isSnapshot: Bool {
        if case .snapshot = self.content { true } else { false }
    }

    package enum Content: Equatable, Sendable {
        /// Would you vote for me? `last` is the candidate's last entry (`MsgPreVote`: `index`, `logTerm`).
        case preVote(last: RaftPosition)
        /// `MsgPreVoteResp`; `reject` is the opposite of `granted`.
        case preVoteReply(granted: Bool)
        /// Vote for me (`MsgVote`). `isTransfer` says that the leader asked for this election: `context` is then
        /// `CampaignTransfer`.
        case vote(last: RaftPosition, isTransfer: Bool)
        /// `MsgVoteResp`.
        case voteReply(granted: Bool)
        /// `MsgApp`.
        case append(RaftAppend)
        /// The receiver holds the leader's log through `index`, durably (`MsgAppResp`). An index of 0 only tells a
        /// leader of an earlier term that its time is over.
        case appended(index: UInt64)
        /// The receiver has no entry that matches (`MsgAppResp` with `reject`): `index` is the one that the leader gave
        /// as the previous one, `hint` where the receiver may match (`rejectHint`, `logTerm`).
        case appendRejected(index: UInt64, hint: RaftPosition)
        /// The leader lives, and has committed this much of what the receiver holds (`MsgHeartbeat`).
        case heartbeat(commit: UInt64)
        /// `MsgHeartbeatResp`.
        case heartbeatReply
        /// What the receiver lacks is no longer in the leader's log (`MsgSnap`).
        case snapshot(RaftSnapshot)
        /// The receiver shall become leader at once (`MsgTimeoutNow`).
        case timeoutNow
    }
}

/// Entries for a follower's log.
package struct RaftAppend: Equatable, Sendable {
    /// The entry before the first one; the follower takes the entries only if it holds that one.
    package var previous: RaftPosition
    package var entries: [RaftEntry]
    /// The leader's commit index.
    package var commit: UInt64

    package init(previous: RaftPosition, entries: [RaftEntry], commit: UInt64) {
        self.previous = previous
        self.entries = entries
        self.commit = commit
    }
}

/// Stands for everything decided through ``position``.
///
/// Fabric's snapshot holds no state but the newest block at that position, with empty metadata: whoever receives it
/// pulls the blocks that it lacks from the other orderers. The engine keeps no blocks that are decided, so it sends
/// ``data`` empty, and the driver fills in the block when it sends the message.
///
/// Source: etcd's `raftpb.Snapshot`; Fabric v3.1, package `orderer/consensus/etcdraft`.
package struct RaftSnapshot: Equatable, Sendable {
    package var position: RaftPosition
    /// Who has votes there.
    package var voters: [NodeID]
    /// The serialized block; empty in what the engine sends.
    package var data: [UInt8]

    package init(position: RaftPosition, voters: [NodeID], data: [UInt8] = []) {
        self.position = position
        self.voters = voters
        self.data = data
    }
}

/// A change of one vote.
package enum VoterChange: Hashable, Sendable {
    /// From here on this node has a vote.
    case add(NodeID)
    /// From here on this node has no vote.
    case remove(NodeID)
}
