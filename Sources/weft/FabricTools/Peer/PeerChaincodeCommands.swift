import Channel
import FabricProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import WeftClient

/// `peer chaincode`: running contracts.
///
/// - Source: Fabric v3.1 documentation, "peer chaincode"; texts compared with the program.
enum PeerChaincodeCommands {
    static let all = ToolCommand(
        "chaincode",
        "Query or invoke a chaincode: invoke|query.",
        sharedFlags: PeerClient.ordererFlags + [
            ToolFlag("transient", nil, "data for the endorsers alone: a JSON object of names and base64")
        ],
        commands: [
            ToolCommand(
                "invoke",
                "Invoke the specified chaincode. It will try to commit the endorsed transaction to the network.",
                flags: flags + [
                    ToolFlag(
                        "isInit",
                        "I",
                        .flag,
                        "the call initializes a contract whose definition asks for it"
                    ),
                    ToolFlag(
                        "waitForEvent",
                        nil,
                        .flag,
                        "wait until the transaction is committed at each peer"
                    ),
                    ToolFlag(
                        "waitForEventTimeout",
                        nil,
                        .duration,
                        standard: "30s",
                        "how long to wait for the commit"
                    ),
                ],
                run: invoke
            ),
            ToolCommand(
                "query",
                "Get endorsed result of chaincode function call and print it. It won't generate transaction.",
                flags: flags + [
                    ToolFlag("raw", "r", .flag, "print the answer as a list of numbers, one for each byte"),
                    ToolFlag(
                        "hex",
                        "x",
                        .flag,
                        "print the answer in hexadecimal digits; not together with --raw"
                    ),
                ],
                run: query
            ),
        ]
    )

    private static let flags =
        [
            ToolFlag("channelID", "C", "the channel to run the command on"),
            ToolFlag(
                "ctor",
                "c",
                .text,
                standard: "{}",
                "what to call, in JSON: {\"Args\":[...]} or {\"function\":\"f\",\"Args\":[...]}"
            ),
            ToolFlag("name", "n", "the contract's name"),
        ] + PeerSelection.flags

    private static func invoke(_ call: ToolCommand.Call) async throws {
        let client = try PeerClient(call)
        let channel = try Self.channel(call)
        try await Self.connecting(client, channel, command: "invoke") { transaction in
            let proposal = try await Self.proposal(call, client, channel)
            let responses = try await Self.endorse(proposal, transaction)
            guard let first = responses.first else { return }
            guard first.response.status < 400 else {
                throw ToolFailure(
                    "endorsement failure during invoke. response: \(GoText.text(first.response))"
                )
            }
            let wait = call.flags.flag("waitForEvent") ? call.flags.duration("waitForEventTimeout") : nil
            try await transaction.submit(proposal, responses, wait: wait)
            let payload = try Protos_ProposalResponsePayload(serializedBytes: first.payload)
            let action = try Protos_ChaincodeAction(serializedBytes: payload.extension)
            client.log.info(
                .chaincodeCmd,
                "chaincodeInvokeOrQuery",
                "Chaincode invoke successful. result: \(GoText.text(action.response))"
            )
        }
    }

    private static func query(_ call: ToolCommand.Call) async throws {
        let client = try PeerClient(call)
        let channel = try Self.channel(call)
        try await Self.connecting(client, channel, command: "query") { transaction in
            let proposal = try await Self.proposal(call, client, channel)
            let responses = try await Self.endorse(proposal, transaction)
            guard let response = responses.first, response.hasEndorsement else {
                let said = GoText.text(responses.first?.response ?? Protos_Response())
                throw ToolFailure("endorsement failure during query. response: \(said)")
            }
            try Self.show(response.response.payload, call.flags)
        }
    }

    private static func show(_ payload: Data, _ flags: ToolFlags) throws {
        let (isRaw, isHexadecimal) = (flags.flag("raw"), flags.flag("hex"))
        guard !isRaw || !isHexadecimal else {
            throw ToolFailure("options --raw (-r) and --hex (-x) are not compatible")
        }
        if isRaw {
            print(GoText.numbers(payload))
        } else if isHexadecimal {
            print(payload.hexadecimal)
        } else {
            // The very bytes, whether they are text or not.
            try FileHandle.standardOutput.write(contentsOf: payload + Data("\n".utf8))
        }
    }

    // MARK: - Parts of both

    private static func channel(_ call: ToolCommand.Call) throws -> String {
        let channel = call.flags.text("channelID")
        guard !channel.isEmpty else {
            throw ToolFailure.usage(
                "The required parameter 'channelID' is empty. Rerun the command with -C flag"
            )
        }
        return channel
    }

    private static func connecting(
        _ client: PeerClient,
        _ channel: String,
        command: String,
        _ body: (PeerTransaction) async throws -> Void
    ) async throws {
        client.log.info(
            .chaincodeCmd,
            "InitCmdFactory",
            "InitCmdFactory: Entry: \(command), true, \(command == "invoke")"
        )
        let words = PeerTransaction.Words(
            endorserClient: "error getting endorser client for \(command)",
            endorsing: "error endorsing \(command)",
            broadcastClient: "error getting broadcast client",
            send: "error sending transaction for \(command)"
        )
        let selection = try PeerSelection(
            client,
            channel: channel,
            takesSeveral: command == "invoke",
            PeerSelection.Words(
                parameters: "error validating peer connection parameters",
                client: words.endorserClient,
                onlyOne: { "'\(command)' command can only be executed against one peer. received \($0)" }
            )
        )
        try await client.connecting(to: selection.targets) { connections in
            try await body(
                PeerTransaction(
                    client: client,
                    channel: channel,
                    endorsers: zip(selection.targets, connections).map { target, connection in
                        PeerTransaction.Endorser(
                            address: target.address,
                            node: connection.peer(channel: channel, as: client.identity)
                        )
                    },
                    words: words
                )
            )
        }
    }

    private static func proposal(_ call: ToolCommand.Call, _ client: PeerClient, _ channel: String)
        async throws
        -> Proposal
    {
        let name = call.flags.text("name")
        guard !name.isEmpty else { throw ToolFailure.usage("must supply value for chaincode name parameter") }
        var invocation = Invocation(contract: name, arguments: try Self.arguments(call.flags.text("ctor")))
        invocation.isInit = call.flags.flag("isInit")
        let transient = call.flags.text("transient")
        if !transient.isEmpty { invocation.transient = try Self.transient(transient) }
        return try await Proposal.signed(invocation, channel: channel, by: client.identity)
    }

    /// Asks all peers at the same time.
    private static func endorse(
        _ proposal: Proposal,
        _ transaction: PeerTransaction
    ) async throws -> [Protos_ProposalResponse] {
        try await withThrowingTaskGroup { group in
            for (index, endorser) in transaction.endorsers.enumerated() {
                group.addTask {
                    try await reaching("endorser", endorser.address, transaction.words.endorserClient) {
                        do {
                            return (index, try await endorser.node.respond(to: proposal.signed))
                        } catch let error as RPCError where error.code != .unavailable {
                            throw ToolFailure(
                                "\(transaction.words.endorsing): \(GoText.text(error)) - proposal response: <nil>"
                            )
                        }
                    }
                }
            }
            let responses = try await group.reduce(into: []) { $0.append($1) }
            return responses.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    /// Reads `{"function": "f", "Args": ["a"]}`: the function's name, if any, then the arguments.
    static func arguments(_ json: String) throws(ToolFailure) -> [Data] {
        let keys = "must contain the following keys: 'Args' or 'Function' and 'Args'"
        guard json != "{}" else { throw .usage("empty JSON chaincode parameters \(keys)") }
        let value: Any
        do {
            value = try JSONSerialization.jsonObject(with: Data(json.utf8), options: .fragmentsAllowed)
        } catch {
            throw .usage(
                "chaincode argument error: \(json) is not JSON; expected {\"Args\":[\"function\",\"argument\"]}"
            )
        }
        guard let object = value as? [String: Any] else {
            throw .usage("chaincode argument error: \(json) is not a JSON object; expected {\"Args\":[...]}")
        }
        let members = Dictionary(object.map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
        guard let list = members["args"], object.count <= 2, object.count == 1 || members["function"] != nil
        else {
            throw .usage("non-empty JSON chaincode parameters \(keys)")
        }
        let function = members["function"] ?? ""
        guard let function = function as? String, let texts = list is NSNull ? [] : list as? [String] else {
            throw ToolFailure(
                "chaincode argument error: 'Function' must be a text and 'Args' a list of texts"
            )
        }
        return ((function.isEmpty ? [] : [function]) + texts).map { Data($0.utf8) }
    }

    /// Reads a JSON object of names and base64.
    static func transient(_ json: String) throws(ToolFailure) -> [String: Data] {
        let value = try? JSONSerialization.jsonObject(with: Data(json.utf8))
        guard let object = value as? [String: String] else {
            throw ToolFailure(
                "error parsing transient string: expected a JSON object of names and base64 texts"
            )
        }
        var transient: [String: Data] = [:]
        for (name, text) in object {
            guard let bytes = Data(base64Encoded: text) else {
                throw ToolFailure("error parsing transient string: the value of \"\(name)\" is not base64")
            }
            transient[name] = bytes
        }
        return transient
    }
}
