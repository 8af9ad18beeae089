import CertificateAuthority
import Channel
import Cryptography
import Foundation
import Logging
import Operations
import RPC
import ServiceLifecycle

/// Takes up renewed certificates while a node runs, and says in time which ones expire.
///
/// Looks at the files every few seconds: that also sees secrets that an orchestrator swaps, and needs no signal. A file
/// that can't be used is reported, and the node keeps what it has.
struct CertificateWatch: Service {
    let files: NodeCertificates
    /// What the node signs with.
    let identity: RenewableIdentity
    /// Makes the node show renewed certificates on new connections.
    let renewTLS: @Sendable (RenewedTLS) throws -> Void
    /// The node's other servers with TLS.
    var endpoints: [RenewableEndpoint] = []
    /// The configurations of the node's channels.
    let channels: @Sendable () -> [ChannelConfiguration]
    /// Where the seconds that are left of every certificate are measured.
    let metrics: Metrics
    let logger: Logger
    var interval: Duration = .seconds(5)
    /// How many looks at the files pass between two looks at the clock.
    var looksPerReport = 60

    func run() async throws {
        var state = State(stamps: FileStamps(self.files.watchedPaths))
        self.report(&state, now: Date())
        var looks = 0
        while !Task.isShuttingDownGracefully {
            do {
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: self.interval) }
            } catch { return }
            let renewed = self.look(&state, now: Date())
            looks += 1
            if renewed || looks.isMultiple(of: self.looksPerReport) { self.report(&state, now: Date()) }
        }
    }

    /// What is remembered between two looks.
    struct State {
        var stamps: FileStamps
        /// Why the last change could not be taken up.
        var failure: String?
        var alarm = ExpiryAlarm()

        init(stamps: FileStamps) { self.stamps = stamps }
    }

    /// Looks whether files have changed, and takes up what is new.
    ///
    /// - Returns: whether the node has something new.
    func look(_ state: inout State, now: Date) -> Bool {
        let stamps = FileStamps(self.files.watchedPaths)
        guard stamps != state.stamps || state.failure != nil else { return false }
        do {
            try self.takeUp(now: now)
            state.stamps = stamps
            state.failure = nil
            return true
        } catch {
            let reason = "\(error)"
            if state.failure != reason || stamps != state.stamps {
                self.logger.error(
                    "changed certificate files can't be used; the node keeps what it has",
                    metadata: ["reason": "\(reason)"]
                )
            }
            state.stamps = stamps
            state.failure = reason
            return false
        }
    }

    /// Reads everything before anything is replaced.
    private func takeUp(now: Date) throws {
        let member = try LocalMember(
            MSPFolder(self.files.identity.folder),
            mspID: MSPID(self.files.identity.mspID),
            keys: self.files.identity.provider.open(),
            now: now
        )
        let tls = try self.files.tls.map { try $0.renewed(now: now) }
        let endpoints = try self.endpoints.map { ($0, try $0.tls.renewedServer(now: now)) }
        if member.signer.certificate != self.identity.current.certificate {
            try self.identity.replace(with: member.signer)
            self.logger.notice(
                "renewed the enrollment certificate",
                metadata: Self.facts(member.signer.certificate)
            )
        }
        if let tls {
            try self.renewTLS(tls)
            let certificate = try Certificate(pem: Data(tls.server.certificateChainPEM.utf8))
            self.logger.notice("read the TLS certificate and roots again", metadata: Self.facts(certificate))
        }
        for (endpoint, tls) in endpoints {
            try endpoint.renew(tls)
            var facts = try Self.facts(Certificate(pem: Data(tls.identity.certificateChainPEM.utf8)))
            facts["server"] = "\(endpoint.name)"
            self.logger.notice("read the TLS files of a server again", metadata: facts)
        }
    }

    private static func facts(_ certificate: Certificate) -> Logger.Metadata {
        [
            "subject": "\(certificate.subject)", "serial": "\(hexadecimal(certificate.serialNumber))",
            "expires": "\(CivilTime(certificate.notAfter))",
        ]
    }

    /// Measures all certificates, and logs those that come near their end.
    func report(_ state: inout State, now: Date) {
        var inventory: CertificateInventory
        do {
            inventory = try self.files.inventory()
        } catch {
            self.logger.error("can't read the node's certificates", metadata: ["reason": "\(error)"])
            inventory = CertificateInventory()
        }
        for configuration in self.channels() { inventory.add(configuration) }
        let certificates = inventory.certificates
        self.metrics.measure(certificates, at: now)
        for (certificate, stage) in state.alarm.due(in: certificates, at: now) {
            var facts = Self.facts(certificate.certificate)
            facts["use"] = "\(certificate.use.rawValue)"
            facts["owner"] = "\(certificate.owner)"
            facts["days left"] = "\(certificate.daysLeft(at: now))"
            facts["found in"] = "\(certificate.sources.joined(separator: ", "))"
            facts["renew"] = "\(certificate.renewal)"
            self.logger.log(
                level: stage >= .day ? .error : .warning,
                stage == .expired ? "a certificate has expired" : "a certificate expires soon",
                metadata: facts
            )
        }
    }
}
