internal import Channel
internal import FabricProtos
internal import Foundation

/// Answers other peers' requests for ranges of blocks.
///
/// - Source: Fabric v3.1, `gossip/state`.
struct BlockServing: Sendable {
    private struct Reading: Hashable {
        var peer: PKIID
        var nonce: UInt64
    }

    /// What is being read, and until when an answer is expected.
    private var readings: [Reading: Duration] = [:]

    /// Requests of one peer, and of all peers, that are worked on at the same time.
    static let capacity = (ofPeer: 8, ofAll: 32)
    /// A reading that has not been answered for so long is given up.
    static let patience: Duration = .seconds(30)
    /// Bytes in one response, at most, unless a single block is larger.
    static let responseByteCapacity = 32 << 20

    mutating func tick(_ now: Duration) {
        self.readings = self.readings.filter { now < $0.value }
    }

    /// Judges a request and has the blocks read.
    ///
    /// - Returns: what is wrong with it, if anything is.
    mutating func receive(
        _ request: Gossip_RemoteStateRequest,
        nonce: UInt64,
        from sender: PKIID,
        height: BlockNumber,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) -> (kind: String, text: String)? {
        let (start, end) = (request.startSeqNum, request.endSeqNum)
        // Fabric asks for one block more than a batch.
        let batch = max(1, context.options.stateBatchSize)
        guard start <= end, end - start <= batch else {
            return ("range", "asks for blocks \(start) to \(end); no more than \(batch) at once are given")
        }
        guard let connection = context.connections[sender] else { return nil }
        guard start < height else {
            self.respond([], to: sender, nonce: nonce, view, &context)
            return nil
        }
        let reading = Reading(peer: sender, nonce: nonce)
        guard self.readings[reading] == nil else { return nil }
        guard self.readings.count < Self.capacity.ofAll,
            self.readings.keys.count(where: { $0.peer == sender }) < Self.capacity.ofPeer
        else { return ("many ranges", "asks for more ranges of blocks than are read at a time") }
        self.readings[reading] = context.now + Self.patience
        context.blocks(view, .read(start...min(end, height - 1), requester: connection, nonce: nonce))
        return nil
    }

    /// Sends what was read.
    mutating func answer(
        _ payloads: [Gossip_Payload],
        to peer: PKIID,
        nonce: UInt64,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) {
        guard self.readings.removeValue(forKey: Reading(peer: peer, nonce: nonce)) != nil else { return }
        self.respond(payloads, to: peer, nonce: nonce, view, &context)
    }

    private func respond(
        _ payloads: [Gossip_Payload],
        to peer: PKIID,
        nonce: UInt64,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) {
        var response = Gossip_RemoteStateResponse()
        var byteCount = 0
        for payload in payloads {
            byteCount += payload.data.count + payload.privateData.reduce(0) { $0 + $1.count }
            guard response.payloads.isEmpty || byteCount <= Self.responseByteCapacity else { break }
            response.payloads.append(payload)
        }
        context.send(view.message(.chanOrOrg, nonce: nonce, .stateResponse(response)), to: peer)
    }
}
