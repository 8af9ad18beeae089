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

    var count: Int { self.normal.count + self.configs.count }

    var envelopes: [OrderingChannel.Waiting] {
        self.normal.values.map(\.envelope) + self.configs.map(\.envelope)
    }

    mutating func add(_ envelope: OrderingChannel.Waiting, at moment: Duration) {
        guard let fingerprint = envelope.fingerprint else {
            self.configs.append(Sent(envelope: envelope, moment: moment))
            return
        }
        self.normal[fingerprint] = Sent(envelope: envelope, moment: moment)
        self.order.append((fingerprint, moment))
    }

    mutating func remove(_ envelope: OrderingChannel.Waiting) {
        if let fingerprint = envelope.fingerprint {
            self.normal[fingerprint] = nil
        } else {
            self.configs.removeAll { $0.envelope.bytes == envelope.bytes }
        }
    }

    /// These are in a block.
    mutating func remove(_ fingerprints: [EnvelopeFingerprint]) {
        guard !self.normal.isEmpty else { return }
        for fingerprint in fingerprints { self.normal[fingerprint] = nil }
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
                self.normal[first.fingerprint] = nil
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
            self.order = []
        }
        return self.normal.values.map(\.envelope)
    }

    mutating func takeAll() -> [OrderingChannel.Waiting] {
        defer { self = ForwardedEnvelopes() }
        return self.envelopes
    }
}
