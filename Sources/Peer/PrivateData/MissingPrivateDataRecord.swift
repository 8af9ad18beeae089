package import Channel
package import Foundation
package import Gossip
package import Ledger
internal import Synchronization

/// Where private data of a block belongs.
package struct PrivateDataKey: Hashable, Sendable {
    package var block: BlockNumber
    package var transaction: Int
    package var namespace: String
    package var collection: String

    package init(block: BlockNumber, _ missing: MissingPrivateData) {
        self.block = block
        self.transaction = missing.transaction
        self.namespace = missing.namespace
        self.collection = missing.collection
    }

    fileprivate var name: CollectionName {
        CollectionName(namespace: self.namespace, collection: self.collection)
    }
}

private struct CollectionName: Hashable {
    var namespace: String
    var collection: String
}

/// What a peer has tried to get the private data that it lacks, for its operator; kept in memory.
package final class MissingPrivateDataRecord: Sendable {
    /// The last time that something was asked for in vain.
    package struct Trial: Sendable {
        package var time: Date
        /// When it will be asked for again, at the earliest.
        package var next: Date
        package var attempts: [PulledPrivateData.Attempt]
        package var reason: String
    }

    private struct State {
        var trials: [PrivateDataKey: Trial] = [:]
        var unavailable = Set<CollectionName>()
    }

    private let state = Mutex(State())

    /// Of so many missing things it is known what was tried.
    static let capacity = 10_000

    init() {}

    /// What was tried last; `nil` if nothing was, since the peer started.
    package func trial(_ key: PrivateDataKey) -> Trial? { self.state.withLock { $0.trials[key] } }

    /// Notes that something was asked for in vain, and will be again after a pause.
    func failed(_ key: PrivateDataKey, _ result: PulledPrivateData, at time: Date, pause: Duration) {
        self.state.withLock { state in
            guard state.trials[key] != nil || state.trials.count < Self.capacity else { return }
            state.trials[key] = Trial(
                time: time,
                next: time + pause / .seconds(1),
                attempts: result.attempts,
                reason: result.reason
            )
        }
    }

    /// Notes that something came: its collection is worth waiting for again.
    func came(_ key: PrivateDataKey) {
        self.state.withLock { state in
            state.trials[key] = nil
            state.unavailable.remove(key.name)
        }
    }

    /// Notes that a block has waited in vain for something: the next ones do not wait for its collection.
    func gaveUp(_ key: PrivateDataKey) {
        self.state.withLock { state in
            guard state.unavailable.count < Self.capacity else { return }
            state.unavailable.insert(key.name)
        }
    }

    /// Whether a block should wait for something that nobody gave at once.
    func isWorthWaiting(_ key: PrivateDataKey) -> Bool {
        self.state.withLock { !$0.unavailable.contains(key.name) }
    }
}
