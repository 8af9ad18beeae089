internal import Cryptography
package import FoundationEssentials

/// Says once for each certificate that it expires within 30 days, within 7, within one, and that it has expired.
package struct ExpiryAlarm: Sendable {
    /// How near the end is.
    package enum Stage: Int, Sendable, Comparable, CaseIterable {
        case month, week, day, expired

        /// The most seconds left.
        var threshold: TimeInterval {
            switch self {
            case .month: 30 * 86_400
            case .week: 7 * 86_400
            case .day: 86_400
            case .expired: 0
            }
        }

        package static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
    }

    /// What was said of each certificate, by its DER.
    private var said: [Data: Stage] = [:]

    package init() {}

    /// The certificates that have come nearer to their end than when this was asked before.
    package mutating func due(
        in certificates: [TrackedCertificate],
        at now: Date
    ) -> [(certificate: TrackedCertificate, stage: Stage)] {
        var due: [(TrackedCertificate, Stage)] = []
        for certificate in certificates {
            let left = certificate.secondsLeft(at: now)
            guard let stage = Stage.allCases.last(where: { left < $0.threshold }) else { continue }
            let key = certificate.certificate.der
            if let before = self.said[key], before >= stage { continue }
            self.said[key] = stage
            due.append((certificate, stage))
        }
        // What is no longer in use need not be remembered.
        let present = Set(certificates.map(\.certificate.der))
        self.said = self.said.filter { present.contains($0.key) }
        return due
    }
}
