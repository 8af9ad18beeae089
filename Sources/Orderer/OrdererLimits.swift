/// The bounds of an ordering node's queues and caches, each with what happens when it is reached.
package struct OrdererLimits: Sendable {
    /// Envelopes that one Broadcast stream may have unanswered; the node then stops reading from it.
    package var readAheadEnvelopes = 1_000
    /// Bytes of envelopes that one Broadcast stream may have unanswered; one envelope is always read.
    package var readAheadBytes = 16 << 20
    /// Envelopes of one channel that wait for a block; further ones are answered SERVICE_UNAVAILABLE.
    package var waitingEnvelopes = 20_000
    /// Bytes of envelopes of one channel that wait for a block; further ones are answered SERVICE_UNAVAILABLE.
    package var waitingBytes = 256 << 20
    /// Bytes of the newest blocks of one channel that are kept in memory for readers; older ones are read from disk.
    package var recentBlockBytes = 4 << 20
    /// Bytes of blocks of one channel that are appended before the disk is made to keep them.
    package var unsyncedBlockBytes = 2 << 20
    /// How far a Deliver request's timestamp may be from this node's clock; others are answered BAD_REQUEST.
    package var deliverTimeWindow: Duration = .seconds(15 * 60)
    /// How long the node waits before it opens a channel's stores again after a failure; doubles up to 30 times this.
    package var reopenDelay: Duration = .seconds(1)

    /// How long another orderer may send no block to a node that follows the channel, before the next one is asked.
    package var sourcePatience: Duration = .seconds(10)

    package init() {}
}
