import ArgumentParser
import Foundation
import Logging

/// The flags that every command has: how it answers and how much it says.
///
/// A command declares `@OptionGroup var output: OutputOptions`, and answers through ``OutputOptions/answer(_:_:)``.
struct OutputOptions: ParsableArguments {
    @Flag(name: .long, help: "Answer with one JSON value on standard output, for scripts.")
    var json = false

    @Option(name: .long, help: ArgumentHelp("How much to log on standard error.", valueName: "level"))
    var logLevel: LogLevel?

    /// A logger that writes to standard error.
    ///
    /// - Parameters:
    ///   - label: The part of Weft that logs, such as `weft.orderer`.
    ///   - level: The level in use when none was asked for: `info` for a node, `warning` for a command.
    /// - Returns: The logger to pass on; nothing in Weft makes its own.
    func logger(_ label: String, level: Logger.Level = .warning) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = self.logLevel?.level ?? level
        return logger
    }

    /// Prints the command's answer: `value` with `--json`, else `text`.
    func answer(_ value: @autoclosure () -> JSONValue, _ text: @autoclosure () -> String) {
        print(self.json ? value().text : text())
    }

    /// Prints a line for people; with `--json` nothing, since the answer comes as one value at the end.
    func say(_ line: @autoclosure () -> String) {
        guard !self.json else { return }
        print(line())
    }
}

/// How much a process logs.
enum LogLevel: String, CaseIterable, ExpressibleByArgument {
    case trace, debug, info, notice, warning, error, critical

    var level: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        case .critical: .critical
        }
    }
}
