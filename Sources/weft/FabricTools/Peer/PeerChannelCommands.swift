import Channel
import Cryptography
import FabricProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import WeftClient

/// `peer channel`: joining channels, looking at them, and updating their configuration.
///
/// - Source: Fabric v3.1 documentation, "peer channel"; texts compared with the program.
enum PeerChannelCommands {
    static let all = ToolCommand(
        "channel",
        "Operate a channel: fetch|join|list|update|signconfigtx|getinfo.",
        sharedFlags: PeerClient.ordererFlags,
        commands: [
            ToolCommand(
                "fetch",
                operands: "<newest|oldest|config|(number)> [outputfile]",
                "Fetch a specified block, writing it to a file.",
                flags: [
                    channelFlag,
                    ToolFlag(
                        "bestEffort",
                        nil,
                        .flag,
                        "take blocks also from an orderer that can't make new ones"
                    ),
                ],
                run: fetch
            ),
            ToolCommand(
                "getinfo",
                "get blockchain information of a specified channel. Requires '-c'.",
                flags: [channelFlag],
                run: getinfo
            ),
            ToolCommand(
                "join",
                "Joins the peer to a channel.",
                flags: [ToolFlag("blockpath", "b", "file with the channel's first block")],
                run: join
            ),
            ToolCommand("list", "List of channels peer has joined.", run: list),
            ToolCommand(
                "signconfigtx",
                "Signs the supplied configtx update file in place on the filesystem. Requires '-f'.",
                flags: [fileFlag],
                run: signconfigtx
            ),
            ToolCommand(
                "update",
                "Signs and sends the supplied configtx update file to the channel. Requires '-f', '-o', '-c'.",
                flags: [channelFlag, fileFlag],
                run: update
            ),
        ]
    )

    private static let channelFlag = ToolFlag("channelID", "c", "the channel's name")
    private static let fileFlag = ToolFlag("file", "f", "file with the configuration update")

    // MARK: - Asking and joining

    /// Asks a system contract of the configured peer, on no channel.
    private static func ask(
        _ client: PeerClient,
        _ contract: String,
        _ arguments: [Data],
        type: Common_HeaderType = .endorserTransaction,
        failed: (any Error) -> any Error
    ) async throws -> Protos_Response {
        let context = "error getting endorser client for channel"
        let target: PeerClient.Target
        do { target = try client.peer() } catch { throw ToolFailure("\(context): \(error)") }
        client.log.info(.channelCmd, "InitCmdFactory", "Endorser and orderer connections initialized")
        let proposal = try await Proposal.signed(
            Invocation(contract: contract, arguments: arguments),
            channel: "",
            by: client.identity,
            type: type
        )
        return try await reaching("endorser", target.address, context) {
            do {
                return try await client.connecting(to: [target]) { connections in
                    try await connections[0].peer(channel: "", as: client.identity).respond(
                        to: proposal.signed
                    )
                    .response
                }
            } catch let error as RPCError where error.code != .unavailable {
                throw failed(error)
            }
        }
    }

    private static func join(_ call: ToolCommand.Call) async throws {
        let client = try PeerClient(call)
        let path = call.flags.text("blockpath")
        guard !path.isEmpty else { throw ToolFailure.usage("Must supply genesis block path") }
        let block: Data
        do { block = try GoText.file(path) } catch {
            throw ToolFailure("genesis block file not found \(error)")
        }
        let response = try await Self.ask(client, "cscc", [Data("JoinChain".utf8), block], type: .config) {
            ToolFailure("proposal failed (err: \(GoText.text($0)))")
        }
        guard response.status == 0 || response.status == 200 else {
            throw ToolFailure(
                "proposal failed (err: bad proposal response \(response.status): \(response.message))"
            )
        }
        client.log.info(.channelCmd, "executeJoin", "Successfully submitted proposal to join channel")
    }

    private static func list(_ call: ToolCommand.Call) async throws {
        let client = try PeerClient(call)
        guard call.operands.isEmpty else {
            throw ToolFailure.usage("trailing args detected: [\(call.operands.joined(separator: " "))]")
        }
        let response = try await Self.ask(client, "cscc", [Data("GetChannels".utf8)]) {
            ToolFailure("Failed sending proposal, got \(GoText.text($0))")
        }
        guard response.status == 200 else {
            throw ToolFailure("Received bad response, status \(response.status): \(response.message)")
        }
        print("Channels peers has joined: ")
        for channel in try Protos_ChannelQueryResponse(serializedBytes: response.payload).channels {
            print(channel.channelID)
        }
    }

    private static func getinfo(_ call: ToolCommand.Call) async throws {
        let client = try PeerClient(call)
        let channel = call.flags.text("channelID")
        guard !channel.isEmpty else { throw ToolFailure.usage("Must supply channel ID") }
        let response = try await Self.ask(client, "qscc", [Data("GetChainInfo".utf8), Data(channel.utf8)]) {
            ToolFailure("failed sending proposal: \(GoText.text($0))")
        }
        guard response.status == 200 else {
            throw ToolFailure("received bad response, status \(response.status): \(response.message)")
        }
        let information = try Common_BlockchainInfo(serializedBytes: response.payload)
        print("Blockchain info: \(information.goJSON.compactText)")
    }

    // MARK: - Blocks

    private static func fetch(_ call: ToolCommand.Call) async throws {
        let client = try PeerClient(call)
        guard let wanted = call.operands.first else {
            throw ToolFailure.usage("fetch target required, oldest, newest, config, or a number")
        }
        guard call.operands.count <= 2 else { throw ToolFailure.usage("trailing args detected") }
        let channel = call.flags.text("channelID")
        let source = try Self.source(client, channel)
        client.log.info(.channelCmd, "InitCmdFactory", "Endorser and orderer connections initialized")
        let position: Orderer_SeekPosition
        switch wanted {
        case "oldest": position = .oldestBlock
        case "newest": position = .newestBlock
        case "config":
            let newest = try await source(.newestBlock)
            let number = try newest.lastConfigNumber()
            client.log.info(.channelCmd, "fetch", "Retrieving last config block: \(number)")
            position = .block(number)
        default:
            guard let number = Int64(wanted) else { throw ToolFailure("fetch target illegal: \(wanted)") }
            position = .block(UInt64(bitPattern: number))
        }
        let block = try await source(position)
        let file = call.operands.count == 2 ? call.operands[1] : "\(channel)_\(wanted).block"
        try writeNew(block.serializedBytes(), to: file)
    }

    /// Where blocks come from: the orderer if one is named, else the configured peer.
    private static func source(
        _ client: PeerClient,
        _ channel: String
    ) throws -> @Sendable (Orderer_SeekPosition) async throws -> Common_Block {
        let address = client.flags.text("orderer")
        let isOrderer = address.split(separator: ":", omittingEmptySubsequences: false).count == 2
        let context =
            isOrderer
            ? "failed to create deliver client for orderer"
            : "error getting deliver client for channel: failed to create deliver client for peer"
        let target: PeerClient.Target
        do {
            target = try isOrderer ? client.orderer(address) : client.peer()
        } catch {
            throw ToolFailure("\(context): \(error)")
        }
        let bestEffort = client.flags.flag("bestEffort")
        return { position in
            try await reaching(isOrderer ? "orderer" : "deliver", target.address, context) {
                let answer = try await client.connecting(to: [target]) { connections in
                    isOrderer
                        ? try await connections[0].orderer(channel: channel, as: client.identity)
                            .block(at: position, bestEffort: bestEffort)
                        : try await connections[0].peer(channel: channel, as: client.identity)
                            .block(at: position, bestEffort: bestEffort)
                }
                switch answer {
                case .block(let block):
                    client.log.info(.common, "readBlock", "Received block: \(block.header.number)")
                    return block
                case .status(let status):
                    client.log.info(.common, "readBlock", "Expect block, but got status: &{\(status.name)}")
                    throw ToolFailure("can't read the block: &{\(status.name)}")
                }
            }
        }
    }

    // MARK: - Configuration updates

    private static func signconfigtx(_ call: ToolCommand.Call) async throws {
        let client = try PeerClient(call)
        let file = call.flags.text("file")
        guard !file.isEmpty else { throw Self.invalid("No configtx file name supplied", advice: .usage) }
        client.log.info(.channelCmd, "InitCmdFactory", "Endorser and orderer connections initialized")
        let signed = try Self.signed(client, file: file, channel: "")
        try writeNew(signed.serializedBytes(), to: file)
    }

    private static func update(_ call: ToolCommand.Call) async throws {
        let client = try PeerClient(call)
        let channel = call.flags.text("channelID")
        let file = call.flags.text("file")
        guard !channel.isEmpty else { throw ToolFailure.usage("Must supply channel ID") }
        guard !file.isEmpty else { throw Self.invalid("No configtx file name supplied", advice: .usage) }
        client.log.info(.channelCmd, "InitCmdFactory", "Endorser and orderer connections initialized")
        let signed = try Self.signed(client, file: file, channel: channel)
        try await PeerTransaction.order(
            signed,
            channel: channel,
            at: call.flags.text("orderer"),
            client,
            context: "Error getting broadcast client"
        )
        client.log.info(.channelCmd, "update", "Successfully submitted channel update")
    }

    /// The update in a file with one more signature, in an envelope that is signed anew.
    private static func signed(_ client: PeerClient, file: String, channel: String) throws -> Common_Envelope
    {
        let bytes: Data
        do { bytes = try GoText.file(file) } catch {
            throw ToolFailure("channel create configuration tx file not found \(error)")
        }
        let envelope: Common_Envelope
        do { envelope = try Common_Envelope(serializedBytes: bytes) } catch {
            throw ToolFailure("error unmarshalling Envelope: \(error)")
        }
        let payload: Common_Payload
        do { payload = try Common_Payload(serializedBytes: envelope.payload) } catch {
            throw Self.invalid("bad payload")
        }
        guard payload.hasHeader, !payload.header.channelHeader.isEmpty else {
            throw Self.invalid("bad header")
        }
        guard let header = try? Common_ChannelHeader(serializedBytes: payload.header.channelHeader) else {
            throw Self.invalid("could not unmarshall channel header")
        }
        guard header.type == Int32(Common_HeaderType.configUpdate.rawValue) else {
            throw Self.invalid("bad type")
        }
        guard !header.channelID.isEmpty else { throw Self.invalid("empty channel id") }
        guard channel.isEmpty || channel == header.channelID else {
            throw Self.invalid("mismatched channel ID \(header.channelID) != \(channel)")
        }
        guard (try? Common_ConfigUpdateEnvelope(serializedBytes: payload.data)) != nil else {
            throw Self.invalid("Bad config update env")
        }
        let signer = client.identity.signer
        do {
            var update = try ConfigUpdateFile(serialized: bytes)
            try update.sign(by: signer, nonce: secureRandomBytes(24))
            return try update.envelope(by: signer, nonce: secureRandomBytes(24), timestamp: Date())
        } catch {
            throw Self.invalid("\(error)")
        }
    }

    private static func invalid(_ reason: String, advice: ToolFailure.Advice = .none) -> ToolFailure {
        ToolFailure("Invalid channel create transaction : \(reason)", advice: advice)
    }
}
