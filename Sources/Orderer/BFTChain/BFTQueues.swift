internal import Channel
internal import Consensus
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// What a BFT channel shares between its thread and the others, beside the queue of envelopes.
struct BFTQueues: Sendable {
    /// Whether envelopes stay queued until they are in a block, at every consenter.
    var holdsRequests = false
    var inbox = BFTInbox()
    /// Envelopes of this node's clients that the leader has not been given yet.
    var ungiven: [OrderingChannel.Waiting] = []
    /// What needs no further check.
    var verified = CheckedEnvelopes()
    /// What of the queue each other consenter gave.
    private(set) var spread: [NodeID: Share] = [:]
    /// Under which sequence of the configuration each queued envelope was checked.
    private(set) var checked: [EnvelopeFingerprint: UInt64] = [:]
    /// How many config envelopes are queued of each client's update.
    private var updates: [EnvelopeFingerprint: Int] = [:]
    /// Everything that was queued before this was given to the others again.
    var forwardedThrough = Duration.zero
    /// When the latest of the envelopes was queued that blocks have taken from the queue.
    fileprivate(set) var newestOrdered = Duration.zero

    /// A part of the queue.
    struct Share {
        var count = 0
        var bytes = 0
    }

    /// An envelope joined the queue of a consenter that leads or doesn't.
    mutating func queued(_ envelope: OrderingChannel.Waiting, isLeader: Bool) {
        if let origin = envelope.origin {
            self.spread[origin, default: Share()].count += 1
            self.spread[origin, default: Share()].bytes += envelope.bytes.count
        } else if !isLeader {
            self.ungiven.append(envelope)
        }
        if let update = envelope.update { self.updates[update, default: 0] += 1 }
        self.rechecked(envelope)
    }

    /// Whether this node has checked an envelope under the configuration with this sequence.
    func hasChecked(_ fingerprint: EnvelopeFingerprint, under sequence: UInt64) -> Bool {
        self.checked[fingerprint] == sequence || self.verified.hasPassed(fingerprint, under: sequence)
    }

    /// Whether a config envelope of this client's update is queued.
    func hasQueued(_ update: EnvelopeFingerprint) -> Bool { self.updates[update] != nil }

    mutating func rechecked(_ envelope: OrderingChannel.Waiting) {
        if let fingerprint = envelope.fingerprint { self.checked[fingerprint] = envelope.sequence }
    }

    mutating func removed(_ envelope: OrderingChannel.Waiting) {
        if let origin = envelope.origin, var share = self.spread[origin] {
            share.count -= 1
            share.bytes -= envelope.bytes.count
            self.spread[origin] = share.count > 0 ? share : nil
        }
        if let update = envelope.update, let count = self.updates[update] {
            self.updates[update] = count > 1 ? count - 1 : nil
        }
        if let fingerprint = envelope.fingerprint { self.checked[fingerprint] = nil }
    }
}

/// The queue of a BFT channel: envelopes leave it from anywhere.
extension OrderingChannel.State {
    /// Removes what is in a block, from wherever it stands: mostly near the front.
    mutating func dropQueued(_ fingerprints: [EnvelopeFingerprint]) {
        let gone = Set(fingerprints.filter { self.bft.checked[$0] != nil })
        var newest = self.bft.newestOrdered
        self.dropQueued(gone.count) { envelope in
            guard let fingerprint = envelope.fingerprint, gone.contains(fingerprint) else { return false }
            newest = max(newest, envelope.arrival)
            return true
        }
        self.bft.newestOrdered = newest
    }

    /// Another consenter leads from now on, or this one: it is given all that this node's clients want ordered.
    mutating func follow(_ leader: NodeID?) {
        self.standing.leader = leader
        self.bft.ungiven = self.standing.isLeader ? [] : self.waiting.filter { $0.origin == nil }
    }

    /// Whether the oldest envelope has waited long enough to hold it against a leader that makes blocks.
    ///
    /// What another consenter gave has waited there for ``BFTTiming/forwarding`` already. Long queues are no fault of the
    /// leader's: it counts only that others were taken that came much later, or that the wait has no end.
    ///
    /// - Parameters:
    ///   - since: when the leader began to lead.
    ///   - now: the time.
    ///   - timing: how long is long.
    /// - Returns: whether this node should complain.
    func isLeftOut(since: Duration, at now: Duration, _ timing: BFTTiming) -> Bool {
        func isLeftOut(_ envelope: OrderingChannel.Waiting?, _ patience: Duration) -> Bool {
            guard let oldest = envelope?.arrival else { return false }
            let wait = now - max(oldest, since)
            guard wait >= patience else { return false }
            return self.bft.newestOrdered >= oldest + timing.forwarding || wait >= patience * 3
        }
        if isLeftOut(self.waiting.first, timing.patience) { return true }
        guard !self.bft.spread.isEmpty else { return false }
        return isLeftOut(self.waiting.first { $0.origin != nil }, timing.patienceWithOthers)
    }

    mutating func dropQueued(_ envelopes: [OrderingChannel.Waiting]) {
        let configs = Set(envelopes.filter(\.isConfig).map(\.bytes))
        let fingerprints = Set(envelopes.compactMap(\.fingerprint))
        self.dropQueued(envelopes.count) { envelope in
            envelope.fingerprint.map { fingerprints.contains($0) } ?? configs.contains(envelope.bytes)
        }
    }

    /// Removes up to `count` envelopes that `isGone` names.
    private mutating func dropQueued(_ count: Int, _ isGone: (OrderingChannel.Waiting) -> Bool) {
        var kept: [OrderingChannel.Waiting] = []
        var looked = 0
        var found = 0
        while found < count, looked < self.waiting.count {
            let envelope = self.waiting[looked]
            looked += 1
            if isGone(envelope) {
                found += 1
                self.waitingBytes -= envelope.bytes.count
                self.bft.removed(envelope)
            } else {
                kept.append(envelope)
            }
        }
        self.waiting.removeFirst(looked)
        self.waiting.insert(contentsOf: kept, at: 0)
    }

    /// Takes the config envelopes of the client's update with this name, whichever consenter made them.
    mutating func takeQueued(updates update: EnvelopeFingerprint) -> [OrderingChannel.Waiting] {
        let taken = Array(self.waiting.filter { $0.update == update })
        self.dropQueued(taken)
        return taken
    }

    /// Takes what was queued before `moment`.
    mutating func takeQueued(before moment: Duration) -> [OrderingChannel.Waiting] {
        let taken = Array(self.waiting.prefix { $0.arrival < moment })
        self.dropQueued(taken)
        return taken
    }

    /// What was queued before `moment` and not given to the others again since.
    mutating func takeUnforwarded(before moment: Duration, atMost count: Int) -> [OrderingChannel.Waiting] {
        let through = self.bft.forwardedThrough
        let taken = Array(
            self.waiting.lazy.prefix { $0.arrival < moment }.filter { $0.arrival > through }.prefix(count)
        )
        if let last = taken.last { self.bft.forwardedThrough = last.arrival }
        return taken
    }

    /// What was checked under an older configuration than that with this sequence.
    func queued(checkedBefore sequence: UInt64, atMost count: Int) -> [OrderingChannel.Waiting] {
        // What is checked anew stays where it is, so the old ones may stand anywhere.
        Array(self.waiting.lazy.filter { $0.sequence != sequence }.prefix(count))
    }

    /// An envelope was checked again; of a configuration update another envelope came out.
    mutating func replace(_ old: OrderingChannel.Waiting, by new: OrderingChannel.Waiting) {
        let index = self.waiting.firstIndex {
            old.isConfig ? $0.bytes == old.bytes : $0.fingerprint == old.fingerprint
        }
        guard let index else { return }
        self.waitingBytes += new.bytes.count - self.waiting[index].bytes.count
        self.waiting[index] = new
        self.bft.rechecked(new)
    }

    /// What this node knows of envelopes, under the configuration with this sequence.
    func known(_ fingerprints: [EnvelopeFingerprint], _ sequence: UInt64) -> [KnownEnvelope] {
        fingerprints.map { fingerprint in
            if self.window.hasOrdered(fingerprint) { return .ordered }
            return self.bft.hasChecked(fingerprint, under: sequence) ? .checked : .unknown
        }
    }
}

extension OrderingChannel.Waiting {
    /// The client's envelope in a CONFIG envelope.
    private static func update(in bytes: Data) -> Common_Envelope? {
        guard let envelope = try? Common_Envelope(serializedBytes: bytes),
            let payload = try? Common_Payload(serializedBytes: envelope.payload)
        else { return nil }
        return try? Common_ConfigEnvelope(serializedBytes: payload.data).lastUpdate
    }

    /// What names the client's update in a CONFIG envelope.
    static func update(named bytes: Data?) -> EnvelopeFingerprint? {
        bytes.flatMap { self.update(in: $0) }.flatMap { try? $0.serializedBytes() }.map {
            EnvelopeFingerprint($0)
        }
    }

    /// The envelope as the client sent it: of a CONFIG envelope the CONFIG_UPDATE in it.
    var clientEnvelope: Common_Envelope? {
        self.isConfig ? Self.update(in: self.bytes) : try? Common_Envelope(serializedBytes: self.bytes)
    }
}
