import ArgumentParser
import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf

/// `weft channel explain-policy`: who satisfies a policy.
struct ExplainPolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain-policy",
        abstract:
            "Say who satisfies a policy of a channel, and what given identities or signatures are good for.",
        discussion: """
            The policy is a path such as /Channel/Application/Writers, or a text such as \
            "AND('Org1MSP.peer', 'Org2MSP.peer')". Exit code 2 when the given identities don't satisfy it.

            Example: weft channel explain-policy --config channel.block /Channel/Application/Admins \
            --signer Org1MSP=org1/users/admin/msp
            """
    )

    @Argument(help: "The policy's path, or a signature policy.")
    var policy: String

    @Option(
        name: .customLong("signer"),
        help: ArgumentHelp(
            "Somebody whose signature is supposed: a certificate (PEM) or an MSP folder.",
            valueName: "mspid=path"
        )
    )
    var signers: [String] = []

    @Option(help: ArgumentHelp("An update whose signatures are checked.", valueName: "file"))
    var update: String?

    @Option(
        help: ArgumentHelp(
            "A config block or configuration; without it, the peer is asked.",
            valueName: "file"
        )
    )
    var config: String?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let configuration = try await self.connection.configuration(file: self.config).checked()
        let policy = try self.find(configuration)
        let requirement = policy.requirement
        var lines = requirement.lines() + ["", "satisfied by \(requirement.alternatives)"]
        let isAsked = !self.signers.isEmpty || self.update != nil
        var isSatisfied = requirement.isPossible
        var outcomes: [SignatureOutcome] = []
        if isAsked {
            let failure: PolicyFailure?
            (failure, outcomes) = try self.outcome(policy, configuration)
            isSatisfied = failure == nil
            lines += ["", failure.map { "NOT satisfied: \($0.reason)" } ?? "satisfied"]
            lines += outcomes.map { "  \($0)" }
        }
        self.output.answer(
            .object([
                "policy": .string(policy.name),
                "requirement": .array(requirement.lines().map { .string($0) }),
                "alternatives": requirement.json,
                "satisfied": isAsked ? .boolean(isSatisfied) : .null,
                "signatures": .array(
                    outcomes.map { .object(["signer": .string($0.signer), "outcome": .string($0.outcome)]) }
                ),
            ]),
            lines.joined(separator: "\n")
        )
        guard isSatisfied else {
            throw Failure("the policy is not satisfied", code: .wrong, followsAnswer: true)
        }
    }

    private func find(_ configuration: ChannelConfiguration) throws -> CompiledPolicy {
        guard !self.policy.hasPrefix("/") else {
            guard let policy = configuration.policies.policy(at: self.policy) else {
                let paths = configuration.config.channelGroup.facts.filter { $0.name == "policy" }.map(
                    \.element
                )
                throw Failure(
                    "channel \(configuration.channelID) has no policy \(self.policy); there are:\n  "
                        + paths.joined(separator: "\n  ")
                )
            }
            return policy
        }
        return try CompiledPolicy(
            name: self.policy,
            signaturePolicy: PolicyExpression.parse(self.policy),
            directory: configuration.directory
        )
    }

    private func outcome(
        _ policy: CompiledPolicy,
        _ configuration: ChannelConfiguration
    ) throws -> (failure: PolicyFailure?, outcomes: [SignatureOutcome]) {
        var identities: [Identity] = []
        var rejected: [RejectedSignature] = []
        for signer in self.signers {
            guard let equals = signer.firstIndex(of: "=") else {
                throw Failure("--signer takes mspid=path, such as Org1MSP=admin/msp", code: .usage)
            }
            let path = String(signer[signer.index(after: equals)...])
            let serialized = try Self.serialized(String(signer[..<equals]), path)
            do {
                identities.append(try configuration.directory.identity(from: serialized))
            } catch {
                rejected.append(
                    RejectedSignature(index: identities.count, signer: signer, reason: "\(error)")
                )
            }
        }
        if let update {
            let file = try ConfigUpdateFile(serialized: readArgument(update, as: "the update"))
            let found = try configuration.signers(of: file.content)
            identities += found.identities
            rejected += found.rejected
        }
        let explanation = policy.explanation(identities, rejected: rejected)
        return (policy.isSatisfied(by: identities) ? nil : explanation, explanation.signatures)
    }

    /// The serialized identity of a certificate in a file, or in the folder `signcerts` of an MSP folder.
    private static func serialized(_ mspID: String, _ path: String) throws -> Data {
        var file = path
        let folder = path + "/signcerts"
        if let name = try? FileManager.default.contentsOfDirectory(atPath: folder).sorted().first {
            file = "\(folder)/\(name)"
        }
        let certificate = try Certificate(pem: readArgument(file, as: "a certificate"))
        var identity = Msp_SerializedIdentity()
        identity.mspid = mspID
        identity.idBytes = certificate.pem
        return try identity.serializedBytes()
    }
}
