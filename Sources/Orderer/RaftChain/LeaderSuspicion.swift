import Consensus

/// Whether a follower has reason to believe that its leader's process is gone or stopped: its connection broke, and no
/// other one can be made; or it says nothing, and answers nothing when it is asked.
///
/// Time then passes faster for its engine, so that it asks the others for their votes soon instead of after the channel's
/// election timeout. It harms nobody to be wrong: others that hear from the leader grant no pre-vote, and a message of
/// the leader ends the suspicion.
///
/// Pure. Source: Ongaro, "Consensus: Bridging Theory and Practice", §9.6 for pre-votes.
struct LeaderSuspicion {
    /// Failures without a message in between that make a suspicion.
    static let failures = 2
    /// A tick under suspicion, unless the channel's is shorter.
    static let tickInterval = Duration.milliseconds(30)
    /// How long a suspicion lasts if nothing comes of it.
    static let duration = Duration.seconds(5)
    /// How long a leader may say nothing before its process is asked whether it is there, unless half of the time between
    /// two heartbeats is longer.
    static let silence = Duration.milliseconds(250)
    /// How long the answer may take, unless most of the time between two heartbeats is longer.
    static let patience = Duration.milliseconds(400)

    private var count = 0
    private var begin: Duration?
    /// Whether the suspicion has only just begun.
    var isNew = false
    /// When the leader said something last, or became known.
    private let heard: Duration
    /// When it was asked since then.
    private var asked: Duration?

    init(at now: Duration) { self.heard = now }

    /// The engine is about to be told these.
    mutating func heard(_ inputs: [Raft.Input], leader: NodeID, at now: Duration) {
        for input in inputs {
            switch input {
            case .received(let message) where message.from == leader:
                self = LeaderSuspicion(at: now)
            case .command(.unreachable(leader)):
                self.count += 1
                if self.count >= Self.failures { self.suspect(at: now) }
            default: break
            }
        }
    }

    /// The leader's process answered nothing when it was asked.
    mutating func unanswered(at now: Duration) {
        // If it has said something since, it doesn't matter.
        if self.asked != nil { self.suspect(at: now) }
    }

    private mutating func suspect(at now: Duration) {
        guard self.begin == nil else { return }
        self.begin = now
        self.isNew = true
    }

    /// How long a tick is now.
    func tickInterval(_ usual: Duration, at now: Duration) -> Duration {
        guard let begin, now - begin < Self.duration else { return usual }
        return min(usual, Self.tickInterval)
    }

    // MARK: - Asking

    /// When to ask the leader's process whether it is there, if it goes on saying nothing; `heartbeat` is the time between
    /// two of its heartbeats.
    func nextQuestion(heartbeat: Duration) -> Duration {
        if let asked { return asked + Self.patience(heartbeat: heartbeat) }
        return self.heard + max(Self.silence, heartbeat / 2)
    }

    /// How long an answer may take.
    static func patience(heartbeat: Duration) -> Duration { max(Self.patience, heartbeat * 4 / 5) }

    /// The leader is asked now.
    mutating func ask(at now: Duration) { self.asked = now }
}
