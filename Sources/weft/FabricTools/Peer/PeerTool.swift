import Channel
import Foundation
import Logging
import Operations
import Peer

/// Fabric's `peer`: its commands, as far as Weft has them.
///
/// Commands that don't work yet are unknown commands.
///
/// - Source: Fabric v3.1 documentation, "Commands Reference".
enum PeerTool {
    static let tool = ToolCommand(
        "peer",
        "Run a peer, and administer peers, channels and contracts.",
        commands: [
            version, node, PeerChannelCommands.all, PeerChaincodeCommands.all, PeerLifecycleCommands.all,
        ]
    )

    static func run(_ arguments: [String]) async -> Int32 {
        await ToolProgram(self.tool).run(arguments)
    }

    private static let version = ToolCommand("version", "Print the version.") { call in
        guard call.operands.isEmpty else { throw ToolFailure.usage("trailing args detected") }
        print(ToolVersion.text(of: "peer") + "\n")
    }

    private static let node = ToolCommand(
        "node",
        "Operate a peer node: start|unjoin.",
        commands: [
            ToolCommand(
                "unjoin",
                "Unjoin the peer from a channel. The peer must not be running.",
                flags: [ToolFlag("channelID", "c", "the channel to leave")],
                run: unjoin
            ),
            ToolCommand(
                "start",
                "Starts the node.",
                flags: [ToolFlag("peer-chaincodedev", nil, .flag, "not possible with Weft")],
                run: startNode
            ),
        ]
    )

    /// `peer node start`: reads `core.yaml`, and runs the peer until it gets SIGTERM or SIGINT.
    private static func startNode(_ call: ToolCommand.Call) async throws {
        guard call.operands.isEmpty else { throw ToolFailure.usage("trailing args detected") }
        guard !call.flags.flag("peer-chaincodedev") else {
            throw ToolFailure(
                "--peer-chaincodedev is not possible: Weft runs the contracts that are built into it"
            )
        }
        let environment = ProcessInfo.processInfo.environment
        let logging = try LoggingSettings().logging(environment: environment)
        let logger = logging.logger("nodeCmd")
        let settings = try FabricSettings(.core, environment: environment)
        ToolProcess.report(FabricKeys.core, settings, logger)
        let file = try CoreYAML(settings)
        ToolProcess.reportForeignLedger(beside: file.configuration.data, named: "ledgersData", logger)
        try await file.configuration.run(
            NodeOperations(logging: logging, files: file.configuration.operations)
        ) {
            // Scripts wait for this line.
            logger.info(
                "Started peer with ID=[\(file.peerID)], network ID=[\(file.networkID)], address=[\(file.configuration.advertise)]"
            )
        }
    }
}

extension PeerTool {
    /// `peer node unjoin`: deletes a channel's ledger from the data of a peer that is stopped.
    private static func unjoin(_ call: ToolCommand.Call) async throws {
        guard call.operands.isEmpty else { throw ToolFailure.usage("trailing args detected") }
        let channel = call.flags.text("channelID")
        guard !channel.isEmpty else { throw ToolFailure.usage("Must supply channel ID") }
        let settings = try FabricSettings(.core, environment: ProcessInfo.processInfo.environment)
        do {
            try ChannelRemoval.remove(ChannelID(channel), dataFolder: CoreYAML.data(settings))
        } catch let error as ChannelRemovalError {
            let reason =
                error.isUnknownChannel
                ? "cannot update ledger status, ledger [\(channel)] does not exist" : "\(error)"
            throw ToolFailure.usage("unjoin channel [\(channel)]: \(reason)")
        }
    }
}

/// What the nodes that are run by Fabric's tools have in common.
enum ToolProcess {
    /// Tells the operator which keys have no effect, and whether Weft needs them.
    static func report(_ keys: FabricKeys, _ settings: FabricSettings, _ logger: Logger) {
        for remark in keys.remarks(on: settings) {
            logger.warning("\(settings.kind.rawValue).yaml: \(remark)")
        }
    }

    /// Tells the operator that the node does not go on with the ledger of Fabric's node in the same folder.
    static func reportForeignLedger(beside data: String, named name: String, _ logger: Logger) {
        let folder = URL(fileURLWithPath: data).deletingLastPathComponent().path
        guard FileManager.default.fileExists(atPath: "\(folder)/\(name)"),
            !FileManager.default.fileExists(atPath: data)
        else { return }
        logger.warning(
            "\(folder)/\(name) is the ledger of Fabric's node, which Weft leaves as it is and doesn't read: join the channels again; Weft's ledgers are in \(data)"
        )
    }
}
