/// A fault that is put into a node on purpose, to see that the simulator finds it.
///
/// Each is made at the seam between the engine and its driver, by changing what passes there, so that the product holds
/// no switch for it; a wrong rule inside the engine is imitated by the messages and effects that it would lead to.
package enum Mutation: String, CaseIterable, Sendable {
    /// The vote of a term isn't stored, so that a node may vote twice.
    case forgetVote
    /// The term isn't stored.
    case forgetTerm
    /// Messages leave, and writes count as durable, before they are.
    case acknowledgeBeforeSync
    /// One vote and one copy fewer than a majority is enough.
    case smallQuorum
    /// A candidate with a shorter log gets votes (§5.4.1).
    case ignoreCandidatesLog
    /// Entries of earlier terms are committed by counting copies (§5.4.2, figure 8).
    case commitEarlierTerms
    /// Entries are taken although the one before them doesn't match (§5.3).
    case ignorePreviousEntry
    /// Overwriting entries leaves what stands behind them in the store.
    case keepSuffix
    /// Entries are released from the consensus store before their blocks are durable.
    case releaseBeforeSync
    /// A snapshot is installed before the blocks that it stands for are durable.
    case installBeforeSync
    /// A heartbeat's commit index is taken as that of the leader's whole log.
    case commitByHeartbeat
    /// A node makes blocks as soon as it leads, before it knows the blocks of earlier leaders.
    case orderTooEarly
}
