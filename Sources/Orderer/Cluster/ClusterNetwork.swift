internal import Channel
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Synchronization

/// The way from a node to the other orderers of its channels.
protocol ClusterNetwork: Sendable {
    /// Keeps `stream` open until it is closed.
    func open(_ stream: any ClusterStream, rootsPEM: String)

    /// Asks an orderer's process whether it is there; `silent` is called if it answers nothing at all for `patience`, or
    /// that it can't serve.
    func ask(
        _ member: ClusterMember,
        rootsPEM: String,
        patience: Duration,
        silent: @escaping @Sendable () -> Void
    )

    /// Asks an orderer for blocks, and gives them to `pull` one after the other until it is closed.
    func run(_ pull: BlockPull)
}

/// No other orderers: a node that has channels with one consenter only.
struct NoCluster: ClusterNetwork {
    func open(_ stream: any ClusterStream, rootsPEM: String) { stream.close() }

    func ask(
        _ member: ClusterMember,
        rootsPEM: String,
        patience: Duration,
        silent: @escaping @Sendable () -> Void
    ) {
        silent()
    }

    func run(_ pull: BlockPull) {
        pull.end(RPCError(code: .unavailable, message: "this node has no connections to other orderers"))
    }
}

/// An orderer from which blocks can be had.
struct BlockSource: Hashable, Sendable, CustomStringConvertible {
    /// `host:port`.
    var address: String
    /// The authorities, PEM, that its TLS certificate must come from.
    var rootsPEM: String

    var description: String { self.address }
}

extension ChannelConfiguration {
    /// The orderers that the channel names: those of its organizations, each to be trusted through its own
    /// organization's TLS roots; where there are none, the addresses of old channels, trusted through any.
    ///
    /// Source: Fabric v3.1, package `orderer/common/cluster`, endpoints of the block puller.
    var blockSources: [BlockSource] {
        var sources: [BlockSource] = []
        for organization in self.orderer?.organizations ?? [] {
            guard let msp = self.directory[organization.mspID] else { continue }
            let roots = (msp.tlsRootCertificates + msp.tlsIntermediateCertificates)
                .map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
            sources += organization.endpoints.map { BlockSource(address: $0, rootsPEM: roots) }
        }
        if sources.isEmpty {
            let roots = self.ordererTLSRootsPEM
            sources = self.ordererAddresses.map { BlockSource(address: $0, rootsPEM: roots) }
        }
        return sources
    }
}

/// Blocks on their way from another orderer to the thread that appends them.
///
/// Bounded: the stream is read no further while ``capacity`` blocks or ``byteCapacity`` bytes wait.
final class BlockPull: Sendable {
    private struct State {
        var blocks: [Common_Block] = []
        var bytes = 0
        var error: (any Error)?
        var isClosed = false
        var producer: CheckedContinuation<Void, Never>?
    }

    static let capacity = 64
    static let byteCapacity = 32 << 20

    let source: BlockSource
    /// The request, signed when it is sent.
    let request: @Sendable () throws -> Common_Envelope
    /// Called when there are blocks where there were none, or none will come any more.
    private let arrived: @Sendable () -> Void
    private let state = Monitor(State())

    init(
        source: BlockSource,
        arrived: @escaping @Sendable () -> Void = {},
        request: @escaping @Sendable () throws -> Common_Envelope
    ) {
        self.source = source
        self.arrived = arrived
        self.request = request
    }

    // MARK: - The stream's side

    /// Takes a block; waits while too many are untaken.
    ///
    /// - Returns: `false` if no more blocks are wanted.
    func put(_ block: Common_Block) async -> Bool {
        while true {
            if let outcome = self.offer(block) { return outcome }
            await withCheckedContinuation { continuation in
                let isReady = self.state.withLock { state in
                    if state.isClosed || state.blocks.isEmpty { return true }
                    state.producer = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }

    /// Takes a block; `false` if no more blocks are wanted, `nil` if too many are untaken.
    func offer(_ block: Common_Block) -> Bool? {
        let size = block.data.data.reduce(0) { $0 + $1.count }
        var isFirst = false
        let outcome: Bool? = self.state.withLock { state in
            if state.isClosed { return false }
            isFirst = state.blocks.isEmpty
            guard
                state.blocks.isEmpty
                    || (state.blocks.count < Self.capacity && state.bytes < Self.byteCapacity)
            else { return nil }
            state.blocks.append(block)
            state.bytes += size
            return true
        }
        if outcome != nil { self.state.broadcast() }
        if isFirst { self.arrived() }
        return outcome
    }

    /// No more blocks will come.
    func end(_ error: any Error) {
        self.state.withLock { $0.error = $0.error ?? error }
        self.state.broadcast()
        self.arrived()
    }

    /// Whether no more blocks are wanted.
    var isClosed: Bool { self.state.withLock { $0.isClosed } }

    /// Waits until the pull is closed.
    func closed() async {
        while !self.isClosed {
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
        }
    }

    // MARK: - The thread's side

    /// The blocks that are there; waits for the first.
    ///
    /// - Returns: None if there was none in `patience`.
    /// - Throws: why no more will come.
    func take(patience: Duration) throws -> [Common_Block] {
        let end = ContinuousClock.now + patience
        let taken = self.state.wait { state -> Monitor<State>.Wait<Taken> in
            if let taken = Self.take(from: &state) { return .done(taken) }
            let rest = end - ContinuousClock.now
            return rest <= .zero ? .done(Taken()) : .again(rest)
        }
        return try taken.get()
    }

    /// The blocks that are there now.
    ///
    /// - Throws: why no more will come.
    func takeNow() throws -> [Common_Block] {
        try (self.state.withLock { Self.take(from: &$0) } ?? Taken()).get()
    }

    /// Whether there are blocks, or none will come any more.
    var hasNews: Bool { self.state.withLock { !$0.blocks.isEmpty || $0.error != nil } }

    /// What was taken, and whom to tell that there is room again.
    private struct Taken {
        var blocks: [Common_Block] = []
        var error: (any Error)?
        var producer: CheckedContinuation<Void, Never>?

        func get() throws -> [Common_Block] {
            self.producer?.resume()
            if let error { throw error }
            return self.blocks
        }
    }

    private static func take(from state: inout State) -> Taken? {
        guard !state.blocks.isEmpty else { return state.error.map { Taken(error: $0) } }
        defer {
            state.blocks = []
            state.bytes = 0
        }
        return Taken(blocks: state.blocks, producer: state.producer.take())
    }

    /// No more blocks are wanted.
    func close() {
        let producer = self.state.withLock { state in
            state.isClosed = true
            state.blocks = []
            return state.producer.take()
        }
        producer?.resume()
    }
}

extension ClusterConnections: ClusterNetwork {
    func run(_ pull: BlockPull) {
        self.perform {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do {
                        try await self.stream(to: pull)
                    } catch {
                        pull.end(error)
                    }
                }
                group.addTask { await pull.closed() }
                await group.next()
                group.cancelAll()
            }
        }
    }

    private func stream(to pull: BlockPull) async throws {
        try await self.withClient(of: pull.source.address, rootsPEM: pull.source.rootsPEM) { client in
            let request = try pull.request()
            try await Orderer_AtomicBroadcast.Client(wrapping: client).deliver(
                request: StreamingClientRequest { try await $0.write(request) }
            ) { response in
                for try await message in response.messages {
                    switch message.type {
                    case .block(let block): guard await pull.put(block) else { return }
                    case .status(let status): throw BlocksRefused(status: status)
                    case nil: throw BlocksRefused(status: .unknown)
                    }
                }
            }
            throw RPCError(code: .unavailable, message: "the orderer ended the stream")
        }
    }
}

/// An orderer doesn't give blocks.
struct BlocksRefused: Error, CustomStringConvertible {
    var status: Common_Status

    var description: String {
        switch self.status {
        case .forbidden:
            "it answered FORBIDDEN: this node's organization may not read the channel (any more)"
        case .notFound: "it answered NOT_FOUND: it does not serve the channel"
        default: "it answered \(self.status)"
        }
    }
}
