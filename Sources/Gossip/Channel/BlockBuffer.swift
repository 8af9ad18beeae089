internal import Channel
internal import FabricProtos
internal import Foundation

/// Blocks from other peers that are ahead of the ledger, until they are handed over in order.
///
/// Nothing is handed over before its chain of hashes and the orderers' signatures have been verified. What follows a
/// configuration block waits until the configuration that it brings is in force.
struct BlockBuffer: Sendable {
    /// The ledger's height.
    private(set) var height: BlockNumber = 0
    /// The next block to be handed over.
    private(set) var next: BlockNumber = 0
    /// The header of the ledger's last block, if it is known.
    private var last: Common_BlockHeader?
    /// The header of the block before ``next``, if it is known.
    private var previous: Common_BlockHeader?
    private var blocks: [BlockNumber: ReceivedBlock] = [:]
    private(set) var byteCount = 0
    /// Who gave the blocks that were handed over and are not committed yet.
    private var handed: [BlockNumber: PKIID] = [:]
    /// A configuration block was handed over.
    private var awaited: Awaited?

    private struct Awaited: Sendable {
        var block: BlockNumber
        /// The sequence of its configuration; `nil` if it can't be told.
        var sequence: UInt64?
    }

    /// How far ahead of the ledger blocks are taken.
    let window: UInt64

    /// Bytes of all blocks that wait, at most; the next one is kept however large.
    static let byteCapacity = 64 << 20

    /// - Parameter window: how many blocks ahead of the ledger are taken (`blockBufferSize`).
    init(window: Int) { self.window = UInt64(max(1, window)) }

    /// How many blocks wait.
    var count: Int { self.blocks.count }

    /// The first number that is not taken.
    var end: BlockNumber {
        let (end, overflow) = self.height.addingReportingOverflow(self.window)
        return overflow ? .max : end
    }

    /// Whether block `number` would be taken.
    func isOpen(_ number: BlockNumber) -> Bool {
        self.height > 0 && number >= self.next && number < self.end && self.blocks[number] == nil
    }

    /// Whether nothing but the next block is to be asked for, since too much waits already.
    var isHeavy: Bool { self.byteCount >= Self.byteCapacity }

    /// The ledger has grown.
    ///
    /// - Parameters:
    ///   - height: how many blocks it has.
    ///   - header: that of its last block, if it is known.
    /// - Returns: whether the last block came from elsewhere than from here.
    mutating func advance(to height: BlockNumber, _ header: Common_BlockHeader?) -> Bool {
        guard height > self.height || (height == self.height && header != nil) else { return false }
        let isForeign = height > self.height && height > 0 && self.handed[height - 1] == nil
        self.height = height
        self.last = header
        self.handed = self.handed.filter { $0.key >= height }
        if height > self.next || (height == self.next && self.previous == nil) {
            self.next = height
            self.previous = header
        }
        self.drop { [next] in $0 < next }
        return isForeign
    }

    /// Whether the configuration in force is the one under which block `number` was made, for certain.
    func isConfigured(for number: BlockNumber) -> Bool { number == self.next && self.awaited == nil }

    mutating func insert(_ block: ReceivedBlock) {
        guard self.isOpen(block.number) else { return }
        self.blocks[block.number] = block
        self.byteCount += block.byteCount
        while self.byteCount > Self.byteCapacity, let last = self.blocks.keys.max(), last > self.next {
            self.drop { $0 == last }
        }
    }

    /// What can be handed over now.
    ///
    /// - Returns: blocks in order, and a refusal with who gave the block, if one was refused.
    mutating func handOver(_ view: ChannelView) -> (blocks: [PeerBlock], refused: (PKIID, BlockRefusal)?) {
        var result: [PeerBlock] = []
        while self.isConfigured(view), var block = self.blocks[self.next] {
            self.drop { $0 == block.number }
            do throws(BlockRefusal) {
                if let previous, block.block.header.previousHash != previous.hash {
                    throw BlockRefusal("block \(block.number) doesn't follow block \(previous.number)")
                }
                try block.verifySignatures(view)
            } catch {
                return (result, (block.sender, error))
            }
            if block.block.isConfigBlock {
                let sequence = try? block.block.configEnvelope().config.sequence
                self.awaited = Awaited(block: block.number, sequence: sequence)
            }
            result.append(
                PeerBlock(block: block.block, privateData: block.privateData, sender: block.sender)
            )
            self.handed[block.number] = block.sender
            self.previous = block.block.header
            self.next = block.number + 1
        }
        return (result, nil)
    }

    /// A block that was handed over was not accepted: all that follow the ledger are asked for again.
    ///
    /// - Returns: who gave it.
    mutating func refuse(_ number: BlockNumber) -> PKIID? {
        let sender = self.handed[number]
        self.handed = [:]
        self.awaited = nil
        self.next = self.height
        self.previous = self.last
        return sender
    }

    /// Whether blocks can be judged: no configuration is under way.
    private mutating func isConfigured(_ view: ChannelView) -> Bool {
        guard let awaited else { return true }
        guard self.height > awaited.block else { return false }
        if let sequence = awaited.sequence, view.configuration.sequence < sequence { return false }
        self.awaited = nil
        return true
    }

    private mutating func drop(where condition: (BlockNumber) -> Bool) {
        for (number, block) in self.blocks where condition(number) {
            self.blocks[number] = nil
            self.byteCount -= block.byteCount
        }
    }
}
