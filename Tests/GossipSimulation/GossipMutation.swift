package import Simulation

/// A fault that is put into every peer on purpose, to see that the simulator finds it.
///
/// Each is made where the engine meets what is simulated, so that the product holds no switch for it; a wrong rule inside
/// the engine is imitated by the messages and effects that it would lead to.
package enum GossipMutation: String, CaseIterable, Sendable {
    /// Addresses that are for the own organization only are sent to others.
    case tellSecrets
    /// Signatures of alive messages and the like are not looked at.
    case trustSignatures
    /// Old alive messages count as new ones.
    case reviveStale
    /// Nobody is ever taken for dead.
    case neverExpire
    /// Revocations in a channel's configuration are not looked at.
    case keepRevoked
    /// Private data is pushed to peers of any organization.
    case pushToAnybody
    /// Whoever asks for private data is given it.
    case answerAnybody
    /// Blocks of other peers are committed as they come.
    case trustBlocks

    /// A part of what the simulator must say of it.
    var breach: String {
        switch self {
        case .tellSecrets: "was told the inner address"
        case .trustSignatures: "believes that peer"
        case .reviveStale, .neverExpire: "still sees"
        case .keepRevoked: "knows to be revoked"
        case .pushToAnybody, .answerAnybody: "private data of"
        case .trustBlocks: "that the orderer never made"
        }
    }
}

/// Where a fault that was put into gossip on purpose is caught.
package struct GossipDetection: CustomStringConvertible {
    package var mutation: GossipMutation
    package private(set) var seed: UInt64 = 0
    package private(set) var violation: String?

    /// Whether it was, and by what it leads to.
    package var isCaught: Bool { self.violation?.contains(self.mutation.breach) ?? false }

    /// Tries seeds from 1 on, with faults for `load`.
    package init(of mutation: GossipMutation, seeds: Int, load: Moment = 150.seconds) {
        self.mutation = mutation
        for seed in 1...UInt64(max(1, seeds)) {
            self.seed = seed
            self.violation = GossipRun.random(seed: seed, mutation: mutation, load: load).violation
            if self.violation != nil { return }
        }
    }

    package var description: String {
        "\(self.mutation.rawValue): "
            + (self.violation.map {
                "\(self.isCaught ? "caught" : "something else") at seed \(self.seed): \($0)"
            }
                ?? "not caught up to seed \(self.seed)")
    }
}
