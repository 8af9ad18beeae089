import Consensus

/// Whether a leader has reason to believe that the others don't reach it any more: too few of them to be a quorum with it have
/// said anything for a while, and the processes of the rest answer nothing when they are asked.
///
/// Time then passes faster for its engine, so that it steps down soon instead of after the channel's election timeout: the
/// others may still hear it, and would follow a leader that can decide nothing. It harms little to be wrong: a message of
/// one of them ends the suspicion.
///
/// Pure. Source: Ongaro, "Consensus: Bridging Theory and Practice", §6.2, on leaders that step down.
struct QuorumSuspicion {
    /// How long so few may be heard before the others are asked, unless two heartbeats take longer.
    static let silence = Duration.milliseconds(500)

    private let begin: Duration
    private var heard: [NodeID: Duration] = [:]
    private var silent: Set<NodeID> = []
    private var asked: Duration?
    private var suspected: Duration?

    var isSuspected: Bool { self.suspected != nil }

    /// The node became leader.
    init(at now: Duration) { self.begin = now }

    /// The engine is about to be told these.
    mutating func heard(_ inputs: [Raft.Input], at now: Duration) {
        for input in inputs {
            guard case .received(let message) = input else { continue }
            self.heard[message.from] = now
            self.silent.remove(message.from)
            self.suspected = nil
        }
    }

    /// When so few have been heard for so long that the others are to be asked.
    ///
    /// - Parameters:
    ///   - others: the other consenters.
    ///   - needed: how many of them are a quorum with the leader.
    ///   - heartbeat: the time between two heartbeats, which each of them answers.
    /// - Returns: `nil` if the leader needs nobody.
    func nextQuestion(others: [NodeID], needed: Int, heartbeat: Duration) -> Duration? {
        let times = others.map { self.heard[$0] ?? self.begin }.sorted(by: >)
        guard needed > 0, needed <= times.count else { return nil }
        let due = times[needed - 1] + Self.silence(heartbeat)
        guard let asked else { return due }
        return max(due, asked + LeaderSuspicion.patience(heartbeat: heartbeat))
    }

    /// They are asked now; returns who hasn't been heard.
    mutating func ask(others: [NodeID], heartbeat: Duration, at now: Duration) -> [NodeID] {
        self.asked = now
        return others.filter { now - (self.heard[$0] ?? self.begin) >= Self.silence(heartbeat) }
    }

    /// These answered nothing when they were asked.
    mutating func unanswered(_ nodes: Set<NodeID>, others: [NodeID], needed: Int, at now: Duration) {
        // If one has said something since, it doesn't matter.
        self.silent.formUnion(nodes.filter { self.heard[$0] ?? self.begin < self.asked ?? self.begin })
        guard self.suspected == nil, others.count(where: { !self.silent.contains($0) }) < needed else {
            return
        }
        self.suspected = now
    }

    /// How long a tick is now.
    func tickInterval(_ usual: Duration, at now: Duration) -> Duration {
        guard let suspected, now - suspected < LeaderSuspicion.duration else { return usual }
        return min(usual, LeaderSuspicion.tickInterval)
    }

    private static func silence(_ heartbeat: Duration) -> Duration { max(Self.silence, heartbeat * 2) }
}

extension Int {
    /// How many of so many others are a majority together with one more node.
    var quorumWithOne: Int { (self + 1) / 2 }
}
