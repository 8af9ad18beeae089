internal import Channel
internal import Consensus
internal import Foundation

/// What a BFT channel shares between its thread and the others, beside the queue of envelopes.
struct BFTQueues: Sendable {
    /// Whether envelopes stay queued until they are in a block, at every consenter.
    var holdsRequests = false
    var inbox = BFTInbox()
    /// Envelopes of this node's clients that the other consenters have not been given yet.
    var unspread: [OrderingChannel.Waiting] = []
    /// How many of the queued envelopes each other consenter gave.
    private(set) var spread: [NodeID: Int] = [:]
    /// Under which sequence of the configuration each queued envelope was checked.
    private(set) var checked: [EnvelopeFingerprint: UInt64] = [:]

    mutating func queued(_ envelope: OrderingChannel.Waiting) {
        if let origin = envelope.origin {
            self.spread[origin, default: 0] += 1
        } else {
            self.unspread.append(envelope)
        }
        self.rechecked(envelope)
    }

    mutating func rechecked(_ envelope: OrderingChannel.Waiting) {
        if let fingerprint = envelope.fingerprint { self.checked[fingerprint] = envelope.sequence }
    }

    mutating func removed(_ envelope: OrderingChannel.Waiting) {
        if let origin = envelope.origin, let count = self.spread[origin] {
            self.spread[origin] = count > 1 ? count - 1 : nil
        }
        if let fingerprint = envelope.fingerprint { self.checked[fingerprint] = nil }
    }
}
