internal import Channel
internal import Foundation
internal import Synchronization

/// The creators of envelopes that satisfy the writers' policy of the configuration in force.
///
/// Whether an identity satisfies a policy follows from the configuration alone; whether it has expired, and whether it
/// signed, is asked for each envelope. So all that is remembered goes with the configuration.
///
/// - Source: Fabric v3.1, package `msp/cache`, which remembers the same for each principal.
final class KnownWriters: Sendable {
    /// How many are remembered before all are forgotten.
    private static let capacity = 4096

    /// As serialized identities differ least at their beginning, and most in the certificate's signature.
    private struct Creator: Hashable {
        var bytes: Data

        func hash(into hasher: inout Hasher) {
            hasher.combine(self.bytes.count)
            self.bytes.suffix(64).withUnsafeBytes { hasher.combine(bytes: $0) }
        }
    }

    private struct State {
        var configuration: ChannelConfiguration?
        var identities: [Creator: Identity] = [:]
    }

    private let state = Mutex(State())

    /// The identity of a creator that is known to satisfy the policy under `configuration`.
    func identity(_ creator: Data, under configuration: ChannelConfiguration) -> Identity? {
        self.state.withLock { state in
            state.configuration === configuration ? state.identities[Creator(bytes: creator)] : nil
        }
    }

    /// Remembers an identity, which was found to satisfy the policy under `configuration`.
    func add(_ identity: Identity, under configuration: ChannelConfiguration) {
        self.state.withLock { state in
            if state.configuration !== configuration || state.identities.count >= Self.capacity {
                state = State(configuration: configuration)
            }
            state.identities[Creator(bytes: identity.serialized)] = identity
        }
    }
}
