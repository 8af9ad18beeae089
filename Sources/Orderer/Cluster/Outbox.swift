internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Sends what a channel's engine wants sent.
///
/// Belongs to the channel's thread.
final class Outbox {
    private let channel: OrderingChannel
    private let links: any ConsenterLinks
    weak var consenter: Consenter?

    init(channel: OrderingChannel, links: any ConsenterLinks) {
        self.channel = channel
        self.links = links
    }

    /// Sends a message; the engine is told if it can't be.
    func send(_ message: RaftMessage) {
        var message = message
        var request = Orderer_ConsensusRequest()
        request.channel = self.channel.id.description
        var isSent = false
        var isWhole = true
        if case .snapshot(var snapshot) = message.content {
            if let block = self.consenter?.chain.snapshotBlock {
                snapshot.data = block
                message.content = .snapshot(snapshot)
            } else {
                isWhole = false
            }
        } else if case .heartbeat = message.content {
            request.metadata = self.consenter?.heartbeatMetadata() ?? Data()
        }
        if isWhole, let payload = try? Raftpb_Message.bytes(of: message) {
            request.payload = payload
            isSent = self.links.send(request, to: message.to)
        }
        var answers: [Raft.Input] = []
        if case .snapshot = message.content {
            answers.append(.command(.snapshotSent(to: message.to, success: isSent)))
        }
        if !isSent { answers.append(.command(.unreachable(message.to))) }
        guard !answers.isEmpty else { return }
        self.channel.monitor.withLock { $0.inbox += answers }
    }
}
