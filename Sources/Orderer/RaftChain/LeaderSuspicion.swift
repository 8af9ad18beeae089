internal import Consensus

/// Whether a follower has reason to believe that its leader's process is gone: its connection broke, and no other one can
/// be made.
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
    static let tickInterval = Duration.milliseconds(50)
    /// How long a suspicion lasts if nothing comes of it.
    static let duration = Duration.seconds(5)

    private var count = 0
    private var begin: Duration?
    /// Whether the suspicion has only just begun.
    var isNew = false

    init() {}

    /// The engine is about to be told these.
    mutating func heard(_ inputs: [Raft.Input], leader: NodeID, at now: Duration) {
        for input in inputs {
            switch input {
            case .received(let message) where message.from == leader:
                self = LeaderSuspicion()
            case .command(.unreachable(leader)):
                self.count += 1
                guard self.count >= Self.failures, self.begin == nil else { continue }
                self.begin = now
                self.isNew = true
            default: break
            }
        }
    }

    /// How long a tick is now.
    func tickInterval(_ usual: Duration, at now: Duration) -> Duration {
        guard let begin, now - begin < Self.duration else { return usual }
        return min(usual, Self.tickInterval)
    }
}
