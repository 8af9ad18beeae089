import Foundation
import Operations

/// Fabric's `orderer`: runs an ordering node from `orderer.yaml`.
///
/// - Source: Fabric v3.1, `orderer --help`.
enum OrdererTool {
    /// `orderer`, `orderer start`, `orderer version`, `orderer help`.
    static func run(_ arguments: [String]) async -> Int32 {
        switch arguments {
        case [], ["start"]:
            do {
                try await self.start()
                return 0
            } catch {
                standardError("orderer: error: \(error)")
                return 1
            }
        case ["version"]:
            print(ToolVersion.text(of: "orderer") + "\n")
            return 0
        case _ where arguments.contains("--help") || arguments.first == "help":
            // As in Fabric, help is no answer to a question, so it goes to standard error.
            standardError(self.help)
            return 0
        default:
            let word = arguments.first { $0 != "start" && $0 != "version" } ?? arguments[0]
            let problem = word.hasPrefix("--") ? "unknown long flag '\(word)'" : "unexpected \(word)"
            standardError("orderer: error: \(problem), try --help")
            return 1
        }
    }

    private static let help = """
        usage: orderer [<flags>] <command> [<args> ...]

        Weft's ordering node, configured by orderer.yaml in the folder that FABRIC_CFG_PATH names

        Flags:
          --help  Show this text.

        Commands:
          help [<command>...]
            Show help.

          start*
            Start the orderer node

          version
            Show version information

        """

    private static func start() async throws {
        let environment = ProcessInfo.processInfo.environment
        let logging = try LoggingSettings().logging(environment: environment)
        let logger = logging.logger("orderer.common.server")
        let settings = try FabricSettings(.orderer, environment: environment)
        ToolProcess.report(FabricKeys.orderer, settings, logger)
        let configuration = try OrdererYAML(settings).configuration
        ToolProcess.reportForeignLedger(beside: configuration.data, named: "chains", logger)
        try await configuration.run(NodeOperations(logging: logging, files: configuration.operations))
    }
}
