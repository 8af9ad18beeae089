import ArgumentParser
import GossipSimulation
import Simulation

/// Runs clusters of orderers, or networks of peers, under virtual time, network and disk.
@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scripts/simulate",
        abstract: "Runs clusters of orderers, or networks of peers, under virtual time, network and disk.",
        discussion: """
            With --engine raft and bft those of the real consensus engine alone; with chain and bft-chain whole \
            ordering services of the real chains above it. Each seed is a cluster that runs for 60 virtual seconds under load while nodes crash, disks lose what \
            was not synced, the network loses, delays, reorders, repeats and cuts off, clocks go wrong and members \
            change; then all faults end and it must heal. The first breach of an invariant ends the run with \
            exit code 1 and the seed, which --seed replays step by step. With --engine gossip a seed is a network of \
            peers, some of which lie.
            """
    )

    @Option(help: "How many seeds to run; without it, until stopped.")
    var seeds: Int?

    @Option(help: "Runs only this seed, and tells what happens.")
    var seed: UInt64?

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(
        help:
            "Runs a scenario of Tests/Simulation/Scenarios, by its name, and tells what happens; \"all\" runs all."
    )
    var scenario: String?

    @Option(help: "What is run: \(Engine.allCases.map(\.rawValue).joined(separator: ", ")).")
    var engine = Engine.raft

    @Option(
        help:
            "Puts a fault into every node on purpose: \(Engine.allCases.map(\.mutations).joined(separator: "; "))."
    )
    var mutation: String?

    @Flag(help: "Tries each such fault, and shows at which seed it is caught.")
    var mutations = false

    @Flag(
        help:
            "Has each node die after each of its effects in a short life of a cluster, with --seeds variants."
    )
    var everyCrash = false

    @Flag(
        help:
            "With --engine gossip: prints what gossip costs a peer in networks of 5 to 500 peers, as a table."
    )
    var cost = false

    func validate() throws {
        if self.cost, self.engine != .gossip {
            throw ValidationError("--cost is there for --engine gossip only")
        }
        if self.everyCrash, self.engine != .raft {
            throw ValidationError("--every-crash is there for --engine raft only")
        }
        if self.scenario != nil, ![.raft, .bft].contains(self.engine) {
            throw ValidationError("scenarios are there for --engine raft and bft only")
        }
    }

    func run() throws {
        if self.cost {
            say(GossipCost.heading)
            for size in GossipCost.sizes { say(try GossipCost(peers: size).row) }
            return
        }
        let run = try self.engine.run(mutation: self.mutation)
        if let seed {
            let report = run(seed) { say($0) }
            say(report.summary)
            if report.violation != nil { throw ExitCode(1) }
            return
        }
        if let scenario { return try self.play(scenario) }
        if self.everyCrash { return try self.crashEverywhere() }
        if self.mutations { return try self.tryMutations() }
        let interval = self.engine.interval
        let campaign = Campaign(seeds: self.seeds, first: self.first, telling: interval, run)
        if let violation = campaign.violation {
            say("replay: scripts/simulate --engine \(self.engine.rawValue) --seed \(violation.seed)")
            throw ExitCode(1)
        }
    }

    /// One seed tells what happens; many try other delays, clocks and disks.
    private func play(_ name: String) throws {
        let scenarios = try self.engine.scenarios(name, mutation: self.mutation)
        let seeds = UInt64(self.seeds ?? 1)
        for scenario in scenarios {
            for seed in self.first..<(self.first + seeds) {
                let tells = seeds == 1 && scenarios.count == 1
                let report = scenario.run(seed, tells ? { say($0) } : nil)
                guard report.violation == nil else {
                    say("\(scenario.name): \(report.summary)")
                    throw ExitCode(1)
                }
            }
            say("\(scenario.name): \(seeds) seeds, nothing violated")
        }
    }

    private func crashEverywhere() throws {
        var totals = Totals()
        let mutation = try self.mutation.map { try Engine.find($0, of: Mutation.self) }
        for seed in self.first..<(self.first + UInt64(self.seeds ?? 3)) {
            for node in UInt64(1)...3 {
                var effects = 0
                while let report = Cluster.crashing(
                    node: node,
                    afterEffects: effects,
                    seed: seed,
                    mutation: mutation
                ) {
                    totals.add(report)
                    if let violation = report.violation {
                        say(
                            "violated: node \(node) dies after \(effects) effects, seed \(seed): \(violation)"
                        )
                        throw ExitCode(1)
                    }
                    effects += 1
                }
            }
        }
        say("\(totals.seeds) lives with one crash each, nothing violated")
    }

    /// Shows at which seed each fault that is put in on purpose is caught.
    private func tryMutations() throws {
        var missed = false
        for detection in self.engine.detections(seeds: self.seeds ?? self.engine.seedsPerMutation) {
            say(detection.text)
            missed = missed || !detection.isCaught
        }
        if missed { throw ExitCode(1) }
    }
}
