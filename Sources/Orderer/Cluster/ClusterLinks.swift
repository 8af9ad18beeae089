internal import Consensus
internal import FabricProtos
internal import Synchronization

/// The ways from a channel's consenter to the others.
protocol ConsenterLinks: Sendable {
    /// Connects to these consenters but `own`, and to no others; what did not change stays connected.
    func configure(_ membership: ClusterMembership, own: NodeID)

    /// Sends a message of Raft; `false` if it is lost.
    func send(_ request: Orderer_ConsensusRequest, to node: NodeID) -> Bool

    /// Sends an envelope to be ordered; `false` if it can't be taken now.
    func send(_ request: Orderer_SubmitRequest, to node: NodeID) -> Bool

    /// Asks the process of a consenter whether it is there, whatever it has to say; ``OrderingChannel/silent(_:)`` is
    /// called if it answers nothing for `patience`.
    func ask(_ node: NodeID, patience: Duration)
}

/// Streams of Raft's consenters.
typealias ClusterLinks = StepLinks<Orderer_StepRequest>

/// The streams of one channel to its other consenters: one for consensus and one for envelopes each, so that neither
/// delays the other.
///
/// Source: Fabric v3.1, package `orderer/common/cluster`.
final class StepLinks<Request: StepMessage>: Sendable {
    /// Which of the two streams to a consenter.
    enum Lane: Sendable { case consensus, submits }

    private struct Link {
        var consensus: StepStream<Request>
        var submits: StepStream<Request>
    }

    private struct State {
        var membership: ClusterMembership?
        var links: [NodeID: Link] = [:]
    }

    private let network: any ClusterNetwork
    private let capacity: Int
    private let submitCapacity: Int
    private let metrics: LinkMetrics?
    /// Called with a consenter to which messages were lost.
    private let lost: @Sendable (NodeID, Bool) -> Void
    /// Called with a consenter whose process didn't answer.
    private let silent: @Sendable (NodeID) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - network: opens the streams.
    ///   - capacity: consensus messages that wait for one consenter; further ones are dropped.
    ///   - submitCapacity: envelopes that wait for one consenter; further ones are not taken.
    ///   - metrics: what the streams count with.
    ///   - lost: called when a stream failed, with the consenter and whether it was the one for envelopes.
    ///   - silent: called when a consenter's process didn't answer a question.
    init(
        network: any ClusterNetwork,
        capacity: Int,
        submitCapacity: Int,
        metrics: LinkMetrics? = nil,
        lost: @escaping @Sendable (_ node: NodeID, _ isSubmits: Bool) -> Void,
        silent: @escaping @Sendable (_ node: NodeID) -> Void
    ) {
        self.network = network
        self.capacity = capacity
        self.submitCapacity = submitCapacity
        self.metrics = metrics
        self.lost = lost
        self.silent = silent
    }

    func configure(_ membership: ClusterMembership, own: NodeID) {
        let (closed, opened) = self.state.withLock { state -> ([Link], [Link]) in
            guard state.membership != membership else { return ([], []) }
            let isRootsChange = state.membership?.rootsPEM != membership.rootsPEM
            state.membership = membership
            var links: [NodeID: Link] = [:]
            var opened: [Link] = []
            for member in membership.members where member.id != own {
                if let known = state.links[member.id], known.consensus.member == member, !isRootsChange {
                    links[member.id] = known
                } else {
                    let link = self.link(to: member)
                    links[member.id] = link
                    opened.append(link)
                }
            }
            let closed = state.links.filter { links[$0.key]?.consensus !== $0.value.consensus }.map(\.value)
            state.links = links
            return (closed, opened)
        }
        for link in closed { Self.close(link) }
        for link in opened {
            self.network.open(link.consensus, rootsPEM: membership.rootsPEM)
            self.network.open(link.submits, rootsPEM: membership.rootsPEM)
        }
    }

    private func link(to member: ClusterMember) -> Link {
        let lost = self.lost
        return Link(
            consensus: self.stream(to: member, "consensus", self.capacity) { lost(member.id, false) },
            submits: self.stream(to: member, "transaction", self.submitCapacity) { lost(member.id, true) }
        )
    }

    private func stream(
        to member: ClusterMember,
        _ kind: String,
        _ capacity: Int,
        lost: @escaping @Sendable () -> Void
    ) -> StepStream<Request> {
        StepStream(
            to: member,
            capacity: capacity,
            metrics: self.metrics?.stream(to: member.endpoint, kind: kind, capacity: capacity)
        ) { _ in lost() }
    }

    private static func close(_ link: Link) {
        link.consensus.close()
        link.submits.close()
    }

    /// Sends a message; `false` if it is dropped.
    func send(_ request: Request, to node: NodeID, on lane: Lane) -> Bool {
        guard let link = self.state.withLock({ $0.links[node] }) else { return false }
        switch lane {
        case .consensus: return link.consensus.send(request)
        case .submits: return link.submits.send(request)
        }
    }

    /// The consenters that there are streams to.
    var others: [NodeID] { self.state.withLock { $0.links.keys.sorted() } }

    func ask(_ node: NodeID, patience: Duration) {
        let (link, rootsPEM) = self.state.withLock { ($0.links[node], $0.membership?.rootsPEM) }
        guard let link, let rootsPEM else { return }
        let silent = self.silent
        self.network.ask(link.consensus.member, rootsPEM: rootsPEM, patience: patience) { silent(node) }
    }

    /// Ends all streams.
    func close() {
        let links = self.state.withLock { state in
            defer {
                state.links = [:]
                state.membership = nil
            }
            return Array(state.links.values)
        }
        for link in links { Self.close(link) }
    }
}

extension StepLinks: ConsenterLinks where Request == Orderer_StepRequest {
    func send(_ request: Orderer_ConsensusRequest, to node: NodeID) -> Bool {
        var step = Orderer_StepRequest()
        step.consensusRequest = request
        return self.send(step, to: node, on: .consensus)
    }

    func send(_ request: Orderer_SubmitRequest, to node: NodeID) -> Bool {
        var step = Orderer_StepRequest()
        step.submitRequest = request
        return self.send(step, to: node, on: .submits)
    }
}
