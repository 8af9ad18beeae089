import ArgumentParser
import Channel
import Cryptography
import FabricProtos
import Foundation
import WeftClient

/// `weft channel submit`: hand an update to an orderer.
struct ChannelSubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Hand in an update of a channel's configuration when it has the signatures it needs.",
        discussion: """
            The peer is asked for the configuration in force, and an orderer when the peer doesn't answer or refuses; the \
            update goes to the orderers that it names. Signatures are checked first; what is missing is told, and nothing \
            is sent.
            """
    )

    @Argument(help: "The update.")
    var file: String

    @Option(
        help: ArgumentHelp(
            "An orderer to use in place of the channel's, also when the peer doesn't tell the configuration.",
            valueName: "host:port"
        )
    )
    var orderer: String?

    @Flag(help: "Sign the update, too, with the identity that hands it in.")
    var sign = false

    @Flag(inversion: .prefixedNo, help: "Wait until the peer has the new configuration.")
    var wait = true

    @Option(help: ArgumentHelp("How long to wait.", valueName: "seconds"))
    var timeout = 60

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        var file = try ConfigUpdateFile(serialized: readArgument(self.file, as: "the update"))
        var connection = self.connection
        if let channel = connection.channel, channel != file.channelID.description {
            throw Failure("\(self.file) is for channel \(file.channelID), not \(channel)", code: .usage)
        }
        connection.channel = file.channelID.description
        let (sequence, endpoint) = try await connection.withConfigurationSource(orderer: self.orderer) {
            source,
            target in
            let current = try await source.configuration().checked()
            if self.sign { try file.sign(by: target.signer.signer, nonce: secureRandomBytes(24)) }
            let review = try current.review(file.content)
            guard review.isAuthorized else {
                throw Failure(
                    "signatures are missing, so nothing was sent\n" + review.text(signers: file.signers)
                )
            }
            for warning in review.warnings { self.output.say("warning: \(warning)") }
            let envelope = try file.envelope(
                by: target.signer.signer,
                nonce: secureRandomBytes(24),
                timestamp: Date()
            )
            try await self.send(envelope, target, current)
            guard self.wait else { return (review.result.sequence, target.endpoint) }
            try await withTimeout(.seconds(self.timeout)) {
                while try await source.configuration().config.sequence < review.result.sequence {
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            return (review.result.sequence, target.endpoint)
        }
        self.output.answer(
            .object([
                "channel": .string(file.channelID.description), "sequence": .unsigned(sequence),
                "waited": .boolean(self.wait),
            ]),
            self.wait
                ? "configuration \(sequence) of channel \(file.channelID) is in force at \(endpoint)"
                : "an orderer has taken configuration \(sequence) of channel \(file.channelID)"
        )
    }

    /// Tries the channel's orderers until one takes the update.
    ///
    /// One that refuses it may be a consenter no longer: it then says that it doesn't order the channel.
    private func send(
        _ envelope: Common_Envelope,
        _ target: ConnectionOptions.Target,
        _ current: ChannelConfiguration
    ) async throws {
        var reasons: [String] = []
        var refusal: ClientError?
        var isUnavailable = false
        for node in try self.orderers(current) {
            do {
                let security = try self.connection.security(trusting: node.roots)
                try await withConnection(to: node.endpoint, security: security) { connection in
                    try await connection.orderer(channel: target.channel, as: target.signer).broadcast(
                        envelope
                    )
                }
                return
            } catch let error as ClientError where error.code == .unavailable {
                isUnavailable = true
                reasons.append("\(error)")
            } catch let error as ClientError where [.refused, .invalidArgument].contains(error.code) {
                refusal = error
                reasons.append("\(error)")
            }
        }
        if let refusal, !isUnavailable { throw refusal }
        throw Failure(
            "no orderer of channel \(target.channel) took the update: \(reasons.joined(separator: "; "))",
            code: .unavailable
        )
    }

    private func orderers(_ current: ChannelConfiguration) throws -> [(endpoint: Endpoint, roots: Data)] {
        let organizations = current.orderer?.organizations ?? []
        let roots = { (id: MSPID) -> [Data] in
            guard let msp = current.directory[id] else { return [] }
            return msp.tlsRootCertificates + msp.tlsIntermediateCertificates
        }
        let all = Data(organizations.flatMap { roots($0.mspID) }.joined(separator: Data("\n".utf8)))
        if let orderer { return [(try Endpoint(orderer), all)] }
        let own = try organizations.flatMap { organization in
            try organization.endpoints.map { address in
                (try Endpoint(address), Data(roots(organization.mspID).joined(separator: Data("\n".utf8))))
            }
        }
        let found = own.isEmpty ? try current.ordererAddresses.map { (try Endpoint($0), all) } : own
        guard !found.isEmpty else {
            throw Failure("the configuration names no orderer; give one with --orderer")
        }
        return found
    }
}
