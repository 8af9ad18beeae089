import Consensus

/// One node whose disk does what it is told at once.
struct RaftNode {
    var disk: RaftTests.Disk
    var raft: Raft
    var decided: [Decision] = []
    var events: [RaftEvent] = []
    var sent: [RaftMessage] = []

    init(
        _ id: NodeID,
        _ state: RaftState = .founding(voters: [1, 2, 3]),
        delivered: UInt64 = 0,
        configuration: RaftConfiguration = RaftConfiguration(seed: 1),
        forgotten: [NodeID]? = nil
    ) throws {
        self.disk = RaftTests.Disk(state: state)
        self.raft = try Raft(
            id: id,
            configuration: configuration,
            restoring: state,
            delivered: delivered,
            forgotten: forgotten
        )
    }

    /// Feeds `input` and the reports of writes that follow; returns what was sent.
    @discardableResult
    mutating func run(_ input: Raft.Input) -> [RaftMessage] {
        var sent: [RaftMessage] = []
        var next: Raft.Input? = input
        while let now = next {
            let effects = self.raft.step(now)
            self.decided += effects.decisions
            self.events += effects.events
            sent += effects.earlyMessages + effects.messages
            next = nil
            if let write = effects.write {
                self.disk.carryOut(write)
                next = .stored(write.number)
            }
        }
        self.sent += sent
        return sent
    }

    @discardableResult
    mutating func receive(
        _ content: RaftMessage.Content,
        from node: NodeID,
        term: Term
    ) -> [RaftMessage] {
        self.run(.received(RaftMessage(from: node, to: self.raft.id, term: term, content: content)))
    }
}

/// A few nodes whose messages arrive at once, unless a node is cut off.
struct RaftGroup {
    var nodes: [NodeID: RaftNode] = [:]
    var cut: Set<NodeID> = []

    init(_ voters: [NodeID] = [1, 2, 3], configuration: RaftConfiguration = RaftConfiguration(seed: 1)) throws
    {
        for id in voters {
            self.nodes[id] = try RaftNode(id, .founding(voters: voters), configuration: configuration)
        }
    }

    subscript(id: NodeID) -> RaftNode {
        get { self.nodes[id]! }
        set { self.nodes[id] = newValue }
    }

    mutating func run(_ id: NodeID, _ input: Raft.Input) {
        self.deliver(self[id].run(input))
    }

    mutating func deliver(_ messages: [RaftMessage]) {
        var pending = messages
        while !pending.isEmpty {
            let message = pending.removeFirst()
            guard !self.cut.contains(message.from), !self.cut.contains(message.to) else { continue }
            guard self.nodes[message.to] != nil else { continue }
            pending += self[message.to].run(.received(message))
        }
    }

    /// Has node `id` elected.
    mutating func elect(_ id: NodeID) { self.run(id, .command(.campaign)) }
}
