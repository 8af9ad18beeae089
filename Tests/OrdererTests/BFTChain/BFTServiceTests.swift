import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import GRPCCore
import GRPCInProcessTransport
import Logging
import SwiftProtobuf
import Synchronization
import Testing

@testable import Orderer

/// What other consenters of a BFT channel send, and who may.
@Suite struct BFTServiceTests {
    private let bft: BFTTestNetwork
    private let channels = OrderingChannels()
    private let channel: OrderingChannel
    /// Each check of an envelope asks for the date once.
    private let checks = Counter()

    init() throws {
        self.bft = try BFTTestNetwork(4)
        let configuration = try ChannelConfiguration(configBlock: self.bft.genesis())
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        var limits = OrdererLimits()
        limits.waitingEnvelopes = 8
        self.channel = OrderingChannel(
            configuration: configuration,
            settings: .init(
                signer: RenewableIdentity(self.bft.signers[0]),
                limits: limits,
                cutting: .adaptive,
                acknowledgesWhenDurable: true,
                checksExpiration: true,
                clock: { .zero },
                date: { [checks] in
                    checks.value.withLock { $0 += 1 }
                    return Date()
                },
                nonce: { Data() },
                logger: logger
            )
        )
        let membership = try ClusterMembership(
            bft: BFTConsenters(configuration),
            configuration: configuration
        )
        self.channel.monitor.withLock { state in
            state.health = .serving
            state.standing = .init(id: 1, membership: membership)
            state.bft.holdsRequests = true
        }
        self.channels.add(self.channel)
    }

    /// Sends requests on one stream, connected as a consenter, and returns what ended it.
    private func send(_ requests: [Weft_Consensus_StepRequest], as number: Int?) async throws -> RPCError? {
        let key = try number.map { try Certificate(pem: self.bft.certificates[$0 - 1]).publicKey }
        return try await self.send(requests, key)
    }

    private func send(_ requests: [Weft_Consensus_StepRequest], _ key: PublicKey?) async throws -> RPCError? {
        let transport = InProcessTransport()
        let spread = SpreadEnvelopes(
            checkers: WorkerThreads(name: "check", count: 1),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            patience: .milliseconds(20)
        )
        let service = BFTService(
            channels: self.channels,
            spread: spread,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            senderKey: { _ in key }
        )
        let server = GRPCServer(transport: transport.server, services: [service])
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            let error = try await withGRPCClient(transport: transport.client) { client -> RPCError? in
                do {
                    try await Weft_Consensus_BFT.Client(wrapping: client).step { writer in
                        for request in requests { try await writer.write(request) }
                    } onResponse: { response in
                        for try await _ in response.messages {}
                    }
                    return nil
                } catch let error as RPCError {
                    return error
                }
            }
            server.beginGracefulShutdown()
            try await group.waitForAll()
            return error
        }
    }

    private func status(from: NodeID = 2, to: NodeID = 1, channel: String = "trade") throws
        -> Weft_Consensus_StepRequest
    {
        try Weft_Consensus_StepRequest(
            BFTMessage(from: from, to: to, content: .status(height: 5, view: 1)),
            channel: channel
        )
    }

    private var received: [BFTMessage] {
        self.channel.monitor.withLock { $0.bft.inbox.take(100) }
    }

    private var links: BFTLinks {
        BFTLinks(channel: self.channel.id, network: NoCluster(), capacity: 10)
    }

    private func envelopes(_ count: Int) throws -> [Data] {
        try (0..<count).map { try self.bft.network.envelope("\($0)").serializedBytes() }
    }

    private var waiting: [Data] { self.channel.monitor.withLock { $0.waiting.map(\.bytes) } }

    // MARK: - Messages

    @Test("a message of a consenter reaches the channel")
    func receives() async throws {
        #expect(try await self.send([self.status()], as: 2) == nil)
        #expect(self.received == [BFTMessage(from: 2, to: 1, content: .status(height: 5, view: 1))])
    }

    @Test("who is no consenter, speaks for another one or has no certificate is refused")
    func authenticates() async throws {
        let stranger = try Certificate(pem: self.bft.network.ordererOrganization.issueTLS("other")).publicKey
        #expect(try await self.send([self.status()], stranger)?.code == .permissionDenied)
        #expect(try await self.send([self.status(from: 3)], as: 2)?.code == .permissionDenied)
        #expect(try await self.send([self.status()], as: nil)?.code == .unauthenticated)
        #expect(try await self.send([self.status(channel: "other")], as: 2)?.code == .notFound)
        #expect(self.received.isEmpty)
    }

    @Test("a consenter that is removed is cut off at its next message")
    func cutsOff() async throws {
        #expect(try await self.send([self.status()], as: 2) == nil)
        self.channel.monitor.withLock { state in
            guard let members = state.standing.membership?.members else { return }
            state.standing.membership = ClusterMembership(
                members: members.filter { $0.id != 2 },
                rootsPEM: ""
            )
        }
        #expect(try await self.send([self.status()], as: 2)?.code == .permissionDenied)
        #expect(self.received.count == 1)
    }

    @Test("another version of the protocol is refused with what to do")
    func refusesOtherVersions() async throws {
        var request = try self.status()
        request.version = 2
        let error = try await self.send([request], as: 2)
        #expect(error?.code == .failedPrecondition)
        #expect(error?.message.contains("same version of weft") == true)
    }

    @Test("a message that can't be read ends the stream")
    func refusesUnreadable() async throws {
        var request = try self.status()
        request.message = Data([0xff, 0xff])
        #expect(try await self.send([request, self.status()], as: 2)?.code == .invalidArgument)
        #expect(self.received.isEmpty)
    }

    // MARK: - Envelopes

    @Test("envelopes that another consenter's clients sent are queued and not spread further")
    func queuesEnvelopes() async throws {
        let envelopes = try self.envelopes(2)
        #expect(try await self.send(self.links.requests(for: envelopes), as: 2) == nil)
        #expect(self.waiting == envelopes)
        #expect(self.channel.monitor.withLock { $0.bft.ungiven.isEmpty })
        // What is there already is passed over.
        #expect(try await self.send(self.links.requests(for: envelopes), as: 3) == nil)
        #expect(self.waiting == envelopes)
    }

    /// Checks an envelope as if a client had sent it.
    private func check(_ bytes: Data) throws -> OrderingChannel.Waiting {
        let envelope = try Common_Envelope(serializedBytes: bytes)
        return try self.channel.check(envelope, EnvelopeHeaders(envelope))
    }

    @Test("an envelope is checked once, whoever brings it, queued or not")
    func checksOnce() async throws {
        let envelopes = try self.envelopes(2)
        // The client's comes first; it isn't queued yet when another consenter brings it.
        let first = try self.check(envelopes[0])
        #expect(try await self.send(self.links.requests(for: [envelopes[0]]), as: 2) == nil)
        #expect(self.waiting == [envelopes[0]])
        #expect(self.channel.submit(first) { _ in } == nil)
        // Another consenter's comes first.
        #expect(try await self.send(self.links.requests(for: [envelopes[1]]), as: 3) == nil)
        #expect(self.channel.submit(try self.check(envelopes[1])) { _ in } == nil)
        #expect(self.waiting == envelopes)
        #expect(self.checks.value.withLock { $0 } == 2)
        // A leader's block has nothing to check.
        let sequence = self.channel.configuration.sequence
        let fingerprints = envelopes.map { EnvelopeFingerprint($0) }
        let known = self.channel.monitor.withLock { state in
            state.dropQueued(fingerprints)
            return state.known(fingerprints, sequence)
        }
        #expect(known == [.checked, .checked])
        // Under another configuration everything is checked anew.
        let later = self.channel.monitor.withLock { $0.known(fingerprints, sequence + 1) }
        #expect(later == [.unknown, .unknown])
    }

    @Test("an envelope that fails the checks is checked again")
    func forgetsFailures() throws {
        let stranger = try self.bft.network.stranger.issue("user1", "client")
        let bytes: Data = try self.bft.network.envelope(by: stranger).serializedBytes()
        for _ in 0..<2 { #expect(throws: Refusal.self) { try self.check(bytes) } }
        #expect(self.checks.value.withLock { $0 } == 2)
        #expect(!self.channel.knows(EnvelopeFingerprint(bytes)))
    }

    @Test("a new leader is given what this node's clients sent, and nothing of others")
    func followsLeader() async throws {
        let envelopes = try self.envelopes(2)
        #expect(try await self.send(self.links.requests(for: [envelopes[0]]), as: 2) == nil)
        #expect(self.channel.submit(try self.check(envelopes[1])) { _ in } == nil)
        let given = self.channel.monitor.withLock { state in
            ([2, 1, 3] as [NodeID]).map { leader in
                state.follow(leader)
                return state.bft.ungiven.map(\.bytes)
            }
        }
        #expect(given == [[envelopes[1]], [], [envelopes[1]]])
    }

    @Test("each envelope is checked as at this node's own Broadcast")
    func checksEnvelopes() async throws {
        let stranger = try self.bft.network.stranger.issue("user1", "client")
        let good = try self.envelopes(1)
        let bad: [Data] = [
            try self.bft.network.envelope(by: stranger).serializedBytes(),
            try self.bft.network.envelope(channel: "other").serializedBytes(), Data("noise".utf8), Data(),
        ]
        #expect(try await self.send(self.links.requests(for: bad + good), as: 2) == nil)
        #expect(self.waiting == good)
    }

    @Test("a consenter that floods fills only its own share, and the stream goes on")
    func boundsFloods() async throws {
        #expect(try await self.send(self.links.requests(for: self.envelopes(7)), as: 2) == nil)
        #expect(self.waiting.count == 2)
        #expect(try await self.send(self.links.requests(for: self.envelopes(1)), as: 3) == nil)
        #expect(self.waiting.count == 3)
    }

    @Test("a stream of envelopes that can't be ordered is ended")
    func endsStreamsOfJunk() async throws {
        let junk = (0...SpreadEnvelopes.mostRefused).map { Data("\($0)".utf8) }
        #expect(try await self.send(self.links.requests(for: junk), as: 2)?.code == .permissionDenied)
    }

    @Test("small envelopes travel together, a large one alone, in their order")
    func batches() throws {
        let large = Data(count: BFTLinks.batchBytes)
        let requests = self.links.requests(for: try self.envelopes(70) + [large] + self.envelopes(1))
        let counts = try requests.map { request -> Int in
            guard case .envelopes(let bytes) = request.content else { return 0 }
            return try Weft_Consensus_Envelopes(serializedBytes: bytes).envelopes.count
        }
        #expect(counts == [64, 6, 0, 1])
        #expect(requests[2].envelope == large)
    }

    @Test("a batch that is larger than any consenter makes ends the stream")
    func boundsBatches() async throws {
        var request = try self.status()
        request.envelopes = Data(count: BFTLinks.batchBytes + 1)
        #expect(try await self.send([request], as: 2)?.code == .invalidArgument)
    }
}

/// Counts what happens on any thread.
private final class Counter: Sendable {
    let value = Mutex(0)
}
