import Consensus
package import Foundation

/// A script of Tests/Simulation/Scenarios: one command per line, `#` begins a comment.
///
/// `docs/operations/simulate.md` lists the commands.
package struct Scenario: Sendable {
    package struct Line: Sendable {
        package var number: Int
        package var words: [String]
    }

    package var name: String
    package var lines: [Line]

    /// The scripts that come with the repository.
    package static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "Scenarios"
    )

    package static func all() throws -> [Scenario] { try self.all(in: self.folder) }

    static func all(in folder: URL) throws -> [Scenario] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "scenario" }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .map { try Scenario(contentsOf: $0) }
    }

    package init(named name: String) throws {
        try self.init(contentsOf: Self.folder.appending(path: "\(name).scenario"))
    }

    package init(contentsOf file: URL) throws {
        let text = try String(contentsOf: file, encoding: .utf8)
        self.init(name: file.deletingPathExtension().lastPathComponent, text: text)
    }

    package init(name: String, text: String) {
        self.name = name
        self.lines = text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .compactMap { offset, line in
                let code = line.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)[0]
                let words = code.split(separator: " ").map(String.init)
                return words.isEmpty ? nil : Line(number: offset + 1, words: words)
            }
    }

    /// Plays the script, with `seed` for what it leaves open: delays, clocks, and how the nodes drive their disks.
    package func run(
        seed: UInt64,
        mutation: Mutation? = nil,
        trace: ((String) -> Void)? = nil
    ) -> RunReport {
        guard let first = self.lines.first, first.words.count == 2, first.words[0] == "nodes",
            let voters = Int(first.words[1]), voters > 0
        else {
            return RunReport(seed: seed, violation: "\(self.name):1: a script begins with: nodes COUNT")
        }
        let cluster = Cluster(seed: seed, voters: voters, mutation: mutation, trace: trace)
        cluster.startAll()
        for line in self.lines.dropFirst() where cluster.violation == nil {
            cluster.trace("> " + line.words.joined(separator: " "))
            let fault = cluster.play(line.words)
            if let fault, cluster.violation == nil {
                cluster.invariants.violated("\(self.name):\(line.number): \(fault)")
            }
        }
        return cluster.report
    }
}

extension Scenario {
    /// `300ms` or `2s`.
    static func duration(_ text: String) -> Moment? {
        if text.hasSuffix("ms") { return Int(text.dropLast(2))?.milliseconds }
        return text.hasSuffix("s") ? Int(text.dropLast())?.seconds : nil
    }
}

extension SimulatedNetwork {
    /// `cut A > B`, `cut A <> B`; returns what is wrong with the command.
    mutating func cut(_ words: [String]) -> String? {
        guard let one = UInt64(words[1]), let other = UInt64(words[3]) else { return "no nodes" }
        guard words[2] == ">" || words[2] == "<>" else { return "> or <> between the nodes" }
        self.cut(one, to: other)
        if words[2] == "<>" { self.cut(other, to: one) }
        return nil
    }

    /// `split 1 2 | 3 4 5`: what was cut before is mended first.
    mutating func split(_ words: [String]) -> String? {
        let groups = words.split(separator: "|").map { $0.compactMap { UInt64($0) } }
        self.mendAll()
        for (offset, group) in groups.enumerated() {
            for here in group {
                for (other, there) in groups.enumerated() where other != offset {
                    for node in there { self.cut(here, to: node) }
                }
            }
        }
        return nil
    }
}

extension Cluster {
    /// Carries out one command; returns what is wrong with it, or with what came of it.
    func play(_ words: [String]) -> String? {
        let node = words.count > 1 ? UInt64(words[1]) : nil
        switch (words[0], words.count) {
        case ("run", 2):
            guard let time = Scenario.duration(words[1]) else { return "no duration: \(words[1])" }
            self.run(until: self.now + time)
        case ("cut", 4): return self.network.cut(words)
        case ("split", _): return self.network.split(Array(words.dropFirst()))
        case ("mend", 1): self.network.mendAll()
        case ("heal", 1): self.healAndCheck()
        case ("remember", 2) where words[1] == "term": self.remembered = self.highestTerm
        case ("expect", _): return self.expect(Array(words.dropFirst()))
        case ("await", _): return self.await(Array(words.dropFirst()))
        default:
            guard let node, let target = self.nodes[node] else { return "no such command, or node" }
            return self.play(words, target)
        }
        return nil
    }

    private func play(_ words: [String], _ node: SimulatedNode) -> String? {
        switch (words[0], words.count) {
        case ("elect", 2): return self.elect(node)
        case ("campaign", 2): node.give(.command(.campaign))
        case ("crash", 2): node.crash()
        case ("start", 2): node.start()
        case ("pause", 2): node.pausedUntil = .max
        case ("resume", 2):
            node.pausedUntil = 0
            node.work()
        case ("lose", 3) where words[2] == "log":
            // The consensus store is gone; the blocks were pulled again.
            node.disk = SimulatedDisk(.joining, ledger: node.disk.ledger)
        case ("disk", 3):
            guard let latency = Scenario.duration(words[2]) else { return "no duration: \(words[2])" }
            node.diskLatency = latency
        case ("limit", 3):
            guard let bytes = Int(words[2]) else { return "no number: \(words[2])" }
            node.maxMessageBytes = bytes
        case ("submit", 3):
            guard let count = Int(words[2]) else { return "no number: \(words[2])" }
            for _ in 0..<count {
                self.nextEnvelope += 1
                node.take(self.nextEnvelope)
            }
        case ("transfer", 3):
            guard let other = UInt64(words[2]) else { return "no node: \(words[2])" }
            node.give(.command(.transferLeadership(to: other)))
        case ("add", 3):
            guard let other = UInt64(words[2]) else { return "no node: \(words[2])" }
            node.take(.add(other))
        case ("remove", 3):
            guard let other = UInt64(words[2]) else { return "no node: \(words[2])" }
            node.take(.remove(other))
        default: return "no such command"
        }
        return nil
    }

    /// Campaigns, or is handed leadership, until the node leads; stops at the moment when it does.
    private func elect(_ node: SimulatedNode) -> String? {
        let end = self.now + 30.seconds
        while !node.isLeader, self.now < end, self.violation == nil {
            // Nobody votes for another while a leader is heard.
            if let leader = self.members.first(where: { self.nodes[$0]?.isLeader == true }) {
                self.nodes[leader]?.give(.command(.transferLeadership(to: node.id)))
            } else {
                node.give(.command(.campaign))
            }
            self.run(until: self.now + 300.milliseconds) { !node.isLeader }
        }
        return node.isLeader ? nil : "node \(node.id) was not elected"
    }

    private var highestTerm: Term {
        self.members.compactMap { self.nodes[$0]?.term }.max() ?? 0
    }

    private func expect(_ words: [String]) -> String? {
        self.holds(words) ? nil : "expected \(words.joined(separator: " ")); \(self.state)"
    }

    private func await(_ words: [String]) -> String? {
        self.run(until: self.now + 30.seconds) { !self.holds(words) }
        return self.expect(words)
    }

    /// `leader`, `leader N`, `no leader`, `height N H` and `last N INDEX` (at least), `same term`, `halted N`.
    private func holds(_ words: [String]) -> Bool {
        let leaders = self.members.filter { self.nodes[$0]?.isLeader == true }
        switch words.count {
        case 1 where words[0] == "leader": return !leaders.isEmpty
        case 2 where words == ["no", "leader"]: return leaders.isEmpty
        case 2 where words == ["same", "term"]: return self.remembered == self.highestTerm
        case 2 where words[0] == "leader": return UInt64(words[1]).map { leaders.contains($0) } ?? false
        case 2 where words[0] == "halted":
            return UInt64(words[1]).flatMap { self.nodes[$0]?.isHalted } ?? false
        case 3 where words[0] == "height":
            guard let id = UInt64(words[1]), let height = UInt64(words[2]) else { return false }
            return self.nodes[id].map { $0.height >= height } ?? false
        case 3 where words[0] == "last":
            guard let id = UInt64(words[1]), let index = UInt64(words[2]) else { return false }
            return self.nodes[id].map { $0.disk.log.lastIndex >= index } ?? false
        default: return false
        }
    }

    private var state: String {
        self.members.compactMap { self.nodes[$0] }.map { node in
            "node \(node.id) \(node.isUp ? node.isLeader ? "leads" : "follows" : "is down") "
                + "in term \(node.term) at height \(node.height)"
        }.joined(separator: ", ")
    }
}
