package import Gossip
internal import Synchronization

/// The way of private data to and from other peers, which exists while the peer's gossip runs.
///
/// Endorser and commit are made before gossip is, so they ask here each time.
package final class PrivateDataLink: Sendable {
    private struct State {
        var exchange: (any PrivateDataExchange)?
        var options = GossipOptions()
    }

    private let state = Mutex(State())

    /// There is no way yet: what needs other peers fails, or is missing.
    package init() {}

    package func connect(_ exchange: any PrivateDataExchange, options: GossipOptions) {
        self.state.withLock { $0 = State(exchange: exchange, options: options) }
    }

    /// `nil` while the peer has no gossip.
    package var exchange: (any PrivateDataExchange)? { self.state.withLock { $0.exchange } }

    package var options: GossipOptions { self.state.withLock { $0.options } }
}
