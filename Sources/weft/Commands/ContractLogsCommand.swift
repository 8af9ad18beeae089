import ArgumentParser
import Foundation
import Peer
import WeftClient

/// `weft contract logs`: what contracts that peers on this machine have started print, and what they do.
struct ContractLogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract:
            "Show what a contract that peers of the network's folder started does, and what it printed.",
        discussion:
            "Reads the peers' data folders, so the peers need not run. Without a name: all such contracts. With --peer: that peer's only."
    )

    @Argument(help: "The contract's name, or the beginning of its package's label.")
    var name = ""

    @Option(help: ArgumentHelp("How many of the newest lines of each log are shown.", valueName: "count"))
    var lines = 50

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    /// How much of a log's end is read.
    private static let tail = 64 << 10

    private struct Entry {
        var peer: String
        var state: ContractState
        var lines: [String]
    }

    func validate() throws {
        guard (0...10_000).contains(self.lines) else {
            throw ValidationError("--lines takes a number from 0 to 10000")
        }
    }

    func run() async throws {
        let description = try NetworkDescription(folder: self.connection.network)
        let wanted = self.connection.peer
        let peers = description.peers.filter { wanted == nil || $0.name == wanted || $0.endpoint == wanted }
        if let wanted, peers.isEmpty {
            throw Failure(Self.elsewhere(wanted, description.folder, self.name, self.lines))
        }
        var entries: [Entry] = []
        for node in peers {
            let folder = description.path(node.folder) + "/data/contracts"
            let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
            for name in names where name.hasPrefix(self.name) {
                guard let state = Self.state("\(folder)/\(name)/state.json") else { continue }
                entries.append(Entry(peer: node.name, state: state, lines: self.tail(of: state.log)))
            }
        }
        guard !entries.isEmpty else {
            throw Failure(
                "\(wanted.map { "peer \($0)" } ?? "no peer") in \(description.folder) has\(wanted == nil ? "" : " not") started a contract \(self.name); services and built-in contracts log elsewhere"
            )
        }
        self.output.answer(
            .array(entries.map(Self.json)),
            entries.map(Self.text).joined(separator: "\n")
        )
    }

    /// What to do about a peer whose data folder is not at hand.
    static func elsewhere(_ peer: String, _ folder: String, _ name: String, _ lines: Int) -> String {
        """
        \(peer) is no peer of the network in \(folder), and peers hand the logs of contracts to nobody. On its machine, in its \
        data folder (data in peer.yaml, peer.fileSystemPath in core.yaml), run: tail -n \(lines) contracts/\(name)*/log
        """
    }

    private static func state(_ file: String) -> ContractState? {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        guard let bytes = FileManager.default.contents(atPath: file) else { return nil }
        return try? decoder.decode(ContractState.self, from: bytes)
    }

    private func tail(of file: String) -> [String] {
        guard let handle = FileHandle(forReadingAtPath: file) else { return [] }
        defer { try? handle.close() }
        let end = (try? handle.seekToEnd()) ?? 0
        try? handle.seek(toOffset: end > UInt64(Self.tail) ? end - UInt64(Self.tail) : 0)
        let bytes = (try? handle.read(upToCount: Self.tail)) ?? Data()
        let text = String(decoding: bytes, as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).suffix(self.lines).map(String.init)
    }

    private static func json(_ entry: Entry) -> JSONValue {
        .object([
            "peer": .string(entry.peer),
            "package": .string(entry.state.packageID),
            "type": .string(entry.state.type),
            "phase": .string(entry.state.phase.rawValue),
            "since": .string(entry.state.since.ISO8601Format()),
            "process": entry.state.process.map { .integer(Int64($0)) } ?? .null,
            "starts": .integer(Int64(entry.state.starts)),
            "lastEnd": entry.state.lastEnd.map { .string($0) } ?? .null,
            "lastError": entry.state.lastError.map { .string($0) } ?? .null,
            "log": .string(entry.state.log),
            "lines": .array(entry.lines.map { .string($0) }),
        ])
    }

    private static func text(_ entry: Entry) -> String {
        let state = entry.state
        let process = state.process.map { ", process \($0)" } ?? ""
        var lines = [
            "\(entry.peer): \(state.packageID) (\(state.type)) is \(state.phase.rawValue) since \(state.since.ISO8601Format())\(process)"
        ]
        if let end = state.lastEnd { lines.append("  last end: \(end)") }
        if let error = state.lastError { lines.append("  last error: \(error)") }
        lines.append("  log: \(state.log)")
        return (lines + entry.lines.map { "  | \(readable(Data($0.utf8)))" }).joined(separator: "\n")
    }
}
