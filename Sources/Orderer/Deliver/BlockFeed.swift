internal import Channel
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf
internal import Synchronization

/// A block as Deliver sends it: bytes of `orderer.DeliverResponse`, made once and shared by all readers.
struct DeliverableBlock: Sendable {
    let number: BlockNumber
    /// The response with the whole block.
    let whole: Data
    /// How many of its bytes, at the end, are the block.
    private let size: Int

    init(_ block: Common_Block) throws {
        guard let encoding = BlockEncoding(block) else {
            self.init(number: block.header.number, serialized: try block.serializedBytes())
            return
        }
        let head = Self.head(encoding.size)
        var whole = Data(count: head.count + encoding.size)
        whole.withUnsafeMutableBytes { buffer in
            buffer.copyBytes(from: head)
            encoding.write(to: UnsafeMutableRawBufferPointer(rebasing: buffer.dropFirst(head.count)))
        }
        self.init(number: block.header.number, whole: whole, size: encoding.size)
    }

    /// - Parameters:
    ///   - number: The block's number.
    ///   - serialized: The bytes of the `common.Block`.
    init(number: BlockNumber, serialized: Data) {
        self.init(number: number, whole: Self.response(serialized), size: serialized.count)
    }

    private init(number: BlockNumber, whole: Data, size: Int) {
        self.number = number
        self.whole = whole
        self.size = size
    }

    /// The response with header and metadata only; the whole block for a config block, which is never shortened.
    ///
    /// Made for each reader that asks for it: on BFT channels each peer asks all orderers but one.
    func header() throws -> Data {
        let block = try Common_Block(attesting: self.whole.suffix(self.size))
        return block.hasData ? self.whole : Self.response(try block.serializedBytes())
    }

    /// The bytes of a `DeliverResponse` around the bytes of a block.
    static func response(_ block: Data) -> Data {
        var bytes = Data(capacity: block.count + 11)
        bytes.append(contentsOf: Self.head(block.count))
        bytes.append(block)
        return bytes
    }

    /// What stands before a block of `count` bytes.
    private static func head(_ count: Int) -> [UInt8] {
        var head = WireMessage(capacity: 11)
        head.startMessage(2, count: count)
        return head.bytes
    }
}

/// The blocks of one channel as readers see them: the newest in memory, the others on disk, the next one to come.
///
/// Any number of readers share it; a slow one holds nothing but the block that it is being sent.
final class BlockFeed: Sendable {
    /// What a reader gets that asked for a block.
    enum Next: Sendable {
        case block(DeliverableBlock)
        /// The block is on disk.
        case stored(BlockLog)
        /// The block does not exist yet.
        case notYet
        /// The chain can't go on; readers that insist on a healthy one are told.
        case failed(String)
        /// The node is shutting down, or leaves the channel.
        case closed
    }

    private struct State {
        var height: BlockNumber = 0
        var log: BlockLog?
        /// The log that was opened last, for as long as the chain or a reader has it.
        weak var opened: BlockLog?
        var recent: Deque<DeliverableBlock> = []
        var recentBytes = 0
        /// Why the chain can't go on.
        var failure: String?
        var isClosed = false
        /// Grows whenever something changes that a waiting reader could care about.
        var version: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state: Mutex<State>
    private let maxRecentBytes: Int

    init(maxRecentBytes: Int, failure: String) {
        self.maxRecentBytes = maxRecentBytes
        var state = State()
        state.failure = failure
        self.state = Mutex(state)
    }

    /// How many blocks there are.
    var height: BlockNumber { self.state.withLock { $0.height } }

    /// Why the chain can't go on, if it can't.
    var failure: String? { self.state.withLock { $0.failure } }

    /// Whether nobody, no reader either, has the blocks on disk open.
    var isReleased: Bool { self.state.withLock { $0.opened == nil } }

    /// The blocks on disk can be read.
    func opened(_ log: BlockLog) {
        self.change { state in
            state.log = log
            state.opened = log
            // After a failure the log may lack blocks that readers have seen; they come again.
            state.height = max(state.height, log.height)
        }
    }

    /// The blocks on disk can't be read until they are opened again.
    func released() {
        self.change { $0.log = nil }
    }

    /// The blocks on disk were removed.
    func emptied() {
        self.change { state in
            state.height = 0
            state.recent = []
            state.recentBytes = 0
        }
    }

    /// A block was appended.
    func append(_ block: DeliverableBlock) {
        self.change { state in
            if let last = state.recent.last {
                if last.number >= block.number { return }
                if last.number + 1 < block.number {
                    // After a failure those between are on disk only.
                    state.recent = []
                    state.recentBytes = 0
                }
            }
            state.height = max(state.height, block.number + 1)
            state.recent.append(block)
            state.recentBytes += block.whole.count
            while state.recentBytes > self.maxRecentBytes, let oldest = state.recent.popFirst() {
                state.recentBytes -= oldest.whole.count
            }
        }
    }

    /// The chain works (`nil`) or doesn't.
    func report(failure: String?) {
        self.change { $0.failure = failure }
    }

    /// Ends every reader.
    func close() {
        self.change { $0.isClosed = true }
    }

    /// Where block `number` is.
    func find(_ number: BlockNumber, insistsOnHealth: Bool) -> (next: Next, version: UInt64) {
        self.state.withLock { state in (Self.find(number, insistsOnHealth, state), state.version) }
    }

    private static func find(_ number: BlockNumber, _ insistsOnHealth: Bool, _ state: State) -> Next {
        if state.isClosed { return .closed }
        if insistsOnHealth, let failure = state.failure { return .failed(failure) }
        guard number < state.height else { return .notYet }
        if let first = state.recent.first?.number, number >= first,
            number - first < UInt64(state.recent.count)
        {
            return .block(state.recent[Int(number - first)])
        }
        if let log = state.log { return .stored(log) }
        return .notYet
    }

    /// Block `number` for one who doesn't wait for it, `nil` if it doesn't exist or can't be read now.
    ///
    /// Reads the disk.
    func block(_ number: BlockNumber) throws -> Common_Block? {
        switch self.find(number, insistsOnHealth: false).next {
        case .block(let block): try Orderer_DeliverResponse(serializedBytes: block.whole).block
        case .stored(let log): try log.block(number)
        case .notYet, .failed, .closed: nil
        }
    }

    /// Waits until something has changed since `version`, or the task is cancelled.
    func change(since version: UInt64) async {
        let id = self.state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = self.state.withLock { state in
                    if state.version != version || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiters = self.state.withLock { state in
            body(&state)
            state.version += 1
            let waiters = state.waiters
            state.waiters = [:]
            return waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }
}
