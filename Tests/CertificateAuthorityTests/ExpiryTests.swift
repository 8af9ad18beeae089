import Cryptography
import Foundation
import Testing

@testable import CertificateAuthority

@Suite struct ExpiryTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func certificate(days: Double, name: String = "peer0") throws -> TrackedCertificate {
        let key = try PrivateKey.generate(.p256)
        let template = CertificateTemplate(
            subject: try DistinguishedName([.commonName(name)]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: self.now.addingTimeInterval(-400 * 86_400),
            notAfter: self.now.addingTimeInterval(days * 86_400),
            keyUsage: .digitalSignature
        )
        return TrackedCertificate(
            use: .tls,
            owner: "Org1MSP",
            certificate: try template.selfSigned(with: key),
            sources: ["tls/server.crt"],
            renewal: "weft ca renew"
        )
    }

    @Test func countsWholeDays() throws {
        #expect(try self.certificate(days: 2.5).daysLeft(at: self.now) == 2)
        #expect(try self.certificate(days: 0.5).daysLeft(at: self.now) == 0)
        #expect(try self.certificate(days: -0.5).daysLeft(at: self.now) == -1)
    }

    @Test func saysEachStageOnce() throws {
        let certificate = try self.certificate(days: 31)
        var alarm = ExpiryAlarm()
        var said: [(day: Int, stage: ExpiryAlarm.Stage)] = []
        for day in 0...35 {
            let time = self.now.addingTimeInterval(Double(day) * 86_400 + 1)
            for due in alarm.due(in: [certificate], at: time) { said.append((day, due.stage)) }
        }
        #expect(said.map(\.stage) == [.month, .week, .day, .expired])
        #expect(said.map(\.day) == [1, 24, 30, 31])
    }

    @Test func saysOnlyTheNearestStageAtAStart() throws {
        var alarm = ExpiryAlarm()
        let due = alarm.due(
            in: [try self.certificate(days: 3), try self.certificate(days: 300)],
            at: self.now
        )
        #expect(due.map(\.stage) == [.week])
    }

    @Test func saysNothingOfARenewedCertificate() throws {
        var alarm = ExpiryAlarm()
        #expect(alarm.due(in: [try self.certificate(days: 0.5)], at: self.now).count == 1)
        #expect(alarm.due(in: [try self.certificate(days: 365)], at: self.now).isEmpty)
    }

    @Test func listsACertificateOnceWithAllItsSources() throws {
        let certificate = try self.certificate(days: 5)
        var other = certificate
        other.sources = ["channel trade"]
        var inventory = CertificateInventory()
        inventory.add(certificate)
        inventory.add(other)
        inventory.add(try self.certificate(days: 1, name: "peer1"))
        #expect(inventory.certificates.count == 2)
        #expect(inventory.certificates.last?.sources == ["tls/server.crt", "channel trade"])
        #expect(inventory.certificates.first?.daysLeft(at: self.now) == 1)
    }
}
