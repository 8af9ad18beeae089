import Consensus
package import Foundation

/// A script of Tests/Simulation/Scenarios/BFT: one command per line, `#` begins a comment.
///
/// `docs/operations/simulate.md` lists the commands.
package struct BFTScenario: Sendable {
    private let script: Scenario

    package var name: String { self.script.name }

    /// The scripts that come with the repository.
    package static let folder = Scenario.folder.appending(path: "BFT")

    package static func all() throws -> [BFTScenario] {
        try Scenario.all(in: self.folder).map { BFTScenario($0) }
    }

    package init(named name: String) throws {
        self.init(try Scenario(contentsOf: Self.folder.appending(path: "\(name).scenario")))
    }

    package init(name: String, text: String) { self.init(Scenario(name: name, text: text)) }

    private init(_ script: Scenario) { self.script = script }

    /// Plays the script, with `seed` for what it leaves open: delays, clocks, what liars choose.
    package func run(
        seed: UInt64,
        mutation: BFTMutation? = nil,
        trace: ((String) -> Void)? = nil
    ) -> RunReport {
        guard let first = self.script.lines.first, first.words.count >= 2, first.words[0] == "nodes",
            let voters = Int(first.words[1]), voters > 0,
            first.words.count == 2 || first.words[2] == "liars"
        else {
            return RunReport(
                seed: seed,
                violation: "\(self.name):1: a script begins with: nodes COUNT [liars N...]"
            )
        }
        let cluster = BFTCluster(
            seed: seed,
            voters: voters,
            liars: Set(first.words.dropFirst(3).compactMap { UInt64($0) }),
            mutation: mutation,
            trace: trace
        )
        for id in cluster.members { cluster.nodes[id]?.start() }
        if !cluster.adversary.liars.isEmpty { cluster.scheduleAdversary() }
        var player = BFTScenarioPlayer(cluster: cluster)
        for line in self.script.lines.dropFirst() where cluster.violation == nil {
            cluster.trace("> " + line.words.joined(separator: " "))
            let fault = player.play(line.words)
            if let fault, cluster.violation == nil {
                cluster.invariants.violated("\(self.name):\(line.number): \(fault)")
            }
        }
        return cluster.report
    }
}

/// Carries out the commands of a script.
private struct BFTScenarioPlayer {
    let cluster: BFTCluster
    /// The digest of a block that a node had a lock on.
    private var remembered: [UInt8]?

    init(cluster: BFTCluster) { self.cluster = cluster }

    /// Carries out one command; returns what is wrong with it, or with what came of it.
    mutating func play(_ words: [String]) -> String? {
        switch (words[0], words.count) {
        case ("run", 2):
            guard let time = Scenario.duration(words[1]) else { return "no duration: \(words[1])" }
            self.cluster.run(until: self.cluster.now + time)
        case ("submit", 2):
            guard let count = Int(words[1]) else { return "no number: \(words[1])" }
            for _ in 0..<count { self.cluster.submit(self.cluster.newEnvelope()) }
        case ("cut", 4): return self.cluster.network.cut(words)
        case ("split", _): return self.cluster.network.split(Array(words.dropFirst()))
        case ("lose", 2...): return self.lose(Array(words.dropFirst()))
        case ("mend", 1):
            self.cluster.network.mendAll()
            self.cluster.admits = { _ in true }
        case ("heal", 1):
            self.cluster.admits = { _ in true }
            self.cluster.healAndCheck()
        case ("expect", 2...): return self.expect(Array(words.dropFirst()))
        case ("await", 2...):
            let end = self.cluster.now + 60.seconds
            let wanted = Array(words.dropFirst())
            while !self.holds(wanted), self.cluster.now < end, self.cluster.violation == nil {
                self.cluster.run(until: self.cluster.now + 1.milliseconds)
            }
            return self.expect(wanted)
        default:
            guard let node = words.last.flatMap({ UInt64($0) }).flatMap({ self.cluster.nodes[$0] }) else {
                return "no such command, or node"
            }
            return self.play(words, node)
        }
        return nil
    }

    private mutating func play(_ words: [String], _ node: SimulatedBFTNode) -> String? {
        switch (words[0], words.count) {
        case ("crash", 2): node.crash()
        case ("start", 2): node.start()
        case ("pause", 2): node.pausedUntil = .max
        case ("resume", 2):
            node.pausedUntil = 0
            node.work()
        case ("remember", 3) where words[1] == "lock":
            guard let lock = node.engine?.details.lock else { return "node \(node.id) has no lock" }
            self.remembered = lock.digest
        default: return "no such command"
        }
        return nil
    }

    /// `lose commit`, `lose commit to 2 3`: messages of a kind are lost from now on, besides those of earlier commands.
    private func lose(_ words: [String]) -> String? {
        let kinds = [
            "proposal", "prepare", "commit", "timeout", "enter", "decision", "status", "want", "payload",
        ]
        guard kinds.contains(words[0]), words.count == 1 || words[1] == "to" else {
            return "lose one of \(kinds.joined(separator: ", ")), and perhaps: to N..."
        }
        let kind = words[0]
        let receivers = Set(words.dropFirst(2).compactMap { UInt64($0) })
        let others = self.cluster.admits
        self.cluster.admits = { message in
            others(message)
                && !(message.content.kind == kind && (receivers.isEmpty || receivers.contains(message.to)))
        }
        return nil
    }

    private func expect(_ words: [String]) -> String? {
        guard !self.holds(words) else { return nil }
        let states = self.cluster.members.compactMap { self.cluster.nodes[$0] }.map { node in
            "node \(node.id) " + (node.engine.map { "in view \($0.details.view)" } ?? "down")
                + " with \(node.tip.block.number) blocks"
        }
        return "expected \(words.joined(separator: " ")); \(states.joined(separator: ", "))"
    }

    /// `height N BLOCKS` and `view N VIEW` (at least), `locked N`, `no lock N`, `remembered N BLOCK`.
    private func holds(_ words: [String]) -> Bool {
        let numbers = words.compactMap { UInt64($0) }
        guard let node = numbers.first.flatMap({ self.cluster.nodes[$0] }) else { return false }
        switch (words[0], words.count) {
        case ("height", 3): return numbers.count == 2 && node.tip.block.number >= numbers[1]
        case ("view", 3): return numbers.count == 2 && (node.engine?.details.view ?? 0) >= numbers[1]
        case ("locked", 2): return node.engine?.details.lock != nil
        case ("remembered", 3):
            guard numbers.count == 2, let number = Int(exactly: numbers[1]),
                node.disk.ledger.indices.contains(number)
            else { return false }
            return BFTCluster.digest(node.disk.ledger[number].block.bytes) == self.remembered
        default: return false
        }
    }
}

extension BFTMessage.Content {
    /// What scripts call it.
    fileprivate var kind: String {
        switch self {
        case .proposal: "proposal"
        case .vote(let vote): vote.phase == .prepare ? "prepare" : "commit"
        case .timeout: "timeout"
        case .enter: "enter"
        case .decision: "decision"
        case .status: "status"
        case .want: "want"
        case .payload: "payload"
        }
    }
}
