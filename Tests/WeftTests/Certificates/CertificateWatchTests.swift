import CertificateAuthority
import Channel
import Cryptography
import Foundation
import Operations
import RPC
import Synchronization
import TestSupport
import Testing

@testable import weft

/// A node's files are looked at again and again; what is new and good is taken up, and nothing else.
@Suite struct CertificateWatchTests {
    /// A peer with its files, and what it was given by the watch.
    private final class Node: Sendable {
        struct Taken {
            var tls: [RenewedTLS] = []
            var servers: [ServerTLS] = []
        }

        let log = RecordedLog()
        let metrics = Metrics()
        let authority: OrganizationAuthority
        let member: IssuedIdentity
        let identity: RenewableIdentity
        let taken = Mutex(Taken())
        private let folder: String

        init() throws {
            self.folder = NSTemporaryDirectory() + "weft-watch-" + UUID().uuidString
            self.authority = try OrganizationAuthority.create(
                at: self.folder,
                Organization(domain: "utility.example", mspID: "UtilityMSP"),
                now: Date()
            )
            self.member = try self.authority.issue(
                IssueRequest(name: "peer0", role: .peer, hosts: ["localhost"]),
                now: Date()
            )
            let msp = MSPFolder("\(self.member.path)/msp")
            self.identity = RenewableIdentity(try msp.signingIdentity(mspID: MSPID("UtilityMSP")))
            // The operations service has a pair of files of its own.
            try FileManager.default.copyItem(atPath: self.path("tls"), toPath: self.path("operations"))
        }

        deinit { try? FileManager.default.removeItem(atPath: self.folder) }

        func path(_ file: String) -> String { "\(self.member.path)/\(file)" }

        private func tls(_ folder: String) -> TLSFiles {
            TLSFiles(
                certificate: self.path("\(folder)/server.crt"),
                key: self.path("\(folder)/server.key"),
                roots: [self.path("\(folder)/ca.crt")],
                clients: .required
            )
        }

        var watch: CertificateWatch {
            let operations = self.tls("operations")
            return CertificateWatch(
                files: NodeCertificates(
                    identity: IdentityFiles(mspID: "UtilityMSP", folder: self.path("msp")),
                    tls: self.tls("tls"),
                    endpoints: [operations]
                ),
                identity: self.identity,
                renewTLS: { renewed in self.taken.withLock { $0.tls.append(renewed) } },
                endpoints: [
                    RenewableEndpoint(name: "operations service", tls: operations) { server in
                        self.taken.withLock { $0.servers.append(server) }
                    }
                ],
                channels: { [] },
                metrics: self.metrics,
                logger: self.log.logger
            )
        }

        func text(_ file: String) throws -> String {
            try String(contentsOfFile: self.path(file), encoding: .utf8)
        }

        func write(_ text: String, to file: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: self.path(file)))
        }

        var counts: [Int] { self.taken.withLock { [$0.tls.count, $0.servers.count] } }
    }

    @Test func takesUpWhatIsRenewed() throws {
        let node = try Node()
        let watch = node.watch
        var state = CertificateWatch.State(stamps: FileStamps(watch.files.watchedPaths))
        #expect(!watch.look(&state, now: Date()))
        #expect(node.counts == [0, 0])

        let before = node.identity.current.certificate
        let renewed = try node.authority.renew(node.member.name, now: Date())
        try FileManager.default.createDirectory(
            atPath: node.path("operations"),
            withIntermediateDirectories: true
        )
        for name in ["server.crt", "server.key", "ca.crt"] {
            try node.write(node.text("tls/\(name)"), to: "operations/\(name)")
        }
        #expect(watch.look(&state, now: Date()))
        #expect(node.identity.current.certificate == renewed.enrollment)
        #expect(node.identity.current.certificate != before)
        #expect(node.counts == [1, 1])
        let chain = node.taken.withLock { $0.tls.first?.server.certificateChainPEM }
        #expect(try Certificate(pem: Data((chain ?? "").utf8)) == renewed.tls)
        #expect(node.taken.withLock { $0.servers.first?.identity.certificateChainPEM } == chain)
        #expect(node.taken.withLock { $0.servers.first?.clientCertificates } == .required)
        #expect(!watch.look(&state, now: Date()))
        #expect(node.counts == [1, 1])
        #expect(node.log.text.contains(hexadecimal(renewed.enrollment.serialNumber)))
    }

    @Test(arguments: ["tls", "operations"])
    func keepsWhatItHasUntilAllFilesAreGood(folder: String) throws {
        let node = try Node()
        let watch = node.watch
        var state = CertificateWatch.State(stamps: FileStamps(watch.files.watchedPaths))
        let good = try node.text("\(folder)/server.crt")
        let other = try node.authority.issue(IssueRequest(name: "peer1", role: .peer), now: Date())
        let theirs = try String(contentsOfFile: "\(other.path)/tls/server.crt", encoding: .utf8)
        for bad in ["", "no certificate", String(good.prefix(300)), theirs] {
            try node.write(bad, to: "\(folder)/server.crt")
            #expect(!watch.look(&state, now: Date()))
            let complaints = node.log.lines.count
            #expect(node.log.lines.last?.contains("the node keeps what it has") == true)
            // The same complaint is made once.
            #expect(!watch.look(&state, now: Date()))
            #expect(node.log.lines.count == complaints)
        }
        try FileManager.default.removeItem(atPath: node.path("\(folder)/server.crt"))
        #expect(!watch.look(&state, now: Date()))
        #expect(node.counts == [0, 0])
        try node.write(good, to: "\(folder)/server.crt")
        #expect(watch.look(&state, now: Date()))
        #expect(node.counts == [1, 1])
    }

    @Test func expiredCertificatesReplaceNothing() throws {
        let node = try Node()
        let watch = node.watch
        var state = CertificateWatch.State(stamps: FileStamps(watch.files.watchedPaths))
        try node.write(node.text("tls/server.crt") + "\n", to: "tls/server.crt")
        #expect(!watch.look(&state, now: node.member.tls.notAfter.addingTimeInterval(1)))
        #expect(node.counts == [0, 0])
        #expect(node.log.text.contains("expired at"))
    }

    @Test func reportsEachStageOnceAndMeasuresWhatIsInUse() throws {
        let node = try Node()
        let watch = node.watch
        var state = CertificateWatch.State(stamps: FileStamps(watch.files.watchedPaths))
        let end = node.member.enrollment.notAfter
        for days in [40.0, 29, 28, 6, 0.5] {
            watch.report(&state, now: end.addingTimeInterval(-days * 86_400))
        }
        let serial = hexadecimal(node.member.enrollment.serialNumber)
        let said = node.log.lines.filter { $0.contains("a certificate expires soon") && $0.contains(serial) }
        #expect(said.count == 3)
        #expect(said.last?.hasPrefix("error") == true)
        watch.report(&state, now: end.addingTimeInterval(1))
        #expect(node.log.lines.contains { $0.contains("a certificate has expired") && $0.contains(serial) })
        #expect(node.metrics.exposition().contains("serial=\"\(serial)\"} -1\n"))

        // What was renewed is no longer measured.
        let renewed = try node.authority.renew(node.member.name, now: Date())
        try FileManager.default.copyItem(atPath: node.path("tls"), toPath: node.path("operations"))
        watch.report(&state, now: Date())
        let exposition = node.metrics.exposition()
        #expect(!exposition.contains(serial))
        #expect(exposition.contains(hexadecimal(renewed.enrollment.serialNumber)))
    }
}
