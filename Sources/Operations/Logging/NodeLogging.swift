internal import Foundation
package import Logging
internal import Synchronization

/// The logs of one process: makes loggers, and changes at run time from which level on they log.
///
/// ```swift
/// let logging = NodeLogging(specification: try LogSpecification("info:gossip=debug"), format: .standard(colors: false))
/// let logger = logging.logger("orderer.common.broadcast")
/// ```
///
/// A logger below the level at which any logger logs costs one relaxed atomic load. Others know their own threshold,
/// which ``activate(_:)`` rewrites.
package final class NodeLogging: Sendable {
    /// Where finished lines go, and what counts them.
    package typealias Output = @Sendable (_ line: String) -> Void

    /// What counts lines, each by its severity.
    package typealias Observer = @Sendable (LogSeverity) -> Void

    private struct State {
        var specification: LogSpecification
        var thresholds: [String: LogThreshold] = [:]
    }

    /// A type of its own: a function that is itself the value of a `Mutex` is wrapped once more at each access, and
    /// calling it takes longer each time.
    private struct Receivers {
        var output: Output
        var checked: Observer?
        var written: Observer?
    }

    private let state: Mutex<State>
    let format: LogFormat
    let sequence = Atomic(0)
    private let receivers: Mutex<Receivers>
    /// From which level on any logger at all logs.
    let least: LogThreshold

    /// - Parameters:
    ///   - specification: Which loggers log from which level on.
    ///   - format: How lines look.
    ///   - output: Takes whole lines, one call at a time; standard error when left out.
    package init(
        specification: LogSpecification,
        format: LogFormat,
        output: @escaping Output = NodeLogging.standardError
    ) {
        self.state = Mutex(State(specification: specification))
        self.least = LogThreshold(specification.leastLevel)
        self.format = format
        self.receivers = Mutex(Receivers(output: output))
    }

    /// The specification in force.
    package var specification: LogSpecification { self.state.withLock { $0.specification } }

    /// Puts another specification in force, for all loggers there are and will be.
    package func activate(_ specification: LogSpecification) {
        self.state.withLock { state in
            state.specification = specification
            self.least.set(specification.leastLevel)
            for (name, threshold) in state.thresholds { threshold.set(specification.level(of: name)) }
        }
    }

    /// Has lines reported, for the metrics of Fabric's names `logging_entries_checked` and `logging_entries_written`.
    ///
    /// - Parameters:
    ///   - checked: Gets what is held against the specification: all that some logger would log.
    ///   - written: Gets what is written.
    /// - Source: Fabric v3.1, package `flogging`, `Core`.
    package func observe(checked: @escaping Observer, written: @escaping Observer) {
        self.receivers.withLock {
            $0.checked = checked
            $0.written = written
        }
    }

    /// A logger with Fabric's name for a part of a node, such as `orderer.common.broadcast`.
    package func logger(_ name: String) -> Logger {
        Logger(label: name) { NodeLogHandler(logging: self, label: $0) }
    }

    func threshold(_ name: String) -> LogThreshold {
        self.state.withLock { state in
            if let known = state.thresholds[name] { return known }
            let threshold = LogThreshold(state.specification.level(of: name))
            state.thresholds[name] = threshold
            return threshold
        }
    }

    func write(_ record: LogRecord) {
        var record = record
        record.sequence = self.sequence.wrappingAdd(1, ordering: .relaxed).newValue
        let line = self.format.line(record)
        self.receivers.withLock { $0.output(line) }
        self.receivers.withLock { $0.written }?(record.severity)
    }

    func check(_ severity: LogSeverity) { self.receivers.withLock { $0.checked }?(severity) }

    /// Writes a line to standard error, whole.
    package static let standardError: Output = { line in
        var bytes = Array(line.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Foundation.write(2, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else { return }
            bytes = bytes.dropFirst(max(0, count))
        }
    }
}

/// From which level on the loggers of one name log.
final class LogThreshold: Sendable {
    private static let levels = Logger.Level.allCases
    /// The place of the level in ``levels``.
    private let level: Atomic<Int>

    init(_ severity: LogSeverity) { self.level = Atomic(Self.rank(severity.threshold)) }

    var current: Logger.Level {
        let rank = self.level.load(ordering: .relaxed)
        return Self.levels.indices.contains(rank) ? Self.levels[rank] : .info
    }

    func set(_ severity: LogSeverity) {
        self.level.store(Self.rank(severity.threshold), ordering: .relaxed)
    }

    private static func rank(_ level: Logger.Level) -> Int {
        Self.levels.firstIndex(of: level) ?? 0
    }
}

/// Logs for ``NodeLogging``.
struct NodeLogHandler: LogHandler {
    private let logging: NodeLogging
    private let label: String
    private let threshold: LogThreshold
    /// Set by code that wants its own level, whatever the specification says.
    private var override: Logger.Level?
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(logging: NodeLogging, label: String) {
        self.logging = logging
        self.label = label
        self.threshold = logging.threshold(label)
    }

    /// The level of the most talkative logger, so that what this one keeps to itself is counted.
    var logLevel: Logger.Level {
        get { self.override ?? self.logging.least.current }
        set { self.override = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let severity = LogSeverity(event.level)
        self.logging.check(severity)
        guard self.override != nil || event.level >= self.threshold.current else { return }
        var fields = self.metadata
        if let provider = self.metadataProvider { fields.merge(provider.get()) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        if let error = event.error { fields["error"] = "\(error)" }
        self.logging.write(
            LogRecord(
                time: Date(),
                severity: severity,
                logger: self.label,
                message: String(event.message.description.trimmingSuffix { $0 == "\n" }),
                fields: fields.map { ($0.key, Self.bounded($0.value.description)) }.sorted { $0.0 < $1.0 },
                file: event.file,
                line: event.line,
                function: event.function,
                sequence: 0
            )
        )
    }

    /// How long a value may be, in bytes: what strangers have us say, such as the names in their certificates, must not
    /// fill the disk.
    static let maximumValueBytes = 4_096

    private static func bounded(_ value: String) -> String {
        let count = value.utf8.count
        guard count > Self.maximumValueBytes else { return value }
        return String(decoding: value.utf8.prefix(Self.maximumValueBytes), as: UTF8.self)
            + "… (\(count) bytes)"
    }

    /// The same under another name.
    func named(_ name: String) -> Self {
        var copy = Self(logging: self.logging, label: name)
        copy.metadata = self.metadata
        copy.metadataProvider = self.metadataProvider
        return copy
    }
}

extension Logger {
    /// A logger for another part of the same node: Fabric's name for it, and levels of its own.
    ///
    /// Loggers that weren't made by ``NodeLogging`` keep what they have.
    package func named(_ name: String) -> Logger {
        guard let handler = self.handler as? NodeLogHandler else { return self }
        return Logger(label: name) { handler.named($0) }
    }
}

extension String {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> Substring {
        var rest = self[...]
        while let last = rest.last, predicate(last) { rest.removeLast() }
        return rest
    }
}
