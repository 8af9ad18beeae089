import Logging
import Operations

/// What the client commands of Fabric's tools say besides their answer.
///
/// ```
/// 2026-02-03 10:20:30.405 UTC 0001 INFO [channelCmd] InitCmdFactory -> Endorser and orderer connections initialized
/// ```
///
/// Scripts look for such lines, so their texts, and the names of the parts that speak, are Fabric's.
struct ToolLog: Sendable {
    /// The part that speaks.
    enum Source: String, Sendable {
        case main, channelCmd, chaincodeCmd
        case common = "cli.common"
        case lifecycle = "cli.lifecycle.chaincode"
    }

    private let logging: NodeLogging

    /// - Throws: ``Failure`` when `FABRIC_LOGGING_SPEC` or `FABRIC_LOGGING_FORMAT` can't be used.
    init(environment: [String: String]) throws(Failure) {
        self.logging = try LoggingSettings().logging(environment: environment)
    }

    func info(_ source: Source, _ function: String, _ message: String) {
        self.logging.logger(source.rawValue).info("\(message)", function: function)
    }

    func warning(_ source: Source, _ function: String, _ message: String) {
        self.logging.logger(source.rawValue).warning("\(message)", function: function)
    }

    func error(_ source: Source, _ function: String, _ message: String) {
        self.logging.logger(source.rawValue).error("\(message)", function: function)
    }
}
