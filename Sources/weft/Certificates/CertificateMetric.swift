import CertificateAuthority
import Cryptography
import Foundation
import Operations

extension MetricDefinition {
    /// Fabric has no such metric.
    static let certificateSecondsLeft = MetricDefinition(
        "certificate.seconds_left",
        .gauge,
        labels: ["use", "owner", "subject", "serial"],
        help: "Seconds until a certificate expires that the node uses or trusts; below 0 afterwards."
    )
}

extension Metrics {
    /// Measures every certificate; those that were measured before and are no longer in use go away.
    func measure(_ certificates: [TrackedCertificate], at now: Date) {
        self.setGauges(
            .certificateSecondsLeft,
            to: certificates.map { certificate in
                let labels = [
                    certificate.use.rawValue, certificate.owner, certificate.certificate.subject.description,
                    hexadecimal(certificate.certificate.serialNumber),
                ]
                return (labels, certificate.secondsLeft(at: now))
            }
        )
    }
}
