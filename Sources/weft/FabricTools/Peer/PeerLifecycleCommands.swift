import Channel
import FabricProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import WeftClient

/// `peer lifecycle chaincode`: approving and committing the definitions of contracts.
///
/// - Source: Fabric v3.1 documentation, "peer lifecycle chaincode"; texts compared with the program.
enum PeerLifecycleCommands {
    static let all = ToolCommand(
        "lifecycle",
        "Perform _lifecycle operations",
        commands: [
            ToolCommand(
                "chaincode",
                "Perform chaincode operations: install|queryinstalled|getinstalledpackage|calculatepackageid|approveformyorg|queryapproved|checkcommitreadiness|commit|querycommitted",
                sharedFlags: PeerClient.ordererFlags,
                commands: PeerPackageCommands.all + [
                    approve, readiness, commit, PeerLifecycleQueries.approved, PeerLifecycleQueries.committed,
                ]
            )
        ]
    )

    // MARK: - Flags

    static let channelFlag = ToolFlag("channelID", "C", "the channel to run the command on")
    static let nameFlag = ToolFlag("name", "n", "the contract's name")
    static let sequenceFlag = ToolFlag(
        "sequence",
        nil,
        .integer,
        "the number of the definition, counted from 1 for the contract's first"
    )
    static let outputFlag = ToolFlag("output", "O", "json for an answer in JSON; else text")

    private static let definitionFlags =
        [
            channelFlag, nameFlag, sequenceFlag,
            ToolFlag("version", "v", "the contract's version"),
            ToolFlag("endorsement-plugin", "E", "the endorsement plugin"),
            ToolFlag("validation-plugin", "V", "the validation plugin"),
            ToolFlag("signature-policy", nil, "the endorsement policy, in the policy language"),
            ToolFlag(
                "channel-config-policy",
                nil,
                "the endorsement policy, by its name in the channel's configuration"
            ),
            ToolFlag("init-required", nil, .flag, "the contract asks for a first call with --isInit"),
            ToolFlag("collections-config", nil, "file with the collections (JSON)"),
        ] + PeerSelection.flags

    private static let waitFlags = [
        ToolFlag(
            "waitForEvent",
            nil,
            .flag,
            standard: "true",
            "wait until the transaction is committed at each peer"
        ),
        ToolFlag("waitForEventTimeout", nil, .duration, standard: "30s", "how long to wait for the commit"),
    ]

    // MARK: - Commands

    private static let approve = ToolCommand(
        "approveformyorg",
        "Approve the chaincode definition for my organization.",
        flags: definitionFlags + waitFlags + [
            ToolFlag("package-id", nil, "the identifier of the installed package")
        ]
    ) { call in
        let client = try PeerClient(call)
        let definition = try DefinitionFlags(call.flags)
        let session = try LifecycleSession(client, call, command: "approveformyorg")
        try definition.check()
        var arguments = Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs(definition)
        let packageID = call.flags.text("package-id")
        if packageID.isEmpty {
            arguments.source.unavailable = .init()
        } else {
            arguments.source.localPackage.packageID = packageID
        }
        try await session.submit("ApproveChaincodeDefinitionForMyOrg", arguments)
    }

    private static let commit = ToolCommand(
        "commit",
        "Commit the chaincode definition on the channel.",
        flags: definitionFlags + waitFlags
    ) { call in
        let client = try PeerClient(call)
        let definition = try DefinitionFlags(call.flags)
        let session = try LifecycleSession(client, call, command: "commit")
        try definition.check()
        let arguments = Lifecycle_CommitChaincodeDefinitionArgs(definition)
        try await session.submit("CommitChaincodeDefinition", arguments)
    }

    private static let readiness = ToolCommand(
        "checkcommitreadiness",
        "Check whether a chaincode definition is ready to be committed on a channel.",
        flags: definitionFlags + [
            outputFlag, ToolFlag("inspect", nil, .flag, "say in what an organization's approval differs"),
        ]
    ) { call in
        let client = try PeerClient(call)
        let definition = try DefinitionFlags(call.flags)
        let session = try LifecycleSession(client, call, command: "checkcommitreadiness")
        try definition.check()
        let arguments = Lifecycle_CheckCommitReadinessArgs(definition)
        let answer = try await session.ask("CheckCommitReadiness", arguments)
        let result = try Lifecycle_CheckCommitReadinessResult(serializedBytes: answer)
        Self.show(result, definition, call.flags)
    }

    private static func show(
        _ result: Lifecycle_CheckCommitReadinessResult,
        _ definition: DefinitionFlags,
        _ flags: ToolFlags
    ) {
        let isInspecting = flags.flag("inspect")
        guard flags.text("output").lowercased() != "json" else {
            var shown = result
            shown.mismatches = isInspecting ? result.mismatches.mapValues(Self.explained) : [:]
            print(shown.goJSON.tabbed())
            return
        }
        print(
            "Chaincode definition for chaincode '\(definition.name)', version '\(definition.version)', sequence '\(definition.sequence)' on channel '\(definition.channel)' approval status by org:"
        )
        for (organization, isApproved) in result.approvals.sorted(by: { $0.key < $1.key }) {
            let items = result.mismatches[organization]?.items ?? []
            let differences =
                items.isEmpty || !isInspecting ? "" : " (mismatch: [\(items.joined(separator: ", "))])"
            print("\(organization): \(isApproved)\(differences)")
        }
    }

    /// Names the flags behind each part of a definition that differs.
    private static func explained(
        _ mismatches: Lifecycle_CheckCommitReadinessResult.Mismatches
    ) -> Lifecycle_CheckCommitReadinessResult.Mismatches {
        let flags = [
            "ChaincodeParameters": "Check the Sequence, ChaincodeName",
            "EndorsementInfo": "Check the Version, InitRequired, EndorsementPlugin",
            "ValidationInfo": "Check the ValidationParameter, ValidationPlugin",
            "Collections": "Check the Collections",
        ]
        var explained = mismatches
        explained.items = mismatches.items.map { item in flags[item].map { "\(item) (\($0))" } ?? item }
        return explained
    }
}

/// The definition of a contract, as flags give it.
struct DefinitionFlags: Sendable {
    var channel: String
    var name: String
    var version: String
    var sequence: Int64
    var endorsementPlugin: String
    var validationPlugin: String
    var validationParameter = Data()
    var initRequired: Bool
    var collections: Protos_CollectionConfigPackage?

    init(_ flags: ToolFlags) throws {
        self.channel = flags.text("channelID")
        self.name = flags.text("name")
        self.version = flags.text("version")
        self.sequence = Int64(flags.integer("sequence"))
        self.endorsementPlugin = flags.text("endorsement-plugin")
        self.validationPlugin = flags.text("validation-plugin")
        self.initRequired = flags.flag("init-required")
        do {
            let policy = try DefinitionParts.policy(
                signature: flags.text("signature-policy"),
                channelConfig: flags.text("channel-config-policy")
            )
            if let policy { self.validationParameter = try policy.serializedBytes() }
            let file = flags.text("collections-config")
            if !file.isEmpty { self.collections = try DefinitionParts.collections(file: file) }
        } catch {
            throw ToolFailure.usage("\(error)")
        }
    }

    /// Checks that everything is there that a definition must have.
    func check() throws(ToolFailure) {
        let required = [
            ("channelID", "-C", self.channel.isEmpty), ("name", "-n", self.name.isEmpty),
            ("version", "-v", self.version.isEmpty), ("sequence", "--sequence", self.sequence == 0),
        ]
        for (name, flag, isMissing) in required where isMissing {
            throw .usage("The required parameter '\(name)' is empty. Rerun the command with \(flag) flag")
        }
    }
}

/// Arguments of the lifecycle contract that hold a definition.
private protocol DefinitionArguments {
    init()
    var name: String { get set }
    var version: String { get set }
    var sequence: Int64 { get set }
    var endorsementPlugin: String { get set }
    var validationPlugin: String { get set }
    var validationParameter: Data { get set }
    var initRequired: Bool { get set }
    var collections: Protos_CollectionConfigPackage { get set }
}

extension DefinitionArguments {
    fileprivate init(_ definition: DefinitionFlags) {
        self.init()
        self.name = definition.name
        self.version = definition.version
        self.sequence = definition.sequence
        self.endorsementPlugin = definition.endorsementPlugin
        self.validationPlugin = definition.validationPlugin
        self.validationParameter = definition.validationParameter
        self.initRequired = definition.initRequired
        if let collections = definition.collections { self.collections = collections }
    }
}

extension Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs: DefinitionArguments {}
extension Lifecycle_CommitChaincodeDefinitionArgs: DefinitionArguments {}
extension Lifecycle_CheckCommitReadinessArgs: DefinitionArguments {}

/// The peers that a lifecycle command talks to, and how it calls the lifecycle contract there.
struct LifecycleSession: Sendable {
    private let client: PeerClient
    private let call: ToolCommand.Call
    private let targets: [PeerClient.Target]
    private let words: PeerTransaction.Words
    private let channel: String

    static let contract = "_lifecycle"

    init(_ client: PeerClient, _ call: ToolCommand.Call, command: String) throws {
        self.client = client
        self.call = call
        self.channel = call.flags.text("channelID")
        self.words = PeerTransaction.Words(
            endorserClient: "failed to retrieve endorser client for \(command)",
            endorsing: "failed to endorse proposal",
            broadcastClient: "failed to retrieve broadcast client",
            send: "failed to send transaction"
        )
        do {
            self.targets = try PeerSelection(
                client,
                channel: self.channel,
                takesSeveral: command == "approveformyorg" || command == "commit",
                PeerSelection.Words(
                    parameters: "failed to validate peer connection parameters",
                    client: self.words.endorserClient,
                    onlyOne: { "'\(command)' command supports one peer. \($0) peers provided" }
                )
            ).targets
        } catch let error as ToolFailure {
            throw ToolFailure.usage(error.description)
        }
    }

    /// Has the call endorsed, ordered and, unless the flags say otherwise, committed.
    func submit(_ function: String, _ arguments: any Message & Sendable) async throws {
        try await self.connecting { endorsers in
            let proposal = try await self.proposal(function, arguments)
            var responses: [Protos_ProposalResponse] = []
            for endorser in endorsers { responses.append(try await self.endorse(proposal, endorser)) }
            if let first = responses.first?.response, first.status != 200 {
                throw ToolFailure("proposal failed with status: \(first.status) - \(first.message)")
            }
            let transaction = PeerTransaction(
                client: self.client,
                channel: self.channel,
                endorsers: endorsers,
                words: self.words
            )
            let flags = self.call.flags
            let wait = flags.flag("waitForEvent") ? flags.duration("waitForEventTimeout") : nil
            try await transaction.submit(proposal, responses, wait: wait)
        }
    }

    /// Asks the one peer.
    ///
    /// - Returns: The payload of its answer.
    func ask(
        _ function: String,
        _ arguments: any Message & Sendable,
        otherwise failure: String = "query failed"
    ) async throws -> Data {
        try await self.connecting { endorsers in
            guard let endorser = endorsers.first else { throw ToolFailure("no endorser clients retrieved") }
            let response = try await self.endorse(await self.proposal(function, arguments), endorser).response
            guard response.status == 200 else {
                throw ToolFailure("\(failure) with status: \(response.status) - \(response.message)")
            }
            return response.payload
        }
    }

    private func proposal(_ function: String, _ arguments: any Message) async throws -> Proposal {
        try await Proposal.signed(
            Invocation(
                contract: Self.contract,
                arguments: [Data(function.utf8), arguments.serializedBytes() as Data]
            ),
            channel: self.channel,
            by: self.client.identity
        )
    }

    private func endorse(
        _ proposal: Proposal,
        _ endorser: PeerTransaction.Endorser
    ) async throws -> Protos_ProposalResponse {
        try await reaching("endorser", endorser.address, self.words.endorserClient) {
            do {
                return try await endorser.node.respond(to: proposal.signed)
            } catch let error as RPCError where error.code != .unavailable {
                throw ToolFailure("\(self.words.endorsing): \(GoText.text(error))")
            }
        }
    }

    private func connecting<Value: Sendable>(
        _ body: ([PeerTransaction.Endorser]) async throws -> Value
    ) async throws -> Value {
        try await self.client.connecting(to: self.targets) { connections in
            try await body(
                zip(self.targets, connections).map { target, connection in
                    PeerTransaction.Endorser(
                        address: target.address,
                        node: connection.peer(channel: self.channel, as: self.client.identity)
                    )
                }
            )
        }
    }
}
