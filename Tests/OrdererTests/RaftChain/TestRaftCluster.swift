import Channel
import Consensus
import Cryptography
import DequeModule
import FabricProtos
import Foundation
import Ledger
import Logging
import SwiftProtobuf
import Synchronization

@testable import Orderer

/// Raft's consenters of one channel, worked by hand on the test's thread: time passes when the test says so, and messages
/// arrive at once.
final class TestRaftCluster: @unchecked Sendable {
    // Why `@unchecked`: a test uses it on one thread; clocks and links are called from there only.

    /// One consenter at work.
    struct Node {
        var channel: OrderingChannel
        var consenter: Consenter
    }

    private enum Parcel {
        case consensus(Orderer_ConsensusRequest)
        case submit(Orderer_SubmitRequest)
    }

    let network: TestNetwork
    let genesis: Common_Block
    private let certificates: [Data]
    private(set) var disks: [NodeID: FaultyDisk] = [:]
    private(set) var nodes: [NodeID: Node] = [:]
    private(set) var ends: [NodeID: Consenter.End] = [:]
    /// Messages from one to the other are lost.
    var isCut: (_ from: NodeID, _ to: NodeID) -> Bool = { _, _ in false }
    private var parcels: Deque<(from: NodeID, to: NodeID, parcel: Parcel)> = []
    private let clock = Mutex(Duration.zero)

    init(_ count: Int) throws {
        let network = try TestNetwork()
        self.network = network
        self.certificates = try (1...count).map { try network.ordererOrganization.issueTLS("orderer\($0)") }
        self.genesis = try network.genesis(
            of: network.channelID.description,
            certificates: self.certificates
        )
        for id in 1...NodeID(count) { try self.start(id) }
    }

    // MARK: - Life

    func start(_ id: NodeID) throws {
        let key = try Certificate(pem: self.certificates[Int(id) - 1]).publicKey
        var settings = OrderingChannel.Settings.forTests(self.network)
        settings.clock = { [unowned self] in self.clock.withLock { $0 } }
        settings.random = { id }
        settings.serverKey = { key }
        let channel = OrderingChannel(
            configuration: try ChannelConfiguration(configBlock: self.genesis),
            settings: settings
        )
        let disk = self.disks[id] ?? FaultyDisk()
        self.disks[id] = disk
        let thread = ChannelThread(channel: channel, join: self.genesis) {
            ChannelThread.Stores(log: disk.open("log"), consensus: disk.open("consensus"))
        }
        let stores = try thread.openStores()
        let consenter = try thread.consenter(
            BlockLog(store: stores.log),
            stores.consensus,
            Links(cluster: self, id: id)
        )
        self.nodes[id] = Node(channel: channel, consenter: consenter)
    }

    /// A process that dies.
    func kill(_ id: NodeID) { self.nodes[id] = nil }

    // MARK: - Time

    /// Does everything that there is to do now.
    func work() throws {
        for _ in 0..<100_000 {
            var isIdle = true
            for id in self.nodes.keys.sorted() {
                guard let node = self.nodes[id],
                    case .done(let work) = node.channel.monitor.withLock({ node.consenter.next(&$0) })
                else { continue }
                isIdle = false
                if let end = try node.consenter.carryOut(work) {
                    self.ends[id] = end
                    self.nodes[id] = nil
                }
            }
            while let parcel = self.parcels.popFirst() {
                isIdle = false
                try self.deliver(parcel.parcel, from: parcel.from, to: parcel.to)
            }
            if isIdle { return }
        }
        throw StillBusy()
    }

    struct StillBusy: Error {}

    /// Lets time pass until it is so, or for so long.
    func pass(_ time: Duration = .seconds(30), until isDone: () throws -> Bool = { false }) throws {
        let end = self.clock.withLock { $0 } + time
        try self.work()
        while try !isDone(), self.clock.withLock({ $0 }) < end {
            self.clock.withLock { $0 += .milliseconds(10) }
            try self.work()
        }
    }

    /// Who leads, and knows all blocks of earlier leaders.
    var leaders: Set<NodeID> {
        Set(self.nodes.filter { $0.value.consenter.isCaughtUp && $0.value.consenter.electedAt != nil }.keys)
    }

    var leader: NodeID? { self.leaders.first }

    // MARK: - As a client

    /// Gives an envelope to a consenter; the answers to it come in a box.
    func submit(_ envelope: Common_Envelope, to id: NodeID) throws -> Answers {
        let answers = Answers()
        guard let channel = self.nodes[id]?.channel else { return answers }
        let waiting = try channel.check(envelope, EnvelopeHeaders(envelope))
        if let answer = channel.submit(waiting, { answers.add($0) }) { answers.add(answer) }
        return answers
    }

    final class Answers: Sendable {
        private let list = Mutex<[Orderer_BroadcastResponse]>([])
        var all: [Orderer_BroadcastResponse] { self.list.withLock { $0 } }
        func add(_ response: Orderer_BroadcastResponse) { self.list.withLock { $0.append(response) } }
    }

    func height(_ id: NodeID) -> BlockNumber { self.nodes[id]?.consenter.chain.log.height ?? 0 }

    func block(_ number: BlockNumber, of id: NodeID) throws -> Common_Block? {
        try self.nodes[id]?.consenter.chain.log.block(number)
    }

    // MARK: - Network

    private func deliver(_ parcel: Parcel, from: NodeID, to: NodeID) throws {
        guard let channel = self.nodes[to]?.channel else { return }
        switch parcel {
        case .consensus(let request):
            let message = try RaftMessage(Raftpb_Message(serializedBytes: request.payload))
            channel.receive(message, metadata: request.metadata)
        case .submit(let request):
            _ = channel.take(try channel.waiting(forwarded: request), from: from)
        }
    }

    private func send(_ parcel: Parcel, from: NodeID, to: NodeID, isSubmit: Bool) -> Bool {
        guard self.nodes[to] != nil, !self.isCut(from, to) else {
            self.nodes[from]?.channel.lost(to: to, isSubmits: isSubmit)
            return false
        }
        self.parcels.append((from, to, parcel))
        return true
    }

    // `@unchecked`: used on the test's thread only, as the cluster.
    private final class Links: ConsenterLinks, @unchecked Sendable {
        private unowned let cluster: TestRaftCluster
        private let id: NodeID

        init(cluster: TestRaftCluster, id: NodeID) {
            self.cluster = cluster
            self.id = id
        }

        func configure(_ membership: ClusterMembership, own: NodeID) {}

        func send(_ request: Orderer_ConsensusRequest, to node: NodeID) -> Bool {
            self.cluster.send(.consensus(request), from: self.id, to: node, isSubmit: false)
        }

        func send(_ request: Orderer_SubmitRequest, to node: NodeID) -> Bool {
            self.cluster.send(.submit(request), from: self.id, to: node, isSubmit: true)
        }

        func ask(_ node: NodeID, patience: Duration) {
            let isThere = self.cluster.nodes[node] != nil
            guard !isThere || self.cluster.isCut(self.id, node) || self.cluster.isCut(node, self.id) else {
                return
            }
            self.cluster.nodes[self.id]?.channel.silent(node)
        }
    }
}
