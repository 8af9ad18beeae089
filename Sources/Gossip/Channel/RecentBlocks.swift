internal import Channel
internal import FabricProtos

/// The last blocks that were spread by gossip: what other peers of the organization can pull.
///
/// - Source: Fabric v3.1, `gossip/gossip/channel`, block message store.
struct RecentBlocks: Sendable {
    private var payloads: [BlockNumber: Gossip_Payload] = [:]
    private var byteCount = 0
    private let capacity: Int

    /// Bytes of all blocks together, at most; the newest is kept however large.
    static let byteCapacity = 64 << 20

    /// - Parameter capacity: how many are kept (`maxBlockCountToStore`).
    init(capacity: Int) { self.capacity = max(1, capacity) }

    var numbers: [BlockNumber] { self.payloads.keys.sorted() }

    subscript(number: BlockNumber) -> Gossip_Payload? { self.payloads[number] }

    /// Whether `number` would be kept: it is not here yet, and no further back than the store reaches.
    func wants(_ number: BlockNumber) -> Bool {
        guard self.payloads[number] == nil else { return false }
        guard self.payloads.count >= self.capacity, let oldest = self.payloads.keys.min() else { return true }
        return number > oldest
    }

    mutating func add(_ payload: Gossip_Payload) {
        guard self.wants(payload.seqNum) else { return }
        self.payloads[payload.seqNum] = payload
        self.byteCount += payload.data.count
        while self.payloads.count > self.capacity
            || (self.byteCount > Self.byteCapacity && self.payloads.count > 1)
        {
            guard let oldest = self.payloads.keys.min(), let gone = self.payloads.removeValue(forKey: oldest)
            else { return }
            self.byteCount -= gone.data.count
        }
    }
}
