package import Channel
package import FabricProtos
internal import Foundation
package import Gossip
internal import Synchronization

/// Where the blocks of a channel come together: those that an orderer sends, and those that other peers give.
///
/// The blocks of both go through the ``CommitPipeline`` in the order of their numbers, each once. Also says whether this
/// peer takes blocks from the ordering service at all: only the leader of an organization may.
package final class BlockIntake: Sendable {
    private struct State {
        var leads: Bool
        /// What other peers gave, until it is in the ledger: a run that fails loses what it has taken.
        ///
        /// Gossip bounds it, since it hands over no more than its window ahead of the ledger.
        var given: [BlockNumber: Common_Block] = [:]
        /// The next block that the run takes.
        var expected: BlockNumber = 0
        /// The orderer's block that waits to be taken.
        var ordered: Common_Block?
        /// The orderer's blocks have ended.
        var ending: Result<Void, any Error>?
        var isRunning = false
        /// Whether an orderer feeds the run.
        var isFed = false
        /// Orderers' streams that wait for the run of what other peers gave to end.
        var streams = 0
        /// Blocks that the run has taken of other peers.
        var taken: Set<BlockNumber> = []
        var report: Report?
        var isReachable = true

        // Whoever waits for something looks again after every change.
        var version: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var lastWaiter: UInt64 = 0
        /// Waiters of before the last changes.
        var woken: [CheckedContinuation<Void, Never>] = []

        mutating func change() {
            self.version &+= 1
            self.woken += self.waiters.values
            self.waiters = [:]
        }
    }

    package typealias Report = @Sendable (BlocksInput) async -> Void

    private let state: Mutex<State>

    /// - Parameter leads: whether blocks are taken from the ordering service until gossip says otherwise.
    package init(leads: Bool = true) {
        self.state = Mutex(State(leads: leads))
    }

    // MARK: - What gossip says and hears

    /// Says where to tell gossip what becomes of blocks.
    package func connect(_ report: @escaping Report) {
        self.state.withLock { $0.report = report }
    }

    package func tell(_ input: BlocksInput) {
        guard let report = self.state.withLock({ $0.report }) else { return }
        Task { await report(input) }
    }

    /// Tells gossip whether orderers give blocks.
    ///
    /// That they don't is told each time, since whoever leads may have begun to lead again.
    package func ordererIsReachable(_ isReachable: Bool) {
        let isNews = self.state.withLock { state in
            defer { state.isReachable = isReachable }
            return state.isReachable != isReachable || !isReachable
        }
        if isNews { self.tell(.ordererReachable(isReachable)) }
    }

    /// Whether blocks are taken from the ordering service.
    package var leads: Bool {
        get { self.state.withLock { $0.leads } }
        set { self.change { $0.leads = newValue } }
    }

    /// Takes blocks that other peers gave; those below `height` are in the ledger already.
    package func give(_ blocks: [Common_Block], height: BlockNumber) {
        self.change { state in
            state.given = state.given.filter { $0.key >= height }
            for block in blocks where block.header.number >= height {
                state.given[block.header.number] = block
            }
        }
    }

    /// How many blocks of other peers wait or are on their way into the ledger.
    package var givenCount: Int { self.state.withLock { $0.given.count } }

    /// Whether the run that is going on, or the last one, took block `number` from another peer.
    package func cameFromPeer(_ number: BlockNumber) -> Bool {
        self.state.withLock { $0.taken.contains(number) }
    }

    /// Waits until this peer is, or is not, to take blocks from the ordering service.
    package func waitUntil(leads: Bool) async throws {
        _ = try await self.wait { $0.leads == leads ? true : nil }
    }

    // MARK: - Runs

    /// Commits what other peers give while no orderer sends anything: begins when there is something, and ends when an
    /// orderer's stream begins.
    ///
    /// - Parameters:
    ///   - height: the ledger's height.
    ///   - run: takes blocks through the pipeline until they end.
    /// - Throws: ``RefusedPeerBlock``, or the error of `run`.
    package func commitGiven(
        height: @Sendable @escaping () -> BlockNumber,
        _ run: (IntakeBlocks) async throws -> Void
    ) async throws {
        try await self.wait { state -> Bool? in
            let next = height()
            guard !state.isRunning, state.streams == 0, state.given[next] != nil else { return nil }
            Self.begin(&state, at: next, isFed: false)
            return true
        }
        try await self.finish { try await run(IntakeBlocks(intake: self)) }
    }

    /// Commits an orderer's blocks, and those that other peers give in between, until the orderer's end.
    ///
    /// - Parameters:
    ///   - blocks: what the orderer sends, from the ledger's height on.
    ///   - height: the ledger's height.
    ///   - run: takes blocks through the pipeline until they end.
    /// - Throws: ``RefusedPeerBlock``, the error of `run`, or that of `blocks`.
    package func commit<Blocks: AsyncSequence & Sendable>(
        _ blocks: Blocks,
        height: @Sendable @escaping () -> BlockNumber,
        _ run: @Sendable @escaping (IntakeBlocks) async throws -> Void
    ) async throws where Blocks.Element == Common_Block {
        self.change { $0.streams += 1 }
        do {
            try await self.wait { state -> Bool? in
                guard !state.isRunning else { return nil }
                Self.begin(&state, at: height(), isFed: true)
                return true
            }
        } catch {
            self.change { $0.streams -= 1 }
            throw error
        }
        self.change { $0.streams -= 1 }
        try await self.finish {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    await self.pump(blocks)
                    return false
                }
                group.addTask {
                    try await run(IntakeBlocks(intake: self))
                    return true
                }
                defer { group.cancelAll() }
                while let isDone = try await group.next(), !isDone {}
            }
        }
    }

    private static func begin(_ state: inout State, at next: BlockNumber, isFed: Bool) {
        state.isRunning = true
        state.isFed = isFed
        state.expected = next
        state.ordered = nil
        state.ending = nil
        state.taken = []
        state.given = state.given.filter { $0.key >= next }
    }

    /// Runs `body`, and says whose fault it was if a block was refused.
    private func finish(_ body: () async throws -> Void) async throws {
        defer { self.change { $0.isRunning = false } }
        do {
            try await body()
        } catch let refused as RefusedBlock where self.cameFromPeer(refused.number) {
            self.change { $0.given = [:] }
            self.tell(.refused(refused.number, reason: "\(refused.cause)"))
            throw RefusedPeerBlock(refused)
        }
    }

    /// Hands over an orderer's blocks one by one.
    private func pump<Blocks: AsyncSequence & Sendable>(
        _ blocks: Blocks
    ) async where Blocks.Element == Common_Block {
        let result: Result<Void, any Error>
        do {
            for try await block in blocks {
                try await self.wait { state -> Bool? in
                    guard state.ordered == nil else { return nil }
                    state.ordered = block
                    return true
                }
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        self.change { $0.ending = result }
    }

    fileprivate enum Next: Sendable {
        case block(Common_Block)
        case end(Result<Void, any Error>)
    }

    /// The next block of either side; waits until there is one.
    fileprivate func next() async throws -> Common_Block? {
        let next = try await self.wait { Self.take(&$0) }
        switch next {
        case .block(let block): return block
        case .end(let result):
            try result.get()
            return nil
        }
    }

    private static func take(_ state: inout State) -> Next? {
        if let ordered = state.ordered, ordered.header.number < state.expected {
            // A peer was faster.
            state.ordered = nil
            state.change()
        }
        let given = state.given[state.expected]
        if let ordered = state.ordered, ordered.header.number == state.expected || given == nil {
            state.ordered = nil
            state.expected = ordered.header.number &+ 1
            return .block(ordered)
        }
        if let given {
            state.taken.insert(state.expected)
            state.expected += 1
            return .block(given)
        }
        if state.ordered == nil, let ending = state.ending { return .end(ending) }
        return !state.isFed && state.streams > 0 ? .end(.success(())) : nil
    }

    // MARK: - Waiting

    private func change(_ body: (inout State) -> Void) {
        self.update { state in
            body(&state)
            state.change()
        }
    }

    /// Changes the state, and wakes who waited for that once the lock is free: to resume a task takes a lock of the task,
    /// which a thread that cancels it holds while it waits for ours.
    private func update<Value: Sendable>(_ body: (inout State) -> Value) -> Value {
        let (value, woken) = self.state.withLock { state in
            let value = body(&state)
            defer { state.woken = [] }
            return (value, state.woken)
        }
        for waiter in woken { waiter.resume() }
        return value
    }

    /// Waits until `body` gives a value; what it changes by then is seen by all who wait.
    @discardableResult
    private func wait<Value: Sendable>(_ body: (inout State) -> Value?) async throws -> Value {
        while true {
            try Task.checkCancellation()
            let (value, version) = self.update { state -> (Value?, UInt64) in
                let value = body(&state)
                if value != nil { state.change() }
                return (value, state.version)
            }
            if let value { return value }
            await self.change(since: version)
        }
    }

    /// Waits until something has changed, or the task is cancelled.
    private func change(since version: UInt64) async {
        let number = self.state.withLock { state in
            state.lastWaiter &+= 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = self.state.withLock { state in
                    if state.version != version || Task.isCancelled { return true }
                    state.waiters[number] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
        }
    }
}

/// The blocks of an orderer and of other peers, in order.
package struct IntakeBlocks: AsyncSequence, Sendable {
    package typealias Element = Common_Block

    fileprivate let intake: BlockIntake

    package struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let intake: BlockIntake

        package mutating func next() async throws -> Common_Block? { try await self.intake.next() }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(intake: self.intake) }
}

/// A block that another peer gave is not signed as it must be, or doesn't fit.
package struct RefusedPeerBlock: Error, Sendable, CustomStringConvertible {
    package let description: String

    init(_ refused: RefusedBlock) { self.description = "a block that another peer gave: \(refused)" }
}

/// The intakes of all channels.
package final class BlockIntakes: Sendable {
    private let intakes = Mutex<[ChannelID: BlockIntake]>([:])
    private let leads: Bool

    /// - Parameter leads: whether blocks are taken from the ordering service until gossip says otherwise.
    package init(leads: Bool) { self.leads = leads }

    /// The intake of a channel, which is made when it is first asked for.
    package subscript(channel: ChannelID) -> BlockIntake {
        self.intakes.withLock { intakes in
            if let intake = intakes[channel] { return intake }
            let intake = BlockIntake(leads: self.leads)
            intakes[channel] = intake
            return intake
        }
    }

    package func remove(_ channel: ChannelID) { self.intakes.withLock { $0[channel] = nil } }
}
