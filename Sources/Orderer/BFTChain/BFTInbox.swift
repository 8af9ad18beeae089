internal import Consensus
internal import DequeModule

/// What other consenters of a BFT channel sent and its thread has not looked at yet.
///
/// Each consenter has its own share, so that one that floods displaces only what it sent itself.
struct BFTInbox: Sendable {
    /// Messages of one consenter that wait; the oldest is dropped for a further one, as if it was lost on the way.
    static let capacity = 256

    private var messages: [NodeID: Deque<BFTMessage>] = [:]
    private(set) var count = 0

    var isEmpty: Bool { self.count == 0 }

    mutating func add(_ message: BFTMessage) {
        var queue = self.messages[message.from] ?? []
        if queue.count >= Self.capacity {
            queue.removeFirst()
            self.count -= 1
        }
        queue.append(message)
        self.count += 1
        self.messages[message.from] = queue
    }

    /// Takes up to `limit` messages of each consenter, those of each in their order.
    mutating func take(_ limit: Int) -> [BFTMessage] {
        var taken: [BFTMessage] = []
        for (node, queue) in self.messages.sorted(by: { $0.key < $1.key }) {
            let share = queue.prefix(limit)
            taken += share
            self.messages[node] = share.count == queue.count ? nil : Deque(queue.dropFirst(limit))
        }
        self.count -= taken.count
        return taken
    }
}
