internal import Consensus
internal import DequeModule

/// What other consenters of a BFT channel sent and its thread has not looked at yet.
///
/// Each consenter has its own share, so that one that floods displaces only what it sent itself.
struct BFTInbox: Sendable {
    /// Messages of one consenter that wait; the oldest are dropped for further ones, as if they were lost on the way.
    static let capacity = 256
    /// Bytes of blocks in messages of one consenter that wait, but for the newest message.
    static let byteCapacity = 64 << 20

    private struct Share {
        var messages: Deque<BFTMessage> = []
        var bytes = 0
    }

    private var shares: [NodeID: Share] = [:]
    private(set) var count = 0

    var isEmpty: Bool { self.count == 0 }

    mutating func add(_ message: BFTMessage) {
        let bytes = message.blockBytes
        var share = self.shares.removeValue(forKey: message.from) ?? Share()
        while let first = share.messages.first,
            share.messages.count >= Self.capacity || share.bytes + bytes > Self.byteCapacity
        {
            share.messages.removeFirst()
            share.bytes -= first.blockBytes
            self.count -= 1
        }
        share.messages.append(message)
        share.bytes += bytes
        self.count += 1
        self.shares[message.from] = share
    }

    /// Bytes of blocks that wait.
    var blockBytes: Int { self.shares.values.reduce(0) { $0 + $1.bytes } }

    /// Takes up to `limit` messages of each consenter, those of each in their order.
    mutating func take(_ limit: Int) -> [BFTMessage] {
        var taken: [BFTMessage] = []
        for (node, share) in self.shares.sorted(by: { $0.key < $1.key }) {
            let first = Array(share.messages.prefix(limit))
            taken += first
            if first.count == share.messages.count {
                self.shares[node] = nil
            } else {
                self.shares[node]?.messages.removeFirst(first.count)
                self.shares[node]?.bytes -= first.reduce(0) { $0 + $1.blockBytes }
            }
        }
        self.count -= taken.count
        return taken
    }
}

extension BFTMessage {
    /// Bytes of the block in this message.
    fileprivate var blockBytes: Int {
        switch self.content {
        case .proposal(let proposal): proposal.payload.count
        case .decision(_, let payload): payload?.count ?? 0
        case .payload(_, let payload): payload.count
        case .vote, .timeout, .enter, .status, .want: 0
        }
    }
}
