internal import Channel
internal import Consensus
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// What a consenter does with envelopes while another one leads.
extension Consenter {
    /// How long a forwarded envelope may stay without a block before its client is told that nobody knows.
    private static let forwardTimeout = Duration.seconds(20)
    /// How many forwarded envelopes are checked again before the thread does something else.
    private static let recheckedAtATime = 100

    /// Sends envelopes to the leader; what it doesn't take now waits.
    func forward(_ envelopes: [OrderingChannel.Waiting], to leader: NodeID) {
        var rest = envelopes[...]
        while let envelope = rest.first {
            var request = Orderer_SubmitRequest()
            request.channel = self.channel.id.description
            request.lastValidationSeq = envelope.sequence
            guard let payload = try? Common_Envelope(serializedBytes: envelope.bytes) else { break }
            request.payload = payload
            guard self.links.send(request, to: leader) else { break }
            self.forwarded.add(envelope, at: self.channel.settings.clock())
            rest = rest.dropFirst()
        }
        guard !rest.isEmpty else { return }
        self.isHeldBack = true
        let bytes = rest.reduce(0) { $0 + $1.bytes.count }
        self.channel.monitor.withLock { state in
            state.forwarded -= rest.count
            state.forwardedBytes -= bytes
            state.waiting.insert(contentsOf: rest, at: 0)
            state.waitingBytes += bytes
            state.cutter.rebound(
                state.cutter.bounds,
                queue: state.waiting.lazy.map { ($0.size, $0.isConfig) },
                at: self.channel.settings.clock()
            )
        }
    }

    /// Tells clients whose envelopes may be lost.
    func checkForwarded() {
        self.isHeldBack = false
        self.recheckForwarded()
        let lost = self.channel.monitor.withLock { state in
            defer { state.lostSubmits = [] }
            return state.lostSubmits
        }
        if let leader, lost.contains(leader) {
            self.answer(
                self.forwarded.takeAll(),
                Refusal.outcomeUnknown("the connection to the leader was lost").response
            )
        }
        let deadline = self.channel.settings.clock() - Self.forwardTimeout
        self.answer(
            self.forwarded.take(before: deadline),
            Refusal.outcomeUnknown("the leader put it into no block in time").response
        )
    }

    /// What the leader will refuse under a new configuration is answered here, a part at a time: checking signatures keeps
    /// the thread from acknowledging.
    func recheckForwarded() {
        guard self.hasStaleForwarded else { return }
        let configuration = self.chain.configuration
        let stale = self.forwarded.envelopes(
            checkedBefore: configuration.sequence,
            atMost: Self.recheckedAtATime
        )
        self.hasStaleForwarded = stale.count == Self.recheckedAtATime
        for envelope in stale {
            do throws(Refusal) {
                _ = try self.channel.recheck(envelope, under: configuration)
                self.forwarded.passed(envelope, under: configuration.sequence)
            } catch {
                self.forwarded.remove(envelope)
                self.answer([envelope], error.response)
            }
        }
        self.noteForwarded()
    }
}
