import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import Ledger
import Logging
import SwiftProtobuf
import Synchronization

@testable import Orderer

/// The consenters of one BFT channel in one process: real threads, chains and stores, a network in memory.
final class TestBFTCluster: Sendable {
    /// What one consenter is, whether it runs or not.
    struct Member: Sendable {
        let id: NodeID
        let identity: SigningIdentity
        let certificate: Data
        let disk: FaultyDisk

        var address: String { "localhost:\(7049 + self.id)" }

        var consenter: Common_Consenter {
            .with {
                $0.id = UInt32(self.id)
                $0.host = "localhost"
                $0.port = UInt32(7049 + self.id)
                $0.mspID = "OrdererMSP"
                $0.identity = self.identity.certificate.pem
                $0.clientTlsCert = self.certificate
                $0.serverTlsCert = self.certificate
            }
        }
    }

    private struct Running: Sendable {
        var channel: OrderingChannel
        var thread: ChannelThread
    }

    /// Envelopes that one consenter gave another one.
    struct Gift: Sendable, Equatable {
        var from: NodeID
        var to: NodeID
        var count: Int
    }

    private struct State {
        var running: [NodeID: Running] = [:]
        /// What becomes of a message on its way; `nil` loses it.
        var route: @Sendable (BFTMessage) -> BFTMessage? = { $0 }
        /// Every message that was sent.
        var observer: @Sendable (BFTMessage) -> Void = { _ in }
        /// What consenters gave each other to be ordered.
        var given: [Gift] = []
        /// Consenters that are given no envelopes of others' clients.
        var isCensored: @Sendable (_ from: NodeID, _ to: NodeID) -> Bool = { _, _ in false }
    }

    let network: TestNetwork
    let genesis: Common_Block
    let members: [Member]
    private let state = Mutex(State())

    /// Makes `count` consenters of the genesis block, and `spare` further ones that are none yet.
    init(_ count: Int, spare: Int = 0, options: Orderer_Smartbft_Options = .forTests) throws {
        let network = try TestNetwork(absoluteMaxBytes: 1 << 20, preferredMaxBytes: 1 << 19)
        self.network = network
        let members = try (1...(count + spare)).map { number in
            Member(
                id: NodeID(number),
                identity: try network.ordererOrganization.issue("orderer\(number)", "orderer"),
                certificate: try network.ordererOrganization.issueTLS("orderer\(number)"),
                disk: FaultyDisk()
            )
        }
        self.members = members
        self.genesis = try network.genesis(of: network.channelID.description) { profile in
            profile.orderer?.consensus = .bft(
                options: options,
                consenters: members.prefix(count).map(\.consenter)
            )
            profile.orderer?.organizations[0].ordererEndpoints = members.map(\.address)
            profile.orderer?.batchSize.absoluteMaxBytes = 1 << 20
        }
    }

    // MARK: - Life

    func start(_ ids: [NodeID]? = nil) throws {
        for id in ids ?? self.members.map(\.id) { try self.start(id) }
    }

    private func start(_ id: NodeID) throws {
        guard let member = self.member(id) else { return }
        let start = ContinuousClock.now
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let settings = OrderingChannel.Settings(
            signer: RenewableIdentity(member.identity),
            limits: .forTests,
            cutting: .adaptive,
            acknowledgesWhenDurable: true,
            checksExpiration: true,
            clock: { ContinuousClock.now - start },
            date: { Date() },
            nonce: { (try? secureRandomBytes(24)) ?? Data() },
            logger: logger,
            network: TestBlockNetwork(cluster: self),
            bftNetwork: { [weak self] _ in TestBFTNetwork(cluster: self, id: id) }
        )
        let channel = OrderingChannel(
            configuration: try ChannelConfiguration(configBlock: self.genesis),
            settings: settings
        )
        let disk = member.disk
        let thread = ChannelThread(channel: channel, join: self.genesis) {
            ChannelThread.Stores(log: disk.open("log"), consensus: disk.open("consensus"))
        }
        self.state.withLock { $0.running[id] = Running(channel: channel, thread: thread) }
        thread.start()
    }

    /// Ends a consenter; with a loss of power, what was not durable is gone.
    func stop(_ id: NodeID, losingPower: Bool = false) async {
        guard let running = self.state.withLock({ $0.running.removeValue(forKey: id) }) else { return }
        if losingPower { self.member(id)?.disk.breakDown() }
        running.channel.stop()
        let end = running.thread.end
        try? await WorkerThreads(name: "wait", count: 1).run { end.wait() }
        if losingPower {
            self.member(id)?.disk.repair()
            self.member(id)?.disk.losePower()
        }
    }

    func stopAll() async {
        for member in self.members { await self.stop(member.id) }
    }

    func member(_ id: NodeID) -> Member? { self.members.first { $0.id == id } }

    func channel(_ id: NodeID) -> OrderingChannel? { self.state.withLock { $0.running[id]?.channel } }

    var running: [NodeID] { self.state.withLock { $0.running.keys.sorted() } }

    // MARK: - Network

    func setRoute(_ route: @escaping @Sendable (BFTMessage) -> BFTMessage?) {
        self.state.withLock { $0.route = route }
    }

    func setObserver(_ observer: @escaping @Sendable (BFTMessage) -> Void) {
        self.state.withLock { $0.observer = observer }
    }

    func setCensor(_ isCensored: @escaping @Sendable (NodeID, NodeID) -> Bool) {
        self.state.withLock { $0.isCensored = isCensored }
    }

    /// What consenters gave each other to be ordered, so far.
    var given: [Gift] { self.state.withLock { $0.given } }

    func deliver(_ message: BFTMessage) -> Bool {
        let (route, observer) = self.state.withLock { ($0.route, $0.observer) }
        observer(message)
        guard let message = route(message), let channel = self.channel(message.to) else { return false }
        channel.receive(message)
        return true
    }

    /// As the service of a real node: each consenter checks the envelopes as if a client had sent them.
    func give(_ envelopes: [OrderingChannel.Waiting], from id: NodeID, to others: [NodeID]) {
        let isCensored = self.state.withLock { state in
            for other in others { state.given.append(Gift(from: id, to: other, count: envelopes.count)) }
            return state.isCensored
        }
        for other in others where !isCensored(id, other) {
            guard let channel = self.channel(other) else { continue }
            for envelope in envelopes.compactMap(\.clientEnvelope) {
                guard let bytes: Data = try? envelope.serializedBytes(),
                    !channel.knows(EnvelopeFingerprint(bytes)),
                    let headers = try? EnvelopeHeaders(envelope),
                    let waiting = try? channel.check(envelope, headers)
                else { continue }
                _ = channel.queue(waiting, spreadBy: id)
            }
        }
    }

    // MARK: - As a client

    /// Has an envelope ordered through one consenter.
    func order(_ envelope: Common_Envelope, through id: NodeID) async throws -> Orderer_BroadcastResponse {
        guard let channel = self.channel(id) else { throw Refusal.unavailable("consenter \(id) is down") }
        do throws(Refusal) {
            let headers: EnvelopeHeaders
            do {
                headers = try EnvelopeHeaders(envelope)
            } catch {
                throw Refusal.badRequest("\(error)")
            }
            return await channel.order(try channel.check(envelope, headers))
        } catch {
            return error.response
        }
    }

    /// Waits until these consenters order.
    func ready(_ ids: [NodeID]? = nil) async throws {
        for id in ids ?? self.running { try await self.wait { self.channel(id)?.health == .serving } }
    }

    /// Waits until these consenters have `height` blocks.
    func reached(_ height: BlockNumber, _ ids: [NodeID]? = nil) async throws {
        for id in ids ?? self.running {
            try await self.wait { (self.channel(id)?.feed.height ?? 0) >= height }
        }
    }

    func wait(_ condition: () throws -> Bool) async throws {
        while try !condition() { try await Task.sleep(for: .milliseconds(5)) }
    }

    func block(_ number: BlockNumber, of id: NodeID) throws -> Common_Block? {
        guard let channel = self.channel(id) else { return nil }
        switch channel.feed.find(number, insistsOnHealth: false).next {
        case .block(let block): return try Orderer_DeliverResponse(serializedBytes: block.whole).block
        case .stored(let log): return try log.block(number)
        default: return nil
        }
    }

    /// How many blocks a consenter has that runs.
    func height(of id: NodeID) -> BlockNumber? { self.channel(id)?.feed.height }

    /// The blocks of a consenter that runs.
    func blocks(of id: NodeID) throws -> [Common_Block] {
        var blocks: [Common_Block] = []
        while let block = try self.block(BlockNumber(blocks.count), of: id) { blocks.append(block) }
        return blocks
    }
}

/// One consenter's way to the others.
private struct TestBFTNetwork: BFTNetwork {
    weak let cluster: TestBFTCluster?
    let id: NodeID

    func configure(_ membership: ClusterMembership, own: NodeID) {}
    func send(_ message: BFTMessage) -> Bool { self.cluster?.deliver(message) ?? false }
    func give(_ envelopes: [OrderingChannel.Waiting], to node: NodeID) {
        self.cluster?.give(envelopes, from: self.id, to: [node])
    }
    func spread(_ envelopes: [OrderingChannel.Waiting]) {
        guard let cluster else { return }
        cluster.give(envelopes, from: self.id, to: cluster.running.filter { $0 != self.id })
    }
    func close() {}
}

/// Gives blocks of whichever consenter is asked.
private struct TestBlockNetwork: BlockNetwork {
    weak let cluster: TestBFTCluster?

    func run(_ pull: BlockPull) {
        let cluster = self.cluster
        Task {
            guard let cluster,
                let member = cluster.members.first(where: { $0.address == pull.source.address }),
                cluster.channel(member.id)?.isServed == true,
                let envelope = try? pull.request(),
                let payload = try? Common_Payload(serializedBytes: envelope.payload),
                let seek = try? Orderer_SeekInfo(serializedBytes: payload.data)
            else { return pull.end(BlocksRefused(status: .notFound)) }
            var number = seek.start.specified.number
            if case .newest = seek.start.type { number = max(1, cluster.height(of: member.id) ?? 1) - 1 }
            while true {
                if let block = try? cluster.block(number, of: member.id) {
                    guard await pull.put(block) else { return }
                    number += 1
                } else {
                    do { try await Task.sleep(for: .milliseconds(10)) } catch { return }
                    guard cluster.channel(member.id)?.isServed == true else {
                        return pull.end(BlocksRefused(status: .serviceUnavailable))
                    }
                }
            }
        }
    }
}

extension Orderer_Smartbft_Options {
    /// A leader is given up after a second.
    static let forTests = Self.leaderTimeout("1s")

    static func leaderTimeout(_ timeout: String) -> Self {
        var options = Self.fabricDefault
        options.leaderHeartbeatTimeout = timeout
        options.requestForwardTimeout = "500ms"
        options.requestComplainTimeout = "2s"
        options.requestAutoRemoveTimeout = "20s"
        options.viewChangeResendInterval = "200ms"
        return options
    }

    /// Nothing happens because time has passed.
    static let timeless = {
        var options = Self.fabricDefault
        options.leaderHeartbeatTimeout = "20m"
        options.requestForwardTimeout = "20m"
        options.requestComplainTimeout = "40m"
        options.requestAutoRemoveTimeout = "80m"
        options.viewChangeResendInterval = "200ms"
        return options
    }()
}
