internal import DequeModule
internal import FabricProtos
internal import Synchronization

/// One Broadcast stream: envelopes that were read ahead, and their answers in the order of arrival.
///
/// Envelopes are checked side by side but go to their channel in the order in which they came. After the first one
/// that is refused nothing more is taken: the stream ends with its answer, as Fabric's does, and nothing that came
/// behind it is ordered.
final class BroadcastExchange: Sendable {
    /// What checking an envelope came to.
    enum Verdict: Sendable {
        /// Submits it to its channel. Returns the answer if there is one at once; otherwise the completion is
        /// called with it later.
        case accepted(
            submit:
                @Sendable (_ completion: @escaping DuplicateWindow.Completion) -> Orderer_BroadcastResponse?
        )
        case refused(Refusal)
    }

    private enum Progress: Sendable {
        case checking
        case checked(Verdict)
        case submitted
        case answered(Orderer_BroadcastResponse)
    }

    private struct Slot: Sendable {
        var bytes: Int
        var progress: Progress
    }

    private struct State {
        /// The unanswered envelopes, oldest first.
        var slots: Deque<Slot> = []
        /// The number of the first slot.
        var first = 0
        /// The number of the first envelope that has not gone to its channel.
        var next = 0
        var bytes = 0
        /// No envelope is taken any more: the client is done, or one was refused.
        var isClosed = false
        var reader: CheckedContinuation<Void, Never>?
        var writer: CheckedContinuation<Void, Never>?
        /// Whoever reads without waiting here has been told that there is no room.
        var readerIsHeld = false
    }

    private let state = Mutex(State())
    private let maxEnvelopes: Int
    private let maxBytes: Int
    /// Called when there are answers or no more will come, and when there is room again.
    private let changed: (@Sendable () -> Void)?

    /// - Parameters:
    ///   - limits: How far ahead of the answers is read.
    ///   - changed: For whoever doesn't wait here: called when ``takeAnswers()`` has something new to say, and when there is
    ///     room after ``takeNow(bytes:)`` has found none.
    init(limits: OrdererLimits, changed: (@Sendable () -> Void)? = nil) {
        self.changed = changed
        self.maxEnvelopes = max(1, limits.readAheadEnvelopes)
        self.maxBytes = max(1, limits.readAheadBytes)
    }

    // MARK: - Reading

    /// Takes an envelope of this size in; waits while too much is unanswered.
    ///
    /// - Returns: Its number, or `nil` if no more envelopes are taken.
    func take(bytes: Int) async -> Int? {
        while true {
            switch self.state.withLock({ self.take(bytes, &$0) }) {
            case .taken(let number): return number
            case .closed: return nil
            case .full: await self.waitForSpace(for: bytes)
            }
        }
    }

    /// What becomes of an envelope that came in.
    enum Intake {
        /// It has this number.
        case taken(Int)
        /// Too much is unanswered.
        case full
        /// No more envelopes are taken.
        case closed
    }

    /// Takes an envelope of this size in, if there is room.
    func takeNow(bytes: Int) -> Intake {
        self.state.withLock { state in
            let intake = self.take(bytes, &state)
            if case .full = intake { state.readerIsHeld = true }
            return intake
        }
    }

    private func take(_ bytes: Int, _ state: inout State) -> Intake {
        if state.isClosed { return .closed }
        guard self.hasSpace(for: bytes, state) else { return .full }
        state.slots.append(Slot(bytes: bytes, progress: .checking))
        state.bytes += bytes
        return .taken(state.first + state.slots.count - 1)
    }

    private func hasSpace(for bytes: Int, _ state: State) -> Bool {
        state.slots.isEmpty || (state.slots.count < self.maxEnvelopes && state.bytes + bytes <= self.maxBytes)
    }

    private func waitForSpace(for bytes: Int) async {
        await withCheckedContinuation { continuation in
            let isReady = self.state.withLock { state in
                if state.isClosed || self.hasSpace(for: bytes, state) { return true }
                state.reader = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    /// No more envelopes are taken; those that were are still answered.
    func close() {
        self.resume { $0.isClosed = true }
    }

    // MARK: - Checking and ordering

    /// Checking the envelopes with these numbers is done.
    func checked(_ verdicts: [(number: Int, verdict: Verdict)]) {
        self.resume { state in
            for (number, verdict) in verdicts {
                guard number >= state.first, number - state.first < state.slots.count else { continue }
                state.slots[number - state.first].progress = .checked(verdict)
            }
            self.submitWhatIsNext(&state)
        }
    }

    /// Sends to their channels, in order, the envelopes that are checked and have none unchecked before them.
    private func submitWhatIsNext(_ state: inout State) {
        while state.next < state.first + state.slots.count {
            let offset = state.next - state.first
            guard case .checked(let verdict) = state.slots[offset].progress else { return }
            let number = state.next
            state.next += 1
            switch verdict {
            case .refused(let refusal):
                state.slots[offset].progress = .answered(refusal.response)
                self.dropBehind(offset, &state)
            case .accepted(let submit):
                state.slots[offset].progress = .submitted
                let answer = submit { [weak self] response in self?.answered(number, response) }
                guard let answer else { continue }
                state.slots[offset].progress = .answered(answer)
                if answer.status != .success { self.dropBehind(offset, &state) }
            }
        }
    }

    /// Takes nothing more, and forgets what came behind a refused envelope.
    private func dropBehind(_ offset: Int, _ state: inout State) {
        state.isClosed = true
        while state.slots.count > offset + 1 {
            state.bytes -= state.slots.removeLast().bytes
        }
    }

    private func answered(_ number: Int, _ response: Orderer_BroadcastResponse) {
        self.resume { state in
            guard number >= state.first, number - state.first < state.slots.count else { return }
            state.slots[number - state.first].progress = .answered(response)
        }
    }

    // MARK: - Answering

    /// The answers of the oldest unanswered envelopes, as many as there are; waits for the first.
    ///
    /// - Returns: At least one; none once every envelope is answered and no more are taken, or the task is
    ///   cancelled.
    func nextAnswers() async -> [Orderer_BroadcastResponse] {
        while !Task.isCancelled {
            let (answers, isDone) = self.takeAnswers()
            if !answers.isEmpty || isDone { return answers }
            await withTaskCancellationHandler {
                await self.waitForAnswer()
            } onCancel: {
                self.close()
                self.wakeWriter()
            }
        }
        return []
    }

    /// Takes the answers up to the first envelope that has none, or up to the first that is not SUCCESS.
    func takeAnswers() -> (answers: [Orderer_BroadcastResponse], isDone: Bool) {
        var answers: [Orderer_BroadcastResponse] = []
        var reader: CheckedContinuation<Void, Never>?
        var readerWasHeld = false
        let isDone = self.state.withLock { state in
            while let slot = state.slots.first, case .answered(let response) = slot.progress {
                answers.append(response)
                state.slots.removeFirst()
                state.first += 1
                state.bytes -= slot.bytes
                if response.status != .success {
                    state.isClosed = true
                    state.slots.removeAll()
                }
            }
            if !answers.isEmpty {
                reader = state.reader.take()
                swap(&state.readerIsHeld, &readerWasHeld)
            }
            return state.slots.isEmpty && state.isClosed
        }
        reader?.resume()
        if readerWasHeld { self.changed?() }
        return (answers, isDone)
    }

    private func waitForAnswer() async {
        await withCheckedContinuation { continuation in
            let isReady = self.state.withLock { state in
                if Task.isCancelled { return true }
                if let slot = state.slots.first {
                    if case .answered = slot.progress { return true }
                } else if state.isClosed {
                    return true
                }
                state.writer = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    private func wakeWriter() {
        self.state.withLock { $0.writer.take() }?.resume()
    }

    /// Changes the state and wakes whoever can go on because of it.
    private func resume(_ change: (inout State) -> Void) {
        var reader: CheckedContinuation<Void, Never>?
        var writer: CheckedContinuation<Void, Never>?
        let hasAnswers = self.state.withLock { state in
            change(&state)
            if state.isClosed { reader = state.reader.take() }
            if let slot = state.slots.first {
                guard case .answered = slot.progress else { return false }
            } else if !state.isClosed {
                return false
            }
            writer = state.writer.take()
            return true
        }
        reader?.resume()
        writer?.resume()
        if hasAnswers { self.changed?() }
    }
}
