import ArgumentParser
import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import WeftClient

/// `weft channel edit`: write an update of a channel's configuration.
struct ChannelEditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Change a channel's configuration by operations, and write the update for others to sign.",
        discussion: """
            Shows what changes, which signatures that needs and from whom, and writes a file that `weft channel sign`, \
            `weft channel submit` and Fabric's `peer channel signconfigtx` and `update` take. Nothing changes before it is \
            submitted.

            Operations (several may follow one another):
            \(EditOperation.help)

            Example: weft channel edit --out change.pb set-batch max-messages=100 timeout=500ms \
            set-anchor org=utility peer=peer.utility.example:7051
            """
    )

    @Option(help: ArgumentHelp("The file to write.", valueName: "file"))
    var out: String

    @Option(
        help: ArgumentHelp(
            "The channel's newest config block; without it, the peer is asked.",
            valueName: "file"
        )
    )
    var config: String?

    @Flag(help: "Add to the update that the file holds already; signatures that it has are lost.")
    var amend = false

    @Argument(help: "Operations, each followed by its key=value words.")
    var operations: [String] = []

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let operations = try EditOperation.parse(self.operations)
        guard !operations.isEmpty else {
            throw Failure("say what is to change; operations are:\n\(EditOperation.help)", code: .usage)
        }
        let current = try await self.connection.configuration(file: self.config).checked()
        var editor = ConfigurationEditor(try self.start(current))
        for operation in operations { try editor.apply(operation.edit(now: Date())) }
        try editor.checkConsenterChange(from: current.config.channelGroup)
        let update = try Common_ConfigUpdate.computing(
            from: current.config.channelGroup,
            to: editor.channelGroup,
            channelID: current.channelID
        )
        let file = try ConfigUpdateFile(update)
        let review = try current.review(file.content)
        try self.checkCapabilities(review.result)
        try writeNew(file.unsignedEnvelope().serializedBytes(), to: self.out)
        self.output.answer(
            review.json(signers: []),
            review.text(signers: [])
                + "\n\nwrote \(self.out), for configuration \(current.sequence) of channel "
                + "\(current.channelID); next: weft channel sign \(self.out)"
        )
    }

    /// What the operations start from: the channel's configuration, or what an update makes of it.
    private func start(_ current: ChannelConfiguration) throws -> Common_ConfigGroup {
        guard self.amend else { return current.config.channelGroup }
        let file = try ConfigUpdateFile(serialized: readArgument(self.out, as: "the update to add to"))
        if !file.signers.isEmpty {
            self.output.say("note: the \(file.signers.count) signatures in \(self.out) are lost")
        }
        return try current.previewing(file.content).channelGroup
    }

    /// A capability that no node has would stop the channel everywhere.
    private func checkCapabilities(_ next: ChannelConfiguration) throws {
        for level in Capabilities.Level.allCases {
            let unknown = next.capabilities.unsupported(at: level)
            guard unknown.isEmpty else {
                throw Failure(
                    "\(level.rawValue) capability \(unknown.joined(separator: ", ")) is not known; nodes would stop"
                )
            }
        }
    }
}

/// `weft channel sign`: add a signature to an update.
struct ChannelSignCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign",
        abstract: "Sign an update of a channel's configuration, offline.",
        discussion: """
            With --config the signature is checked for what it is good for: a signer whom no policy of the update asks for \
            is refused. Example: weft channel sign change.pb --identity admin/msp --msp-id Org1MSP --config channel.block
            """
    )

    @Argument(help: "The update; the signature is added to the file.")
    var file: String

    @Option(help: ArgumentHelp("The channel's newest config block.", valueName: "file"))
    var config: String?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        var file = try ConfigUpdateFile(serialized: readArgument(self.file, as: "the update"))
        let signer = try self.connection.signer().signer
        guard !signer.certificate.isExpired(at: Date()) else {
            throw Failure("the certificate of \(signer) has expired; renew it first")
        }
        guard !file.isSigned(by: signer) else { throw Failure("\(signer) has signed \(self.file) already") }
        let current = try self.config.map {
            try NamedConfiguration(file: $0, channel: file.channelID.description)
        }?
        .checked()
        if let current { try self.check(signer, file, current) }
        try file.sign(by: signer, nonce: secureRandomBytes(24))
        let envelope = try file.envelope(by: signer, nonce: secureRandomBytes(24), timestamp: Date())
        try writeNew(envelope.serializedBytes(), to: self.file)
        let review = try current?.review(file.content)
        self.output.answer(
            review?.json(signers: file.signers)
                ?? .object(["signers": .array(file.signers.map { .string($0) })]),
            "\(signer) has signed \(self.file)\n"
                + (review?.text(signers: file.signers)
                    ?? (["signed by:"] + file.signers.map { "  \($0)" }).joined(separator: "\n")
                    + "\nnot checked: whether these signatures count; give the channel's config block with --config")
        )
    }

    /// Refuses a signer whose signature would be good for nothing.
    private func check(_ signer: SigningIdentity, _ file: ConfigUpdateFile, _ current: ChannelConfiguration)
        throws
    {
        let identity = try current.directory.identity(from: signer.serialized)
        try current.directory.validate(identity)
        let review = try current.review(file.content)
        let needed = review.needs.filter { need in
            guard let policy = current.policies.policy(at: need.policy) else { return false }
            return policy.counts(identity)
        }
        guard !needed.isEmpty else {
            let wanted = review.requirement.alternatives
            let reason = review.needs.first.flatMap { need in
                current.policies.policy(at: need.policy)?.explanation([identity]).signatures.first
            }
            throw Failure(
                "a signature of \(signer) would count for nothing\(reason.map { ": it \($0.outcome)" } ?? ""); "
                    + "the update needs \(wanted)"
            )
        }
    }
}
