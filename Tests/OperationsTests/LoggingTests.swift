import Foundation
import Logging
import Synchronization
import Testing

@testable import Operations

@Suite struct LogSpecificationTests {
    @Test(arguments: [
        ("", "info"), ("debug", "debug"), ("WARNING", "warn"), ("info:debug", "debug"),
        ("gossip=debug", "gossip=debug:info"),
        ("warn:gossip,ledger.state=debug:a.=error", "a.=error:gossip=debug:ledger.state=debug:warn"),
        ("notice", "info"), ("critical", "error"), ("dpanic", "dpanic"), ("info:", "info"),
        ("debug:", "info"),
    ])
    func `A specification is put in order`(text: String, ordered: String) throws {
        #expect(try LogSpecification(text).description == ordered)
        #expect(try LogSpecification(ordered).description == ordered)
    }

    @Test(arguments: [
        "loud", "=debug", "a=b=c", "a=", "a=loud", "a..b=info", ".a=info", "a b=info", "a,=info", "Info",
    ])
    func `What is no specification is refused with its segment`(text: String) throws {
        let error = #expect(throws: LogSpecification.Invalid.self) { try LogSpecification(text) }
        #expect(try #require(error).description.contains("invalid logging specification '\(text)'"))
    }

    @Test func `A logger inherits from the longest name above it`() throws {
        let specification = try LogSpecification("error:a=warn:a.b=debug:a.b.c.=info")
        #expect(specification.level(of: "a") == .warn)
        #expect(specification.level(of: "a.x") == .warn)
        #expect(specification.level(of: "ab") == .error)
        #expect(specification.level(of: "a.b") == .debug)
        #expect(specification.level(of: "a.b.c") == .info)
        #expect(specification.level(of: "a.b.c.d") == .debug)
        #expect(specification.level(of: "") == .error)
    }
}

/// Keeps lines.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { self.lines.withLock { $0 } }
    func add(_ line: String) { self.lines.withLock { $0.append(line) } }
}

/// Notes how deep the stack is where something is called.
private final class Depths: Sendable {
    private let addresses = Mutex<[String: Set<UInt>]>([:])

    func note(_ place: String) {
        var here = 0
        withUnsafePointer(to: &here) { pointer in
            self.addresses.withLock { _ = $0[place, default: []].insert(UInt(bitPattern: pointer)) }
        }
    }

    /// The difference between the deepest and the shallowest call, in bytes.
    func spread(_ place: String) -> UInt? {
        self.addresses.withLock { addresses in
            guard let seen = addresses[place], let low = seen.min(), let high = seen.max() else { return nil }
            return high - low
        }
    }
}

@Suite struct NodeLoggingTests {
    private func logging(_ specification: String, _ format: LogFormat) throws -> (NodeLogging, Lines) {
        let lines = Lines()
        let logging = NodeLogging(specification: try LogSpecification(specification), format: format) {
            lines.add($0)
        }
        return (logging, lines)
    }

    @Test func `The way of a line to its output and observers stays as short as it was at first`() throws {
        let depths = Depths()
        let logging = NodeLogging(
            specification: try LogSpecification("info"),
            format: .standard(colors: false)
        ) { _ in depths.note("output") }
        logging.observe { _ in
            depths.note("checked")
        } written: { _ in
            depths.note("written")
        }
        let logger = logging.logger("orderer")
        for _ in 0..<1000 { logger.info("a line") }
        for place in ["output", "checked", "written"] {
            #expect(depths.spread(place) == 0, "the stack of \(place) grows")
        }
    }

    @Test func `Lines have Fabric's layout, with fields behind the message`() throws {
        let (logging, lines) = try self.logging("info", .standard(colors: false))
        logging.logger("orderer.consensus.etcdraft").info(
            "Raft leader changed: 0 -> 1\n",
            metadata: ["node": "1", "channel": "emissions", "why": "it \"won\""]
        )
        let line = try #require(lines.all.first)
        #expect(
            line.wholeMatch(
                of:
                    /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ 0001 INFO \[orderer.consensus.etcdraft\] [^(]* -> Raft leader changed: 0 -> 1 channel=emissions node=1 why="it \\"won\\""\n/
            ) != nil,
            "\(line)"
        )
    }

    @Test func `A value that a stranger made long is cut`() throws {
        let (logging, lines) = try self.logging("info", try LogFormat("%{message}"))
        logging.logger("a").info(
            "refused",
            metadata: ["reason": "\(String(repeating: "ä", count: 1_000_000))"]
        )
        let line = try #require(lines.all.first)
        #expect(line.utf8.count < NodeLogHandler.maximumValueBytes + 100)
        #expect(line.contains("… (2000000 bytes)"))
    }

    @Test func `A line can't be forged with line breaks`() throws {
        let (logging, lines) = try self.logging("info", try LogFormat("%{message}"))
        logging.logger("a").info("refused", metadata: ["reason": "x\nPANI [a] forged"])
        #expect(lines.all == ["refused reason=\"x\\nPANI [a] forged\"\n"])
    }

    @Test func `JSON lines are JSON with zap's keys`() throws {
        let (logging, lines) = try self.logging("info", try LogFormat("json"))
        logging.logger("peer").warning("a \"b\"\u{1}", metadata: ["key": "value"])
        let object = try JSONSerialization.jsonObject(with: Data(try #require(lines.all.first).utf8))
        let fields = try #require(object as? [String: Any])
        #expect(fields["level"] as? String == "warn")
        #expect(fields["name"] as? String == "peer")
        #expect(fields["msg"] as? String == "a \"b\"\u{1}")
        #expect(fields["key"] as? String == "value")
        #expect((fields["caller"] as? String)?.hasPrefix("LoggingTests.swift:") == true)
        #expect(fields["ts"] is Double)
    }

    @Test(arguments: [
        ("%{module}|%{level}|%{message}", "a.b|INFO|hello\n"), ("%{level:.1s} %{message}", "I hello\n"),
        ("%{module:-6s}|%{module:6s}|%{message:q}", "a.b   |   a.b|\"hello\"\n"),
        ("%{id:04x}-%{id}", "0001-1\n"), ("%{nothing} %{message}", "%{nothing} hello\n"),
        ("%{color}%{message}%{color:reset}%{color:bold}", "\u{1B}[34mhello\u{1B}[0m\u{1B}[34;1m\n"),
        ("%{shortfunc} 100%", "verbs 100%\n"), ("%{open", "%{open\n"),
    ])
    func verbs(format: String, line: String) throws {
        let (logging, lines) = try self.logging("info", try LogFormat(format))
        logging.logger("a.b").info("hello")
        #expect(lines.all == [line])
    }

    @Test(arguments: ["%{color:pink}", "%{id:s}", "%{level:04x}", "%{message:.s}"])
    func `A directive that can't be followed is refused`(format: String) {
        #expect(throws: LogFormat.Invalid.self) { try LogFormat(format) }
    }

    @Test func `Times follow a Go layout`() {
        let time = Date(timeIntervalSince1970: 1_700_000_000.25)
        #expect(TimeLayout("05.000").format(time) == "20.250")
        #expect(TimeLayout("05.999999").format(time) == "20.25")
        #expect(TimeLayout("06-1-2").format(time).hasPrefix("23-11-1"))
        #expect(TimeLayout("x").format(time) == "x")
    }

    @Test func `Levels change while loggers are in use`() throws {
        let (logging, lines) = try self.logging("warn:b=debug", try LogFormat("%{message}"))
        let a = logging.logger("a")
        let b = a.named("b.c")
        a.info("1")
        b.debug("2")
        logging.activate(try LogSpecification("a=debug:error"))
        a.debug("3")
        b.warning("4")
        b.critical("5")
        #expect(lines.all == ["2\n", "3\n", "5\n"])
    }

    @Test func `What is checked and what is written is counted by level`() throws {
        let (logging, lines) = try self.logging("info:b=debug", try LogFormat("json"))
        let metrics = Metrics()
        logging.observe(
            checked: { metrics.counter(.logEntriesChecked, $0.name).increment() },
            written: { metrics.counter(.logEntriesWritten, $0.name).increment() }
        )
        logging.logger("a").info("1")
        // Held against the specification, since logger b would log it; logger a doesn't.
        logging.logger("a").debug("2")
        logging.logger("b").trace("3")
        #expect(lines.all.count == 1)
        let text = metrics.exposition()
        #expect(text.contains("logging_entries_written{level=\"info\"} 1\n"))
        #expect(!text.contains("logging_entries_written{level=\"debug\"}"))
        #expect(text.contains("logging_entries_checked{level=\"info\"} 1\n"))
        #expect(text.contains("logging_entries_checked{level=\"debug\"} 1\n"))
        #expect(!text.contains("payload"))
    }
}
