import Foundation
import Logging
import Operations

extension NodeLogging {
    /// Logs of a process that runs under the name of one of Fabric's programs: on standard error, from the levels of
    /// `FABRIC_LOGGING_SPEC` on, in the form of `FABRIC_LOGGING_FORMAT`.
    ///
    /// - Throws: ``ConfigurationError`` when one of the two can't be read.
    /// - Source: Fabric v3.1 documentation, "Logging Control".
    convenience init(environment: [String: String]) throws(ConfigurationError) {
        func error(_ variable: String, _ problem: String) -> ConfigurationError {
            ConfigurationError(file: "environment", key: variable, problem: problem)
        }
        let specification: LogSpecification
        do {
            specification = try LogSpecification(environment["FABRIC_LOGGING_SPEC"] ?? "")
        } catch let problem {
            throw error("FABRIC_LOGGING_SPEC", "\(problem)")
        }
        var format = LogFormat.standard(colors: isatty(STDERR_FILENO) == 1)
        if let text = environment["FABRIC_LOGGING_FORMAT"], !text.isEmpty {
            do {
                format = try LogFormat(text)
            } catch let problem {
                throw error("FABRIC_LOGGING_FORMAT", "\(problem)")
            }
        }
        self.init(specification: specification, format: format)
    }
}

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
    }

    private let logging: NodeLogging

    init(environment: [String: String]) throws(ConfigurationError) {
        self.logging = try NodeLogging(environment: environment)
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
