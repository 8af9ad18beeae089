/// What a leader knows of one follower's log, and what it sends next.
///
/// Source: Ongaro, "Consensus: Bridging Theory and Practice", §10.2.1; the three states are etcd's.
struct RaftProgress: Sendable {
    enum State: Equatable, Sendable {
        /// One append at a time, until it is known where the logs match. After a snapshot the appends are empty, as the
        /// follower may be at work for long.
        case probe(afterSnapshot: Bool)
        /// Appends follow each other without waiting for replies.
        case replicate
        /// Nothing is sent until the snapshot, which ends with this entry, was delivered.
        case snapshot(UInt64)
    }

    private(set) var state: State = .probe(afterSnapshot: false)
    /// The follower holds the leader's log durably through this entry.
    private(set) var match: UInt64 = 0
    /// The first entry to send.
    private(set) var next: UInt64
    /// It has been heard since the leader last checked its quorum.
    var isActive: Bool
    /// The last entries of the appends on their way, oldest first.
    private var inflight: [UInt64] = []
    private let maxInflight: Int
    /// A probe or a full window waits for an answer.
    private var waits = false
    /// The highest commit index that was sent.
    private var sentCommit: UInt64 = 0

    init(next: UInt64, maxInflight: Int, isActive: Bool) {
        self.next = next
        self.maxInflight = max(1, maxInflight)
        self.isActive = isActive
    }

    var isPaused: Bool {
        if case .snapshot = self.state { return true }
        return self.waits
    }

    var isProbing: Bool {
        if case .probe = self.state { return true }
        return false
    }

    /// Whether the next append may carry entries.
    var takesEntries: Bool {
        switch self.state {
        case .probe(let afterSnapshot): !afterSnapshot
        case .replicate: self.inflight.count < self.maxInflight
        case .snapshot: false
        }
    }

    /// Whether telling `commit` would tell the follower something new about what it was sent.
    func lacksCommit(_ commit: UInt64) -> Bool {
        commit > self.sentCommit && self.sentCommit < self.next &- 1
    }

    mutating func sent(_ entries: [RaftEntry], commit: UInt64) {
        self.sentCommit = commit
        if case .replicate = self.state {
            if let last = entries.last {
                self.next = last.position.index &+ 1
                self.inflight.append(last.position.index)
            }
            self.waits = self.inflight.count >= self.maxInflight
        } else {
            self.waits = true
        }
    }

    mutating func told(commit: UInt64) { self.sentCommit = max(self.sentCommit, commit) }

    /// The follower holds everything through `index`; returns whether that says anything new.
    mutating func matched(_ index: UInt64, logStart: UInt64) -> Bool {
        let isNews = index > self.match
        guard isNews || (index == self.match && self.isProbing) else { return false }
        if isNews {
            self.match = index
            self.next = max(self.next, index &+ 1)
            self.waits = false
        }
        switch self.state {
        case .probe: self.replicate()
        case .snapshot: if self.match >= logStart { self.replicate() }
        case .replicate: self.inflight.removeAll { $0 <= index }
        }
        return true
    }

    /// The follower refused an append behind `index`; it may match at `hint`.
    ///
    /// Returns whether another append shall go out.
    mutating func rejected(_ index: UInt64, hint: UInt64) -> Bool {
        if case .replicate = self.state {
            // What is not above a known match was answered before it was known.
            guard index > self.match else { return false }
            self.probe()
            return true
        }
        guard self.isProbing, self.next &- 1 == index else { return false }
        if index == self.match, hint < index {
            // It held this and holds it no more: its disk was lost. Nothing is known about it any longer.
            self.match = 0
        }
        self.state = .probe(afterSnapshot: false)
        self.next = max(min(index, hint &+ 1), self.match &+ 1)
        self.sentCommit = min(self.sentCommit, self.next &- 1)
        self.waits = false
        return true
    }

    /// Looks for the point where the logs match, from what is known.
    mutating func probe() {
        if case .snapshot(let index) = self.state {
            self.next = max(self.match &+ 1, index &+ 1)
            self.state = .probe(afterSnapshot: true)
        } else {
            self.next = self.match &+ 1
            self.state = .probe(afterSnapshot: false)
        }
        self.reset()
    }

    private mutating func replicate() {
        self.state = .replicate
        self.next = self.match &+ 1
        self.reset()
    }

    mutating func sentSnapshot(through index: UInt64) {
        self.state = .snapshot(index)
        self.next = index &+ 1
        self.reset()
        self.sentCommit = index
    }

    /// What became of handing the snapshot to the network.
    ///
    /// Either way the next append waits for a sign of life.
    mutating func snapshotSent(success: Bool) {
        guard case .snapshot = self.state else { return }
        if !success { self.state = .snapshot(0) }
        self.probe()
        self.waits = true
    }

    mutating func unreachable() {
        if case .replicate = self.state { self.probe() }
    }

    /// The follower lives, so what it did not answer was probably lost.
    mutating func heard() {
        self.isActive = true
        self.waits = false
    }

    private mutating func reset() {
        self.inflight = []
        self.waits = false
        self.sentCommit = min(self.sentCommit, self.next &- 1)
    }

    var follower: RaftFollower {
        let state: RaftFollower.State =
            switch self.state {
            case .probe: .probe
            case .replicate: .replicate
            case .snapshot: .snapshot
            }
        return RaftFollower(
            state: state,
            match: self.match,
            isActive: self.isActive,
            isPaused: self.isPaused
        )
    }
}
