import CertificateAuthority
import Cryptography
import Foundation
import Operations

extension MetricDefinition {
    /// Fabric has no such metric.
    static let certificateSecondsLeft = MetricDefinition(
        "certificate_seconds_left",
        .gauge,
        labels: ["use", "owner", "subject", "serial"],
        help: "Seconds until a certificate expires that the node uses or trusts; below 0 afterwards."
    )
}

extension Metrics {
    /// Measures every certificate.
    func measure(_ certificates: [TrackedCertificate], at now: Date) {
        for certificate in certificates {
            self.gauge(
                .certificateSecondsLeft,
                certificate.use.rawValue,
                certificate.owner,
                certificate.certificate.subject.description,
                hexadecimal(certificate.certificate.serialNumber)
            ).set(certificate.secondsLeft(at: now))
        }
    }
}
