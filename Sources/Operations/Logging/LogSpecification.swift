/// Which loggers log from which level on, in Fabric's notation: `info:gossip=debug,ledger.state=warn`.
///
/// A level stands for a logger and those below it, their names joined by full stops. A name with a full stop at its
/// end stands for that one logger only. A field without a name is the level of all others; the last one counts.
///
/// - Source: Fabric v3.1, package `flogging`, `LoggerLevels`.
package struct LogSpecification: Sendable, Equatable, CustomStringConvertible {
    /// A specification that isn't one.
    package struct Invalid: Error, Equatable, CustomStringConvertible {
        package var description: String
    }

    private var levels: [String: LogSeverity] = [:]
    private var others: LogSeverity = .info

    /// Everything from `info` on.
    package init() {}

    /// Reads Fabric's notation; an empty text is `info`.
    ///
    /// - Throws: ``Invalid``, naming the segment at fault.
    package init(_ text: String) throws(Invalid) {
        for field in text.split(separator: ":", omittingEmptySubsequences: false) {
            let parts = field.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            func invalid(_ problem: String) -> Invalid {
                Invalid(description: "invalid logging specification '\(text)': \(problem)")
            }
            guard parts.count <= 2 else { throw invalid("bad segment '\(field)'") }
            guard let last = parts.last,
                let level = last.isEmpty && parts.count == 1 ? .info : LogSeverity(last)
            else { throw invalid("bad segment '\(field)'") }
            guard parts.count == 2, let names = parts.first else {
                self.others = level
                continue
            }
            guard !names.isEmpty else { throw invalid("no logger specified in segment '\(field)'") }
            for name in names.split(separator: ",", omittingEmptySubsequences: false) {
                let bare = name.hasSuffix(".") ? name.dropLast() : name
                guard Self.isLoggerName(bare) else { throw invalid("bad logger name '\(name)'") }
                self.levels[String(name)] = level
            }
        }
    }

    /// From which level on a logger logs.
    package func level(of logger: String) -> LogSeverity {
        if let level = self.levels[logger + "."] { return level }
        var name = logger[...]
        while true {
            if let level = self.levels[String(name)] { return level }
            guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return self.others }
            name = name[..<dot]
        }
    }

    /// From which level on any logger at all logs.
    var leastLevel: LogSeverity { min(self.others, self.levels.values.min() ?? self.others) }

    /// The specification in order: loggers by name, and the level of all others last.
    package var description: String {
        (self.levels.map { "\($0.key)=\($0.value.name)" }.sorted() + [self.others.name]).joined(
            separator: ":"
        )
    }

    private static func isLoggerName(_ name: Substring) -> Bool {
        name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty
                && part.utf8.allSatisfy {
                    switch $0 {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "#"),
                        UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
    }
}
