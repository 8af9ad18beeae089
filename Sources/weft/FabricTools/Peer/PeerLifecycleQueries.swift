import FabricProtos
import Foundation
import SwiftProtobuf

/// `peer lifecycle chaincode queryapproved` and `querycommitted`.
enum PeerLifecycleQueries {
    private static let peerFlags = PeerSelection.flags + [PeerLifecycleCommands.outputFlag]

    static let approved = ToolCommand(
        "queryapproved",
        "Query organization's approved chaincode definitions from its peer.",
        flags: [
            PeerLifecycleCommands.channelFlag, PeerLifecycleCommands.nameFlag,
            PeerLifecycleCommands.sequenceFlag,
        ]
            + peerFlags
    ) { call in
        let client = try PeerClient(call)
        let session = try LifecycleSession(client, call, command: "queryapproved")
        let (channel, name) = (call.flags.text("channelID"), call.flags.text("name"))
        let sequence = Int64(call.flags.integer("sequence"))
        guard !channel.isEmpty else {
            throw ToolFailure("The required parameter 'channelID' is empty. Rerun the command with -C flag")
        }
        guard !name.isEmpty else {
            guard sequence == 0 else {
                throw ToolFailure(
                    "Specifying parameter 'sequence' is invalid without parameter 'name'. Rerun the command with -n flag"
                )
            }
            let answer = try await session.ask(
                "QueryApprovedChaincodeDefinitions",
                Lifecycle_QueryApprovedChaincodeDefinitionsArgs()
            )
            let result = try Lifecycle_QueryApprovedChaincodeDefinitionsResult(serializedBytes: answer)
            if Self.isJSON(call.flags) { return print(result.goJSON.tabbed()) }
            print("Approved chaincode definitions on channel '\(channel)':")
            for found in result.approvedChaincodeDefinitions {
                print("name: \(found.name), " + ApprovedText(found).text)
            }
            return
        }
        var arguments = Lifecycle_QueryApprovedChaincodeDefinitionArgs()
        arguments.name = name
        arguments.sequence = sequence
        let answer = try await session.ask("QueryApprovedChaincodeDefinition", arguments)
        let result = try Lifecycle_QueryApprovedChaincodeDefinitionResult(serializedBytes: answer)
        if Self.isJSON(call.flags) { return print(result.goJSON.tabbed()) }
        print("Approved chaincode definition for chaincode '\(name)' on channel '\(channel)':")
        print(ApprovedText(result).text)
    }

    static let committed = ToolCommand(
        "querycommitted",
        "Query the committed chaincode definitions by channel on a peer. Optional: provide a chaincode name to query a specific definition.",
        flags: [PeerLifecycleCommands.channelFlag, PeerLifecycleCommands.nameFlag] + peerFlags
    ) { call in
        let client = try PeerClient(call)
        let session = try LifecycleSession(client, call, command: "querycommitted")
        let (channel, name) = (call.flags.text("channelID"), call.flags.text("name"))
        guard !channel.isEmpty else { throw ToolFailure("channel name must be specified") }
        guard !name.isEmpty else {
            let answer = try await session.ask(
                "QueryChaincodeDefinitions",
                Lifecycle_QueryChaincodeDefinitionsArgs()
            )
            let result = try Lifecycle_QueryChaincodeDefinitionsResult(serializedBytes: answer)
            if Self.isJSON(call.flags) { return print(result.goJSON.tabbed()) }
            print("Committed chaincode definitions on channel '\(channel)':")
            for found in result.chaincodeDefinitions {
                print(
                    "Name: \(found.name), "
                        + Self.text(
                            found.version,
                            found.sequence,
                            found.endorsementPlugin,
                            found.validationPlugin
                        )
                )
            }
            return
        }
        var arguments = Lifecycle_QueryChaincodeDefinitionArgs()
        arguments.name = name
        let answer = try await session.ask("QueryChaincodeDefinition", arguments)
        let result = try Lifecycle_QueryChaincodeDefinitionResult(serializedBytes: answer)
        if Self.isJSON(call.flags) { return print(result.goJSON.tabbed()) }
        let approvals = result.approvals.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        print("Committed chaincode definition for chaincode '\(name)' on channel '\(channel)':")
        print(
            Self.text(result.version, result.sequence, result.endorsementPlugin, result.validationPlugin)
                + ", Approvals: [\(approvals.joined(separator: ", "))]"
        )
    }

    private static func isJSON(_ flags: ToolFlags) -> Bool { flags.text("output").lowercased() == "json" }

    private static func text(
        _ version: String,
        _ sequence: Int64,
        _ endorsementPlugin: String,
        _ validationPlugin: String
    ) -> String {
        "Version: \(version), Sequence: \(sequence), Endorsement Plugin: \(endorsementPlugin), Validation Plugin: \(validationPlugin)"
    }
}

/// An approved definition on one line.
private struct ApprovedText {
    let text: String

    init(_ found: Lifecycle_QueryApprovedChaincodeDefinitionResult) {
        self.text = Self.line(
            (found.sequence, found.version, found.initRequired),
            found.source,
            (found.endorsementPlugin, found.validationPlugin)
        )
    }

    init(_ found: Lifecycle_QueryApprovedChaincodeDefinitionsResult.ApprovedChaincodeDefinition) {
        self.text = Self.line(
            (found.sequence, found.version, found.initRequired),
            found.source,
            (found.endorsementPlugin, found.validationPlugin)
        )
    }

    private static func line(
        _ definition: (sequence: Int64, version: String, initRequired: Bool),
        _ source: Lifecycle_ChaincodeSource,
        _ plugins: (endorsement: String, validation: String)
    ) -> String {
        "sequence: \(definition.sequence), version: \(definition.version), init-required: \(definition.initRequired), "
            + "package-id: \(source.localPackage.packageID), endorsement plugin: \(plugins.endorsement), "
            + "validation plugin: \(plugins.validation)"
    }
}
