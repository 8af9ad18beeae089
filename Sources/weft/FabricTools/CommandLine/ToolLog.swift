import Foundation
import Logging
import Synchronization

/// How much is logged, as `FABRIC_LOGGING_SPEC` says.
///
/// The form is `[<logger>[,<logger>…]=]<level>[:…]`, such as `info` or `warning:gossip=debug`.
///
/// - Source: Fabric v3.1 documentation, "Logging Control".
struct FabricLogLevel: Sendable {
    static let variable = "FABRIC_LOGGING_SPEC"

    /// The level of everything that has none of its own.
    let level: Logger.Level
    private let levels: [String: Logger.Level]

    init(environment: [String: String], standard: Logger.Level = .info) {
        var general = standard
        var levels: [String: Logger.Level] = [:]
        for part in (environment[Self.variable] ?? "").split(separator: ":") {
            let sides = part.split(separator: "=", maxSplits: 1)
            guard let level = sides.last.flatMap({ Self.level(String($0)) }) else { continue }
            if sides.count == 1 {
                general = level
            } else {
                for name in sides[0].split(separator: ",") { levels[String(name)] = level }
            }
        }
        self.level = general
        self.levels = levels
    }

    /// The level of a logger: its own, or that of the one above it (`cli` for `cli.common`).
    func level(of logger: String) -> Logger.Level {
        var name = logger
        while true {
            if let level = self.levels[name] { return level }
            guard let dot = name.lastIndex(of: ".") else { return self.level }
            name = String(name[..<dot])
        }
    }

    static func level(_ text: String) -> Logger.Level? {
        switch text.lowercased() {
        case "debug": .debug
        case "info": .info
        case "warning", "warn": .warning
        case "error": .error
        case "dpanic", "panic", "fatal": .critical
        default: nil
        }
    }
}

/// What the client commands of Fabric's tools say besides their answer: lines on standard error, in Fabric's form.
///
/// ```
/// 2026-02-03 10:20:30.405 UTC 0001 INFO [channelCmd] InitCmdFactory -> Endorser and orderer connections initialized
/// ```
///
/// Scripts look for such lines, so their texts are Fabric's.
struct ToolLog: Sendable {
    /// The part that speaks, in Fabric's names: `channelCmd`.
    enum Source: String, Sendable {
        case main, channelCmd, chaincodeCmd
        case common = "cli.common"
        case lifecycle = "cli.lifecycle.chaincode"
    }

    private let levels: FabricLogLevel
    private let count = LineCount()

    init(environment: [String: String]) {
        self.levels = FabricLogLevel(environment: environment)
    }

    func info(_ source: Source, _ function: String, _ message: String) {
        self.write(.info, "INFO", source, function, message)
    }

    func warning(_ source: Source, _ function: String, _ message: String) {
        self.write(.warning, "WARN", source, function, message)
    }

    func error(_ source: Source, _ function: String, _ message: String) {
        self.write(.error, "ERRO", source, function, message)
    }

    private func write(
        _ level: Logger.Level,
        _ name: String,
        _ source: Source,
        _ function: String,
        _ message: String
    ) {
        guard level >= self.levels.level(of: source.rawValue) else { return }
        let number = String(self.count.next(), radix: 16)
        let padded = String(repeating: "0", count: max(0, 4 - number.count)) + number
        standardError(
            "\(Self.time(Date())) \(padded) \(name) [\(source.rawValue)] \(function) -> \(message)"
        )
    }

    private static func time(_ date: Date) -> String {
        let text = date.formatted(
            .iso8601.year().month().day().dateSeparator(.dash).time(includingFractionalSeconds: true)
                .timeSeparator(.colon).dateTimeSeparator(.space)
        )
        return text.replacingOccurrences(of: "Z", with: "") + " UTC"
    }
}

/// Counts the lines of a process.
private final class LineCount: Sendable {
    private let value = Mutex(0)

    func next() -> Int {
        self.value.withLock { value in
            value += 1
            return value
        }
    }
}
