package import Cryptography
package import FoundationEssentials

/// One certificate that a node uses or trusts, and what to do before it expires.
package struct TrackedCertificate: Sendable, Hashable {
    /// What the certificate is for.
    package enum Use: String, Sendable, CaseIterable {
        case enrollment
        case tls
        case enrollmentAuthority = "enrollment authority"
        case tlsAuthority = "TLS authority"
        case admin = "administrator"
        case consenter
    }

    package var use: Use
    /// Whose it is: an MSP identifier, or an ordering node's address.
    package var owner: String
    package var certificate: Certificate
    /// Where it was found: files, and names of channels.
    package var sources: [String]
    /// What renews it, as a command or a sentence.
    package var renewal: String

    /// Seconds until it expires; negative afterwards.
    package func secondsLeft(at now: Date) -> TimeInterval {
        self.certificate.notAfter.timeIntervalSince(now)
    }

    /// Whole days until it expires; negative afterwards.
    package func daysLeft(at now: Date) -> Int {
        let days = (self.secondsLeft(at: now) / 86_400).rounded(.down)
        return Int(max(-1_000_000, min(days, 1_000_000)))
    }
}
