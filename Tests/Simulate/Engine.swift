import ArgumentParser
import ChainSimulation
import GossipSimulation
import Simulation

/// What is run: clusters of one of the consensus engines, ordering services of the real chains above it, or networks of
/// peers that gossip.
enum Engine: String, CaseIterable, ExpressibleByArgument {
    case raft
    case bft
    case chain
    case bftChain = "bft-chain"
    case gossip

    /// Totals are told after so many seeds.
    var interval: Int {
        switch self {
        case .raft, .bft: 1_000
        case .chain, .bftChain, .gossip: 20
        }
    }

    /// How many seeds are tried for each fault that is put in on purpose.
    var seedsPerMutation: Int {
        switch self {
        case .raft, .bft: 1_000
        case .chain, .bftChain, .gossip: 100
        }
    }

    func run(mutation name: String?) throws -> Campaign.Run {
        switch self {
        case .raft:
            let mutation = try name.map { try Self.find($0, of: Mutation.self) }
            return { Cluster.random(seed: $0, mutation: mutation, trace: $1) }
        case .bft:
            let mutation = try name.map { try Self.find($0, of: BFTMutation.self) }
            return { BFTCluster.random(seed: $0, mutation: mutation, trace: $1) }
        case .chain, .bftChain:
            let mutation = try name.map { try Self.find($0, of: ChainMutation.self) }
            let isBFT = self == .bftChain
            return { ChainCluster.random(seed: $0, isBFT: isBFT, mutation: mutation, trace: $1) }
        case .gossip:
            let mutation = try name.map { try Self.find($0, of: GossipMutation.self) }
            return { seed, trace in
                // One network in eight is large.
                GossipRun.random(
                    seed: seed,
                    mutation: mutation,
                    largest: seed % 8 == 0 ? 50 : 14,
                    trace: trace
                )
            }
        }
    }

    /// The corner cases of this engine; `all`, or one by its name.
    func scenarios(_ name: String, mutation: String?) throws -> [(name: String, run: Campaign.Run)] {
        switch self {
        case .raft:
            let mutation = try mutation.map { try Self.find($0, of: Mutation.self) }
            let scenarios = name == "all" ? try Scenario.all() : [try Scenario(named: name)]
            return scenarios.map { scenario in
                (scenario.name, { scenario.run(seed: $0, mutation: mutation, trace: $1) })
            }
        case .bft:
            let mutation = try mutation.map { try Self.find($0, of: BFTMutation.self) }
            let hidden = "hidden-decision"
            let scripts =
                name == "all" ? try BFTScenario.all() : name == hidden ? [] : [try BFTScenario(named: name)]
            var scenarios: [(name: String, run: Campaign.Run)] = scripts.map { scenario in
                (scenario.name, { scenario.run(seed: $0, mutation: mutation, trace: $1) })
            }
            if name == "all" || name == hidden {
                scenarios.append(
                    (hidden, { BFTCluster.hiddenDecision(seed: $0, mutation: mutation, trace: $1) })
                )
            }
            return scenarios
        case .chain, .bftChain, .gossip: return []
        }
    }

    /// The faults that can be put in on purpose.
    var mutations: String {
        let names =
            switch self {
            case .raft: Mutation.allCases.map(\.rawValue)
            case .bft: BFTMutation.allCases.map(\.rawValue)
            case .chain, .bftChain: ChainMutation.all(isBFT: self == .bftChain).map(\.rawValue)
            case .gossip: GossipMutation.allCases.map(\.rawValue)
            }
        return "with \(self.rawValue) \(names.joined(separator: ", "))"
    }

    /// Tries each of them, one after the other.
    func detections(seeds: Int) -> any Sequence<(text: String, isCaught: Bool)> {
        switch self {
        case .raft:
            Mutation.allCases.lazy.map { mutation in
                let detection = Detection(of: mutation, seeds: seeds)
                return ("\(detection)", detection.isCaught)
            }
        case .bft:
            BFTMutation.allCases.lazy.map { mutation in
                let detection = BFTDetection(of: mutation, seeds: seeds)
                return ("\(detection)", detection.isCaught)
            }
        case .chain, .bftChain:
            ChainMutation.all(isBFT: self == .bftChain).lazy.map { mutation in
                let detection = ChainDetection(of: mutation, isBFT: self == .bftChain, seeds: seeds)
                return ("\(detection)", detection.isCaught)
            }
        case .gossip:
            GossipMutation.allCases.lazy.map { mutation in
                let detection = GossipDetection(of: mutation, seeds: seeds)
                return ("\(detection)", detection.isCaught)
            }
        }
    }

    static func find<Found: RawRepresentable<String> & CaseIterable>(
        _ name: String,
        of type: Found.Type
    ) throws -> Found {
        guard let found = Found(rawValue: name) else {
            let names = Found.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("this engine has no mutation \(name): choose one of \(names)")
        }
        return found
    }
}
