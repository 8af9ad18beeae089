internal import Channel
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Envelopes that a follower has sent to the leader and has not seen in a block yet.
struct ForwardedEnvelopes {
    private struct Sent {
        var envelope: OrderingChannel.Waiting
        var moment: Duration
    }

    private var normal: [EnvelopeFingerprint: Sent] = [:]
    /// The fingerprints in the order in which they were sent; those that are settled may still be here.
    private var order: Deque<(fingerprint: EnvelopeFingerprint, moment: Duration)> = []
    private var configs: [Sent] = []
    /// How many bytes those that are normal have.
    private var normalBytes = 0

    var bytes: Int { self.configs.reduce(self.normalBytes) { $0 + $1.envelope.bytes.count } }

    var count: Int { self.normal.count + self.configs.count }

    var envelopes: [OrderingChannel.Waiting] {
        self.normal.values.map(\.envelope) + self.configs.map(\.envelope)
    }

    /// Some of those that were checked under a configuration with another sequence.
    func envelopes(checkedBefore sequence: UInt64, atMost count: Int) -> [OrderingChannel.Waiting] {
        let stale = self.envelopes.lazy.filter { $0.sequence != sequence }
        return Array(stale.prefix(count))
    }

    /// An envelope may be ordered under the configuration with this sequence.
    mutating func passed(_ envelope: OrderingChannel.Waiting, under sequence: UInt64) {
        if let fingerprint = envelope.fingerprint {
            self.normal[fingerprint]?.envelope.sequence = sequence
        } else {
            for index in self.configs.indices where self.configs[index].envelope.bytes == envelope.bytes {
                self.configs[index].envelope.sequence = sequence
            }
        }
    }

    mutating func add(_ envelope: OrderingChannel.Waiting, at moment: Duration) {
        guard let fingerprint = envelope.fingerprint else {
            self.configs.append(Sent(envelope: envelope, moment: moment))
            return
        }
        self.drop(fingerprint)
        self.normal[fingerprint] = Sent(envelope: envelope, moment: moment)
        self.normalBytes += envelope.bytes.count
        self.order.append((fingerprint, moment))
    }

    private mutating func drop(_ fingerprint: EnvelopeFingerprint) {
        guard let sent = self.normal.removeValue(forKey: fingerprint) else { return }
        self.normalBytes -= sent.envelope.bytes.count
    }

    mutating func remove(_ envelope: OrderingChannel.Waiting) {
        if let fingerprint = envelope.fingerprint {
            self.drop(fingerprint)
        } else {
            self.configs.removeAll { $0.envelope.bytes == envelope.bytes }
        }
    }

    /// These are in a block.
    mutating func remove(_ fingerprints: [EnvelopeFingerprint]) {
        guard !self.normal.isEmpty else { return }
        for fingerprint in fingerprints { self.drop(fingerprint) }
    }

    /// Takes the updates that became the configuration of this block; the leader may have made the envelope anew, but
    /// not what the client signed.
    mutating func take(configIn block: Common_Block) -> [OrderingChannel.Waiting] {
        guard !self.configs.isEmpty, let bytes = block.data.data.first, let update = Self.update(in: bytes)
        else {
            return []
        }
        let ordered = self.configs.filter { Self.update(in: $0.envelope.bytes) == update }
        self.configs.removeAll { sent in ordered.contains { $0.envelope.bytes == sent.envelope.bytes } }
        return ordered.map(\.envelope)
    }

    private static func update(in bytes: Data) -> Common_Envelope? {
        guard let envelope = try? Common_Envelope(serializedBytes: bytes),
            let payload = try? Common_Payload(serializedBytes: envelope.payload)
        else { return nil }
        return try? Common_ConfigEnvelope(serializedBytes: payload.data).lastUpdate
    }

    /// Takes what was sent before `moment`.
    mutating func take(before moment: Duration) -> [OrderingChannel.Waiting] {
        var taken: [OrderingChannel.Waiting] = []
        while let first = self.order.first, first.moment < moment || self.normal[first.fingerprint] == nil {
            self.order.removeFirst()
            if let sent = self.normal[first.fingerprint], sent.moment < moment {
                self.drop(first.fingerprint)
                taken.append(sent.envelope)
            }
        }
        taken += self.configs.filter { $0.moment < moment }.map(\.envelope)
        self.configs.removeAll { $0.moment < moment }
        return taken
    }

    /// Takes all but configuration updates.
    mutating func takeNormal() -> [OrderingChannel.Waiting] {
        defer {
            self.normal = [:]
            self.normalBytes = 0
            self.order = []
        }
        return self.normal.values.map(\.envelope)
    }

    mutating func takeAll() -> [OrderingChannel.Waiting] {
        defer { self = ForwardedEnvelopes() }
        return self.envelopes
    }
}
