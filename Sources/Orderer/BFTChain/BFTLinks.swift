internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import SwiftProtobuf

/// The streams of one BFT channel's consenter to the others, in Weft's own protocol.
///
/// See docs/formats/consenter-messages.md.
final class BFTLinks: BFTNetwork {
    /// Envelopes that travel in one message, if they are small.
    private static let batchCount = 64
    /// Bytes of envelopes that travel in one message; a larger one travels alone.
    static let batchBytes = 256 << 10

    private let channel: String
    private let links: StepLinks<Weft_Consensus_StepRequest>

    /// Opens no stream yet.
    ///
    /// `capacity` messages may wait for one consenter on each of its two streams; further ones are dropped.
    init(channel: ChannelID, network: any ClusterNetwork, capacity: Int, metrics: LinkMetrics? = nil) {
        self.channel = channel.description
        self.links = StepLinks(
            network: network,
            capacity: capacity,
            submitCapacity: capacity,
            metrics: metrics,
            lost: { _, _ in },
            silent: { _ in }
        )
    }

    /// The links of a channel over its node's network.
    convenience init(_ channel: OrderingChannel) {
        self.init(
            channel: channel.id,
            network: channel.settings.network,
            capacity: channel.settings.sendBufferSize,
            metrics: LinkMetrics(metrics: channel.settings.metrics, channel: channel.id.description)
        )
    }

    func configure(_ membership: ClusterMembership, own: NodeID) {
        self.links.configure(membership, own: own)
    }

    func send(_ message: BFTMessage) -> Bool {
        guard let request = try? Weft_Consensus_StepRequest(message, channel: self.channel) else {
            return false
        }
        return self.links.send(request, to: message.to, on: .consensus)
    }

    func give(_ envelopes: [OrderingChannel.Waiting], to node: NodeID) {
        self.give(envelopes, to: [node])
    }

    func spread(_ envelopes: [OrderingChannel.Waiting]) { self.give(envelopes, to: self.links.others) }

    private func give(_ envelopes: [OrderingChannel.Waiting], to nodes: [NodeID]) {
        guard !nodes.isEmpty else { return }
        for request in self.requests(for: envelopes.compactMap { Self.clientBytes($0) }) {
            for node in nodes { _ = self.links.send(request, to: node, on: .submits) }
        }
    }

    /// As few messages as hold all of these envelopes, in their order.
    func requests(for envelopes: [Data]) -> [Weft_Consensus_StepRequest] {
        var requests: [Weft_Consensus_StepRequest] = []
        var batch = Weft_Consensus_Envelopes()
        var bytes = 0
        func finishBatch() {
            defer {
                batch = Weft_Consensus_Envelopes()
                bytes = 0
            }
            guard !batch.envelopes.isEmpty, let encoded: Data = try? batch.serializedBytes() else { return }
            requests.append(self.request { $0.envelopes = encoded })
        }
        for envelope in envelopes {
            // What a field of a message takes besides its content.
            let size = envelope.count + 8
            guard size <= Self.batchBytes else {
                finishBatch()
                requests.append(self.request { $0.envelope = envelope })
                continue
            }
            if batch.envelopes.count >= Self.batchCount || bytes + size > Self.batchBytes { finishBatch() }
            batch.envelopes.append(envelope)
            bytes += size
        }
        finishBatch()
        return requests
    }

    private func request(_ fill: (inout Weft_Consensus_StepRequest) -> Void) -> Weft_Consensus_StepRequest {
        .with {
            $0.version = Weft_Consensus_StepRequest.spokenVersion
            $0.channel = self.channel
            fill(&$0)
        }
    }

    static func clientBytes(_ envelope: OrderingChannel.Waiting) -> Data? {
        guard envelope.isConfig else { return envelope.bytes }
        return try? envelope.clientEnvelope?.serializedBytes()
    }

    func close() { self.links.close() }
}

extension Weft_Consensus_StepRequest: StepMessage {
    var size: Int {
        switch self.content {
        case .message(let bytes), .envelope(let bytes), .envelopes(let bytes): bytes.count + self.block.count
        case nil: self.block.count
        }
    }

    static func exchange<Transport: ClientTransport>(
        _ client: GRPCClient<Transport>,
        _ write: @escaping @Sendable (RPCWriter<Self>) async throws -> Void
    ) async throws {
        try await Weft_Consensus_BFT.Client(wrapping: client).step(
            request: StreamingClientRequest(producer: write)
        ) { response in
            // Nothing is answered; what ends the stream ends this loop.
            for try await _ in response.messages {}
        }
    }
}
