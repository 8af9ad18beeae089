import ArgumentParser
import Simulation

/// A consensus engine whose clusters are run.
enum Engine: String, CaseIterable, ExpressibleByArgument {
    case raft
    case bft

    func run(mutation name: String?) throws -> Campaign.Run {
        switch self {
        case .raft:
            let mutation = try name.map { try Self.find($0, of: Mutation.self) }
            return { Cluster.random(seed: $0, mutation: mutation, trace: $1) }
        case .bft:
            let mutation = try name.map { try Self.find($0, of: BFTMutation.self) }
            return { BFTCluster.random(seed: $0, mutation: mutation, trace: $1) }
        }
    }

    /// Plays the one BFT corner case.
    func playHiddenDecision(seed: UInt64, mutation name: String?) throws -> RunReport {
        let mutation = try name.map { try Self.find($0, of: BFTMutation.self) }
        return BFTCluster.hiddenDecision(seed: seed, mutation: mutation) { say($0) }
    }

    /// The faults that can be put in on purpose.
    var mutations: String {
        let names =
            switch self {
            case .raft: Mutation.allCases.map(\.rawValue)
            case .bft: BFTMutation.allCases.map(\.rawValue)
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
