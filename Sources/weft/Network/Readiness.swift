import AsyncHTTPClient
import Channel
import FabricProtos
import Foundation
import Ledger
import NIOCore
import SwiftProtobuf
import WeftClient

/// How far a node's ledger has come.
struct NodeStatus: Sendable {
    /// The number of blocks.
    var height: UInt64
    /// The hash of the newest block's header.
    var blockHash: Data
    /// The commit hash of the newest block; empty at an orderer, which keeps none.
    var commitHash: Data
    /// The view in which BFT consenters agreed on the newest block; `nil` on other channels.
    var view: UInt64?
}

/// What a node that answers is to the network's channel.
enum NodeState: Sendable {
    /// It delivers the channel's blocks.
    case serves(NodeStatus)
    /// An orderer that is no consenter of the channel: it copies the blocks, and neither orders nor delivers any.
    case follows

    var status: NodeStatus? {
        guard case .serves(let status) = self else { return nil }
        return status
    }

    var follows: Bool { self.status == nil }
}

extension Common_Block {
    /// The view in which BFT consenters agreed on this block; `nil` if others made it.
    ///
    /// - Source: Fabric v3.1, package `orderer/consensus/smartbft`: the consenters' metadata of a block is a `ViewMetadata`.
    fileprivate var view: UInt64? {
        guard let (metadata, orderer) = try? self.ordererMetadata(),
            metadata.signatures.contains(where: { !$0.identifierHeader.isEmpty }),
            let round = try? Smartbftprotos_ViewMetadata(serializedBytes: orderer.consenterMetadata)
        else { return nil }
        return round.viewID
    }
}

extension NetworkDescription {
    /// Asks a node for the state of its ledger.
    func status(of node: Node, as identity: Identity) async throws -> NodeStatus {
        let signer = try self.signer(identity)
        return try await self.withNode(node, as: identity) { connection in
            let newest = NewestBlock()
            switch node.role {
            case .peer:
                try await connection.peer(channel: self.channel, as: signer)
                    .blocks(from: nil, through: nil) { await newest.take($0) }
            case .orderer:
                try await connection.orderer(channel: self.channel, as: signer)
                    .blocks(from: nil, through: nil) { await newest.take($0) }
            }
            guard let block = await newest.block else { throw Failure("\(node.name) delivered no block") }
            return NodeStatus(
                height: block.header.number &+ 1,
                blockHash: block.header.hash,
                commitHash: BlockSummary(block).commitHash ?? Data(),
                view: block.view
            )
        }
    }

    /// Asks a node for the state of its ledger, and one that knows no such channel whether it follows it.
    func state(of node: Node, as identity: Identity) async throws -> NodeState {
        do {
            return .serves(try await self.status(of: node, as: identity))
        } catch let error as ClientError where error.code == .notFound {
            // 2: a follower.
            let relation = await self.metrics(["participation_consensus_relation"], of: node) ?? []
            guard relation.contains(where: { $0.hasSuffix(" 2") }) else { throw error }
            return .follows
        }
    }

    /// Waits until a peer has block `number`: asks for it 20 times a second, over one connection.
    func waitForBlock(_ number: UInt64, of peer: Node, as identity: Identity) async throws {
        let signer = try self.signer(identity)
        try await self.withNode(peer, as: identity) { connection in
            let peer = connection.peer(channel: self.channel, as: signer)
            while true {
                do {
                    return try await peer.blocks(from: number, through: number) { _ in false }
                } catch let error as ClientError where error.code == .notFound {
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        }
    }

    /// Whether an orderer leads the channel, as its operations service says; `nil` if it doesn't say.
    func leads(_ node: Node) async -> Bool? {
        // Either engine has its own; the other one's says nothing of this channel, or 0.
        let lines = await self.metrics(
            ["consensus_etcdraft_is_leader", "consensus_BFT_is_leader"],
            of: node
        )
        return lines.flatMap { lines in
            lines.isEmpty ? nil : lines.contains { $0.hasSuffix(" 1") }
        }
    }

    /// What an orderer's operations service says of the channel: the lines of the metrics `names`; `nil` if it doesn't
    /// answer.
    private func metrics(_ names: [String], of node: Node) async -> [Substring]? {
        guard node.role == .orderer, let operations = node.operations else { return nil }
        let client = HTTPClient(eventLoopGroupProvider: .singleton)
        let request = HTTPClientRequest(url: "http://\(operations)/metrics")
        let body = try? await client.execute(request, timeout: .seconds(5)).body.collect(upTo: 4 << 20)
        try? await client.shutdown()
        guard let body else { return nil }
        let beginnings = names.map { "\($0){channel=\"\(self.channel)\"} " }
        return String(decoding: body.readableBytesView, as: UTF8.self).split(separator: "\n")
            .filter { line in beginnings.contains { line.hasPrefix($0) } }
    }

    /// Waits until all peers have as many blocks as the orderers that serve the channel.
    func waitUntilLevel(as identity: Identity, timeout: Duration = .seconds(30)) async throws {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: timeout)
        while clock.now < deadline {
            var heights = Set<UInt64>()
            for node in self.nodes {
                guard let status = try await self.state(of: node, as: identity).status else { continue }
                heights.insert(status.height)
            }
            if heights.count == 1 { return }
            try await clock.sleep(for: .milliseconds(50))
        }
        throw Failure(
            "the peers did not reach the same height in time; see: weft network status",
            code: .unavailable
        )
    }

    /// Whether a node's process is there and is going to stay.
    ///
    /// One that was asked to stop no longer listens, and takes seconds to end: that is waited for.
    ///
    /// - Returns: `false` once there is no process.
    /// - Throws: ``Failure`` when the process neither listens nor ends in time.
    func runsOn(_ node: Node, timeout: Duration = .seconds(20)) async throws -> Bool {
        let process = self.process(of: node)
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: timeout)
        while let running = process.runningProcess {
            if node.isListening { return true }
            guard clock.now < deadline else {
                throw Failure(
                    "process \(running) of \(node.name) neither listens at \(node.endpoint) nor ends within \(timeout); "
                        + "end it with: kill -9 \(running)",
                    code: .unavailable
                )
            }
            try await clock.sleep(for: .milliseconds(100))
        }
        return false
    }

    /// Waits until a node answers.
    ///
    /// - Throws: ``Failure`` with the end of the node's log when its process ends, or when it doesn't answer in time.
    func waitUntilReady(_ node: Node, as identity: Identity, timeout: Duration = .seconds(30)) async throws {
        let process = self.process(of: node)
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: timeout)
        var reason = ""
        while clock.now < deadline {
            guard process.runningProcess != nil else {
                throw Failure(
                    "\(node.name) ended right after its start; its log \(process.logFile) says:\n\(process.logTail())"
                )
            }
            do {
                _ = try await withTimeout(.seconds(5)) { try await self.state(of: node, as: identity) }
                return
            } catch {
                reason = "\(error)"
            }
            try await clock.sleep(for: .milliseconds(100))
        }
        throw Failure(
            "\(node.name) did not answer at \(node.endpoint) in time (\(reason)); its log \(process.logFile) says:\n\(process.logTail())",
            code: .unavailable
        )
    }
}

private actor NewestBlock {
    var block: Common_Block?
    func take(_ block: Common_Block) -> Bool {
        self.block = block
        return false
    }
}

/// Calls `body`, and cancels it when it takes longer than `timeout`.
///
/// - Throws: What `body` throws; ``Failure`` when time ran out.
func withTimeout<Value: Sendable>(
    _ timeout: Duration,
    _ body: @Sendable @escaping () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: timeout)
            throw Failure("no answer within \(timeout)", code: .unavailable)
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw CancellationError() }
        return value
    }
}
