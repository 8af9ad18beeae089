package import Logging

/// A logging level as Fabric knows them, from talkative to mute.
///
/// - Source: Fabric v3.1, package `flogging`, names of levels; zap's for how they are written.
package enum LogSeverity: Int, Sendable, Comparable {
    case payload, debug, info, warn, error, dpanic, panic, fatal

    /// - Returns: `nil` when there is no such level; `notice` is `info` and `critical` is `error`, as in Fabric.
    package init?(_ name: String) {
        switch name {
        case "payload", "PAYLOAD": self = .payload
        case "debug", "DEBUG": self = .debug
        case "info", "INFO", "notice", "NOTICE": self = .info
        case "warning", "WARNING", "warn", "WARN": self = .warn
        case "error", "ERROR", "critical", "CRITICAL": self = .error
        case "dpanic", "DPANIC": self = .dpanic
        case "panic", "PANIC": self = .panic
        case "fatal", "FATAL": self = .fatal
        default: return nil
        }
    }

    /// The severity of what swift-log logs: `critical`, which says that a node or channel stops, is `fatal`.
    package init(_ level: Logger.Level) {
        self =
            switch level {
            case .trace: .payload
            case .debug: .debug
            case .info, .notice: .info
            case .warning: .warn
            case .error: .error
            case .critical: .fatal
            }
    }

    package var name: String { "\(self)" }

    /// The least level of swift-log that this lets through.
    package var threshold: Logger.Level {
        switch self {
        case .payload: .trace
        case .debug: .debug
        case .info: .info
        case .warn: .warning
        case .error: .error
        case .dpanic, .panic, .fatal: .critical
        }
    }

    package static func < (one: Self, other: Self) -> Bool { one.rawValue < other.rawValue }
}
