internal import DequeModule

/// Which envelopes a consenter has checked lately, so that it checks each once, however often and from whomever it comes.
///
/// A check's outcome holds for one configuration. Who else brings an envelope that is being checked need not wait for it.
struct CheckedEnvelopes: Sendable {
    /// How many envelopes are remembered; then the oldest is forgotten.
    static let capacity = 16_384

    private var passed: [EnvelopeFingerprint: UInt64] = [:]
    private var order: Deque<EnvelopeFingerprint> = []
    private var underWay: [EnvelopeFingerprint: Int] = [:]

    /// Whether an envelope has passed the checks under the configuration with this sequence.
    func hasPassed(_ fingerprint: EnvelopeFingerprint, under sequence: UInt64) -> Bool {
        self.passed[fingerprint] == sequence
    }

    /// An envelope has passed the checks.
    mutating func pass(_ fingerprint: EnvelopeFingerprint, under sequence: UInt64) {
        guard self.passed.updateValue(sequence, forKey: fingerprint) == nil else { return }
        self.order.append(fingerprint)
        if self.order.count > Self.capacity, let oldest = self.order.popFirst() {
            self.passed[oldest] = nil
        }
    }

    /// Whether somebody checks an envelope now.
    func isUnderWay(_ fingerprint: EnvelopeFingerprint) -> Bool { self.underWay[fingerprint] != nil }

    mutating func begin(_ fingerprint: EnvelopeFingerprint) {
        self.underWay[fingerprint, default: 0] += 1
    }

    mutating func end(_ fingerprint: EnvelopeFingerprint) {
        guard let count = self.underWay[fingerprint] else { return }
        self.underWay[fingerprint] = count > 1 ? count - 1 : nil
    }
}
