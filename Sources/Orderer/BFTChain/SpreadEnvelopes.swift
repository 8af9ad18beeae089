internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Logging
internal import SwiftProtobuf
internal import Synchronization

/// Takes what other consenters' clients want ordered: each envelope is checked as if a client had sent it here, and
/// queued, so that this node notices a leader that leaves it out.
///
/// The stream is read no further while envelopes of it are checked or there is no room. What finds no room in
/// ``patience`` is dropped; who sent it is named in the log once, until there is room again.
final class SpreadEnvelopes: Sendable {
    /// Envelopes that fail the checks on one stream before it is ended: an honest consenter sends few, when the
    /// configuration changes.
    static let mostRefused = 1000

    private struct Sender: Hashable {
        var channel: ChannelID
        var node: NodeID
    }

    private let checkers: WorkerThreads
    private let patience: Duration
    private let logger: Logger
    /// The consenters that send more than there is room for.
    private let flooding = Mutex<Set<Sender>>([])

    init(checkers: WorkerThreads, logger: Logger, patience: Duration = .seconds(1)) {
        self.checkers = checkers
        self.logger = logger
        self.patience = patience
    }

    /// Takes the envelopes of a message.
    ///
    /// - Returns: How many were refused.
    /// - Throws: `RPCError` for a message that no honest consenter sends.
    func take(
        _ request: Weft_Consensus_StepRequest,
        within bounds: BFTMessageBounds,
        from node: NodeID,
        for channel: OrderingChannel
    ) async throws(RPCError) -> Int {
        let envelopes = try Self.envelopes(of: request, within: bounds)
        let checked = await withCheckedContinuation { continuation in
            self.checkers.submit { continuation.resume(returning: Self.check(envelopes, for: channel)) }
        }
        let sender = Sender(channel: channel.id, node: node)
        let deadline = ContinuousClock.now + self.patience
        for envelope in checked.waiting {
            await self.queue(envelope, from: sender, on: channel, until: deadline)
        }
        return checked.refused
    }

    static func envelopes(
        of request: Weft_Consensus_StepRequest,
        within bounds: BFTMessageBounds
    ) throws(RPCError) -> [Data] {
        switch request.content {
        case .envelope(let bytes):
            guard bytes.count <= bounds.envelopeBytes else {
                throw RPCError(
                    code: .invalidArgument,
                    message: "an envelope of \(bytes.count) bytes is larger than the channel allows"
                )
            }
            return [bytes]
        case .envelopes(let bytes):
            guard bytes.count <= BFTLinks.batchBytes,
                let message = try? Weft_Consensus_Envelopes(serializedBytes: bytes)
            else {
                throw RPCError(
                    code: .invalidArgument,
                    message:
                        "\(bytes.count) bytes of envelopes can't be read; \(BFTLinks.batchBytes) are the most"
                )
            }
            return message.envelopes
        case .message, nil:
            throw RPCError(code: .invalidArgument, message: "the message is empty")
        }
    }

    /// Checks envelopes; those that this node has already are passed over.
    static func check(
        _ envelopes: [Data],
        for channel: OrderingChannel
    ) -> (waiting: [OrderingChannel.Waiting], refused: Int) {
        var waiting: [OrderingChannel.Waiting] = []
        var refused = 0
        for bytes in envelopes {
            let fingerprint = EnvelopeFingerprint(bytes)
            guard !channel.knows(fingerprint) else { continue }
            do {
                let envelope = try ReceivedEnvelope(bytes)
                let headers = try EnvelopeHeaders(envelope.envelope)
                guard headers.channel.channelID == channel.id.description else {
                    refused += 1
                    continue
                }
                waiting.append(try channel.check(envelope, headers))
            } catch {
                refused += 1
            }
        }
        return (waiting, refused)
    }

    private func queue(
        _ envelope: OrderingChannel.Waiting,
        from sender: Sender,
        on channel: OrderingChannel,
        until deadline: ContinuousClock.Instant
    ) async {
        while true {
            if case .taken = channel.queue(envelope, spreadBy: sender.node) {
                _ = self.flooding.withLock { $0.remove(sender) }
                return
            }
            guard ContinuousClock.now < deadline else { break }
            do { try await Task.sleep(for: .milliseconds(10)) } catch { return }
        }
        guard self.flooding.withLock({ $0.insert(sender).inserted }) else { return }
        self.logger.warning(
            "no room for envelopes that another consenter spreads; they are dropped",
            metadata: ["channel": "\(channel.id)", "consenter": "\(sender.node)"]
        )
    }
}
