package import Channel
internal import DequeModule
package import FabricProtos
package import Ledger
internal import Synchronization

/// Tells whoever waits that a block, or a transaction, has been committed.
///
/// It keeps the last few blocks, so that readers at the tip need no disk. A reader takes blocks by number and
/// at its own pace (see ``PeerChannel/block(_:)``), so a slow one costs no memory here.
package final class CommitNotifier: Sendable {
    /// What a transaction that somebody waits for has become.
    package struct TransactionStatus: Equatable, Sendable {
        package var code: Protos_TxValidationCode
        package var block: BlockNumber

        package init(code: Protos_TxValidationCode, block: BlockNumber) {
            self.code = code
            self.block = block
        }
    }

    /// More callers wait than the peer allows.
    package struct TooManyWaiters: Error, Sendable, CustomStringConvertible {
        package var limit: Int
        package var description: String {
            "\(self.limit) calls already wait for a commit on this channel; try again later"
        }
    }

    /// No block will come, at least for the time being: the peer shuts down, or the channel has stopped.
    package struct Closed: Error, Sendable, CustomStringConvertible {
        package var description: String
    }

    fileprivate enum Wait: Sendable {
        case block(BlockNumber, CheckedContinuation<Void, any Error>)
        case transaction(String, CheckedContinuation<TransactionStatus, any Error>)

        func fail(_ error: any Error) {
            switch self {
            case .block(_, let continuation): continuation.resume(throwing: error)
            case .transaction(_, let continuation): continuation.resume(throwing: error)
            }
        }
    }

    fileprivate struct State {
        var height: BlockNumber
        var recent: Deque<(block: CommittedBlock, bytes: Int)> = []
        var recentBytes = 0
        var waits: [UInt64: Wait] = [:]
        var blockWaits: Set<UInt64> = []
        var transactionWaits: [String: Set<UInt64>] = [:]
        var expected = ExpectedTransactions()
        var closed: Closed?
    }

    private let state: Mutex<State>
    private let nextWait = Atomic<UInt64>(0)
    private let waitLimit: Int

    /// - Parameters:
    ///   - height: the ledger's height, which is the number of its next block.
    ///   - waitLimit: how many callers may wait at once.
    package init(height: BlockNumber, waitLimit: Int = 20_000) {
        self.state = Mutex(State(height: height))
        self.waitLimit = waitLimit
    }

    /// The number of the next block.
    package var height: BlockNumber { self.state.withLock { $0.height } }

    /// One of the last blocks, if it is still kept.
    package func recentBlock(_ number: BlockNumber) -> CommittedBlock? {
        self.state.withLock { state in
            guard let first = state.recent.first?.block.block.header.number, number >= first,
                number - first < UInt64(state.recent.count)
            else { return nil }
            return state.recent[Int(number - first)].block
        }
    }

    /// Announces a block that has been committed.
    ///
    /// - Parameters:
    ///   - committed: the block, with its codes.
    ///   - transactionIDs: the identifiers of its transactions, in order; `nil` where there is none.
    package func publish(_ committed: CommittedBlock, transactionIDs: [String?]) {
        let number = committed.block.header.number
        let (blockWaits, transactionWaits) = self.state.withLock { state in
            state.height = number + 1
            state.keep(committed)
            for case let identifier? in transactionIDs { state.expected.remove(identifier) }
            return (
                state.removeWaits(forBlocksBelow: number + 1),
                zip(transactionIDs, committed.codes).flatMap { identifier, code in
                    state.removeWaits(forTransaction: identifier).map { ($0, code) }
                }
            )
        }
        for continuation in blockWaits { continuation.resume() }
        for (continuation, code) in transactionWaits {
            continuation.resume(returning: TransactionStatus(code: code, block: number))
        }
    }

    /// Fails all who wait, and who will until ``open()``: no block will come.
    package func close(_ reason: String) {
        let closed = Closed(description: reason)
        let waits = self.state.withLock { state in
            state.closed = closed
            let waits = Array(state.waits.values)
            state.waits = [:]
            state.blockWaits = []
            state.transactionWaits = [:]
            return waits
        }
        for wait in waits { wait.fail(closed) }
    }

    /// Lets callers wait again after ``close(_:)``.
    package func open() {
        self.state.withLock { $0.closed = nil }
    }

    private var isClosed: Bool { self.state.withLock { $0.closed != nil } }

    /// Waits until block `number` is committed.
    ///
    /// - Throws: ``TooManyWaiters``, ``Closed``, or `CancellationError` if the task is cancelled.
    package func waitForBlock(_ number: BlockNumber) async throws {
        let wait = self.nextWait.add(1, ordering: .relaxed).newValue
        if self.height > number { return }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard self.add(.block(number, continuation), as: wait) else { return }
                if self.height > number, case .block(_, let continuation)? = self.remove(wait) {
                    continuation.resume()
                }
            }
        } onCancel: {
            self.remove(wait)?.fail(CancellationError())
        }
    }

    /// Notes that a transaction is in no block below `height`, so that who waits for it need not search the ledger.
    ///
    /// Does nothing if there are more blocks by now.
    package func expect(_ identifier: String, asOf height: BlockNumber) {
        self.state.withLock { if $0.height == height { $0.expected.insert(identifier) } }
    }

    /// Waits until a block that holds the transaction is committed.
    ///
    /// - Parameters:
    ///   - identifier: of the transaction.
    ///   - lookUp: asks the ledger; called once the wait is registered, so that no commit slips through between
    ///     the two.
    /// - Returns: what it has become.
    /// - Throws: ``TooManyWaiters``, ``Closed``, `CancellationError`, or the error of `lookUp`.
    package func waitForTransaction(
        _ identifier: String,
        lookUp: () throws -> TransactionStatus?
    ) async throws -> TransactionStatus {
        let wait = self.nextWait.add(1, ordering: .relaxed).newValue
        // What is committed is told also while nothing more can be.
        if self.isClosed, let status = try lookUp() { return status }
        let isExpected = self.state.withLock { $0.expected.contains(identifier) }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard self.add(.transaction(identifier, continuation), as: wait) else { return }
                // If its block has come since, it is no longer expected, and the ledger has it.
                guard !isExpected || !self.state.withLock({ $0.expected.contains(identifier) }) else {
                    return
                }
                do {
                    guard let status = try lookUp() else { return }
                    if case .transaction(_, let continuation)? = self.remove(wait) {
                        continuation.resume(returning: status)
                    }
                } catch {
                    self.remove(wait)?.fail(error)
                }
            }
        } onCancel: {
            self.remove(wait)?.fail(CancellationError())
        }
    }

    /// Registers `wait`, or fails it at once and returns `false`.
    private func add(_ wait: Wait, as number: UInt64) -> Bool {
        let refusal: (any Error)? = self.state.withLock { state in
            // Inside the lock: a cancellation that comes later finds the wait registered.
            if Task.isCancelled { return CancellationError() }
            if let closed = state.closed { return closed }
            if state.waits.count >= self.waitLimit { return TooManyWaiters(limit: self.waitLimit) }
            state.add(wait, as: number)
            return nil
        }
        if let refusal { wait.fail(refusal) }
        return refusal == nil
    }

    private func remove(_ number: UInt64) -> Wait? {
        self.state.withLock { $0.remove(number) }
    }
}

/// Transactions that are in no block yet, as far as they are remembered: the older half is forgotten when the younger
/// half is full.
struct ExpectedTransactions {
    private static let capacity = 16_384

    private var young: Set<String> = []
    private var old: Set<String> = []

    func contains(_ identifier: String) -> Bool {
        self.young.contains(identifier) || self.old.contains(identifier)
    }

    mutating func insert(_ identifier: String) {
        if self.young.count >= Self.capacity / 2 {
            self.old = self.young
            self.young = []
        }
        self.young.insert(identifier)
    }

    mutating func remove(_ identifier: String) {
        if self.young.remove(identifier) == nil { self.old.remove(identifier) }
    }
}

extension CommitNotifier.State {
    /// What is kept of the last blocks, for readers at the tip.
    private static let recentLimit = (bytes: 4 << 20, blocks: 32)

    mutating func keep(_ committed: CommittedBlock) {
        let bytes = committed.block.data.data.reduce(0) { $0 + $1.count }
        if let last = self.recent.last, last.block.block.header.number &+ 1 != committed.block.header.number {
            self.recent = []
            self.recentBytes = 0
        }
        self.recent.append((committed, bytes))
        self.recentBytes += bytes
        while self.recent.count > 1,
            self.recent.count > Self.recentLimit.blocks || self.recentBytes > Self.recentLimit.bytes,
            let first = self.recent.popFirst()
        {
            self.recentBytes -= first.bytes
        }
    }

    mutating func add(_ wait: CommitNotifier.Wait, as number: UInt64) {
        self.waits[number] = wait
        switch wait {
        case .block: self.blockWaits.insert(number)
        case .transaction(let identifier, _): self.transactionWaits[identifier, default: []].insert(number)
        }
    }

    mutating func remove(_ number: UInt64) -> CommitNotifier.Wait? {
        guard let wait = self.waits.removeValue(forKey: number) else { return nil }
        switch wait {
        case .block:
            self.blockWaits.remove(number)
        case .transaction(let identifier, _):
            self.transactionWaits[identifier]?.remove(number)
            if self.transactionWaits[identifier]?.isEmpty == true { self.transactionWaits[identifier] = nil }
        }
        return wait
    }

    mutating func removeWaits(forBlocksBelow height: BlockNumber) -> [CheckedContinuation<Void, any Error>] {
        self.blockWaits.compactMap { number in
            guard case .block(let block, let continuation)? = self.waits[number], block < height else {
                return nil
            }
            _ = self.remove(number)
            return continuation
        }
    }

    mutating func removeWaits(
        forTransaction identifier: String?
    ) -> [CheckedContinuation<CommitNotifier.TransactionStatus, any Error>] {
        guard !self.transactionWaits.isEmpty, let identifier, let numbers = self.transactionWaits[identifier]
        else { return [] }
        return numbers.compactMap { number in
            guard case .transaction(_, let continuation)? = self.remove(number) else { return nil }
            return continuation
        }
    }
}
