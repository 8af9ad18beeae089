import ArgumentParser
import ChainSimulation
import Simulation

/// Runs ordering services of the real chains under virtual time, network and disk.
@main
struct SimulateChains: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scripts/simulate --engine chain",
        abstract: "Runs ordering services of the real chains under virtual time, network and disk.",
        discussion: """
            Channels, consenters, block writers and followers above the Raft engine, with clients and peers; with --bft \
            above the BFT engine, where some consenters lie. Each seed runs for 60 virtual seconds under load and \
            faults; then all faults end and it must heal. The first breach of an invariant ends the run with exit code \
            1 and the seed, which --seed replays step by step.
            """
    )

    @Flag(help: "Runs BFT chains; the same as --engine bft-chain.")
    var bft = false

    @Option(help: "How many seeds to run; without it, until stopped.")
    var seeds: Int?

    @Option(help: "Runs only this seed, and tells what happens.")
    var seed: UInt64?

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(
        help:
            "Puts a fault into every node on purpose: \(ChainMutation.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var mutation: String?

    @Flag(help: "Tries each such fault, and shows at which seed it is caught.")
    var mutations = false

    func run() throws {
        let mutation = try self.mutation.map { name in
            guard let mutation = ChainMutation(rawValue: name) else {
                let names = ChainMutation.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("there is no mutation \(name): choose one of \(names)")
            }
            return mutation
        }
        if let seed {
            let report = ChainCluster.random(seed: seed, isBFT: self.bft, mutation: mutation) { say($0) }
            say(report.summary)
            if report.violation != nil { throw ExitCode(1) }
            return
        }
        if self.mutations {
            var missed = false
            for mutation in ChainMutation.all(isBFT: self.bft) {
                let detection = ChainDetection(of: mutation, isBFT: self.bft, seeds: self.seeds ?? 100)
                say("\(detection)")
                missed = missed || !detection.isCaught
            }
            if missed { throw ExitCode(1) }
            return
        }
        let isBFT = self.bft
        let campaign = Campaign(seeds: self.seeds, first: self.first, telling: 20) {
            ChainCluster.random(seed: $0, isBFT: isBFT, mutation: mutation, trace: $1)
        }
        if let violation = campaign.violation {
            say("replay: scripts/simulate --engine \(isBFT ? "bft-chain" : "chain") --seed \(violation.seed)")
            throw ExitCode(1)
        }
    }
}
