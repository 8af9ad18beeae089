internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// What other consenters of a BFT channel give its thread.
extension OrderingChannel {
    /// Whether an envelope, as its client sent it, waits here, was ordered lately, or is being checked.
    func knows(_ fingerprint: EnvelopeFingerprint) -> Bool {
        self.monitor.withLock {
            $0.window.knows(fingerprint) || $0.bft.hasQueued(fingerprint)
                || $0.bft.verified.isUnderWay(fingerprint)
        }
    }

    /// Checks a transaction, unless it has passed the same checks here lately.
    func checkOnce(
        _ fingerprint: EnvelopeFingerprint,
        _ headers: EnvelopeHeaders,
        _ rules: @autoclosure () -> EnvelopeRules,
        under sequence: UInt64
    ) throws(Refusal) {
        let hasPassed = self.monitor.withLock { state in
            if state.bft.hasChecked(fingerprint, under: sequence) { return true }
            state.bft.verified.begin(fingerprint)
            return false
        }
        if hasPassed { return }
        do {
            try rules().checkNormal(headers)
        } catch {
            self.monitor.withLock { $0.bft.verified.end(fingerprint) }
            throw error
        }
        self.monitor.withLock { state in
            state.bft.verified.end(fingerprint)
            state.bft.verified.pass(fingerprint, under: sequence)
        }
    }

    /// A consenter sent a message: whoever calls this knows that it came from `message.from`.
    func receive(_ message: BFTMessage) {
        let isNew = self.monitor.withLock { state in
            guard message.to == state.standing.id, message.from != message.to else { return false }
            state.bft.inbox.add(message)
            return state.bft.inbox.count == 1
        }
        if isNew { self.monitor.signal() }
    }

    /// Queues what a client of another consenter wants ordered, and what this node has checked as if it came from a
    /// client of its own.
    ///
    /// Nobody waits for an answer, and the leader isn't given it by this node at once.
    func queue(_ envelope: Waiting, spreadBy node: NodeID) -> Intake {
        var envelope = envelope
        envelope.origin = node
        envelope.completion = nil
        let (intake, wake) = self.monitor.withLock { state -> (Intake, Bool) in
            guard state.health == .serving, state.bft.holdsRequests else { return (.early, false) }
            // It will not be here to see it ordered.
            if state.isLeaving { return (.taken, false) }
            if let update = envelope.update, state.bft.hasQueued(update) { return (.taken, false) }
            guard state.hasRoom(for: envelope, self.settings.limits) else { return (.full, false) }
            // No consenter takes more than its part of the room, so that a flood leaves the others theirs.
            let limits = self.settings.limits
            let parts = max(1, state.standing.membership?.members.count ?? 1)
            if let share = state.bft.spread[node] {
                guard share.count < limits.waitingEnvelopes / parts,
                    share.bytes + envelope.bytes.count <= limits.waitingBytes / parts
                else { return (.full, false) }
            }
            if let fingerprint = envelope.fingerprint {
                guard case .new = state.window.claim(fingerprint, nil) else { return (.taken, false) }
            }
            return (.taken, self.enqueue(envelope, &state))
        }
        if wake { self.monitor.signal() }
        return intake
    }
}
