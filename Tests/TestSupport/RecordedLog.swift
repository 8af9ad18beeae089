package import Logging
internal import Synchronization

/// What was written to a log.
package final class RecordedLog: Sendable {
    private let recorded = Mutex<[String]>([])

    package init() {}

    /// Each entry's message and metadata, in order.
    package var lines: [String] { self.recorded.withLock(\.self) }

    package var text: String { self.lines.joined(separator: "\n") }

    package var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(log: self) }
        logger.logLevel = .info
        return logger
    }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let metadata = self.metadata.merging(event.metadata ?? [:]) { $1 }
            let line = "\(event.level) \(event.message) \(metadata)"
            self.log.recorded.withLock { $0.append(line) }
        }
    }
}
