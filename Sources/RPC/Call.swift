internal import CGRPC
internal import GRPCCore
internal import Synchronization

/// One call: C core's handle, the memory core writes into, and the state of both directions.
///
/// A direction never has more than one batch under way. Sending returns as soon as core has taken a part, and
/// the next part waits until that one has passed flow control: so a peer that doesn't read stops the writer,
/// with one message in core and one in the writer's hands. Receiving goes some messages ahead of the reader, see
/// ``Incoming``.
///
/// The asynchronous functions here stay with their caller (`nonisolated(nonsending)`), since each change of
/// executor costs a task that prefers a poller as much as a lock.
class Call: CompletionTarget, @unchecked Sendable {
    // Why `@unchecked`: `slots` is written by core while a batch is under way and by its completion, and read
    // only after that completion was seen under the lock of `state`; `slots.sending` belongs to whoever has
    // set `sending`. The handle of the call is set once, before any other thread knows the object. Everything
    // else is inside `state`.
    let slots: UnsafeMutablePointer<weft_call_slots>
    let state = Mutex(CallState())
    private let outgoingMetadata = Mutex<[OutgoingMetadata]>([])

    override init(poller: Poller) {
        self.slots = .allocate(capacity: 1)
        weft_call_slots_init(self.slots)
        super.init(poller: poller)
    }

    deinit {
        // No batch is under way: each holds a reference to self.
        while let unread = self.state.withLock({ $0.incoming.next() }) { self.destroy(unread.buffer) }
        if let buffer = self.slots.pointee.message { grpc_byte_buffer_destroy(buffer) }
        if let buffer = self.slots.pointee.sending { self.destroy(buffer) }
        if let call = self.slots.pointee.call {
            grpc_call_unref(call)
            self.poller.liveCalls.wrappingSubtract(1, ordering: .relaxed)
        }
        weft_call_slots_destroy(self.slots)
        self.slots.deallocate()
    }

    /// Takes over a reference to core's call; it is given back when the object goes.
    final func adopt(_ call: OpaquePointer) {
        self.slots.pointee.call = call
        self.poller.liveCalls.wrappingAdd(1, ordering: .relaxed)
        self.state.withLock { $0.call = call }
    }

    /// Ends the call at once, on both sides, unless it is over.
    ///
    /// `code` is what a client's own caller is told.
    final func cancel(_ code: Status.Code = .cancelled, _ message: String = "The RPC was cancelled.") {
        let call = self.state.withLock { $0.isOver ? nil : $0.call }
        guard let call else { return }
        grpc_call_cancel_with_status(
            call,
            grpc_status_code(rawValue: numericCast(code.rawValue)),
            message,
            nil
        )
    }

    // MARK: Waiting

    /// Whether all that can be waited for comes when the call ends, and the task that makes the call ends it when
    /// it is cancelled: then its waiting needs no care of its own.
    var endsWithItsTask: Bool { false }

    /// Suspends until `ready` holds or the list is resumed; the caller looks at the state again afterwards.
    ///
    /// - Throws: `RPCError` with code `cancelled` when the task is cancelled.
    nonisolated(nonsending) final func wait(
        _ direction: CallState.Direction,
        unless ready: @Sendable (CallState) -> Bool
    ) async throws(RPCError) {
        guard !self.endsWithItsTask else {
            await withUnsafeContinuation { self.add($0, id: 0, to: direction, unless: ready) }
            return
        }
        let id = self.state.withLock { $0.makeWaiterID() }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { self.add($0, id: id, to: direction, unless: ready) }
        } onCancel: {
            self.state.withLock { $0.removeWaiter(id: id, from: direction) }?.resume()
        }
        if Task.isCancelled {
            throw RPCError(
                code: .cancelled,
                message: "The task that waited for the RPC was cancelled.",
                cause: CancellationError()
            )
        }
    }

    private func add(
        _ waiter: WaitList.Waiter,
        id: UInt64,
        to direction: CallState.Direction,
        unless ready: (CallState) -> Bool
    ) {
        let goOn = self.state.withLock { state in
            if ready(state) || (id > 0 && Task.isCancelled) { return true }
            state.append(waiter, id: id, to: direction)
            return false
        }
        if goOn { waiter.resume() }
    }

    // MARK: Receiving

    /// Whether core is asked for messages before somebody reads them.
    var readsAhead: Bool { false }

    /// The next message, or `nil` after the last one.
    ///
    /// - Throws: `RPCError` with code `cancelled` when the task is cancelled while it waits.
    nonisolated(nonsending) final func nextMessage() async throws(RPCError) -> MessageBytes? {
        while true {
            let (message, ended, call) = self.state.withLock { state in
                let message = state.incoming.next()
                let receives =
                    state.call != nil && (message == nil || self.readsAhead)
                    && state.incoming.beginReceiving(ahead: self.readsAhead)
                return (message, state.incoming.phase == .ended, receives ? state.call : nil)
            }
            if let call { self.startReceiving(call) }
            if let message {
                defer { self.destroy(message.buffer) }
                return MessageBytes(copying: message.buffer, count: message.count)
            }
            if ended { return nil }
            try await self.wait(.receiving) { $0.incoming.isReadable }
        }
    }

    /// Starts to receive one message.
    ///
    /// The state says already that this is under way.
    final func startReceiving(_ call: OpaquePointer) {
        let error = weft_call_receive_message(call, self.slots, self.makeTag(.receiveMessage))
        guard error != GRPC_CALL_OK else { return }
        self.cancelTag()
        self.receivedMessage(nil)
    }

    /// Takes over what core has received (nothing: there will be no message any more), and asks for more.
    ///
    /// A message is taken over on the poller's thread.
    final func receivedMessage(_ message: ReceivedMessage?) {
        let (woken, receives) = self.state.withLock { state in
            state.incoming.receive(message)
            let receives = self.readsAhead && state.incoming.beginReceiving(ahead: true)
            return (state.readers.removeAll(), receives)
        }
        woken.resume()
        if receives { self.poller.receiveLater(self) }
    }

    /// Goes on with what ``receivedMessage(_:)`` put off.
    final func receiveOn() {
        guard let call = self.slots.pointee.call else { return }
        self.startReceiving(call)
    }

    /// Takes what core has received out of the slots.
    final func takeReceivedMessage() -> ReceivedMessage? {
        let message = ReceivedMessage(self.slots.pointee.message)
        self.slots.pointee.message = nil
        if message != nil { self.poller.liveByteBuffers.wrappingAdd(1, ordering: .relaxed) }
        return message
    }

    final func destroy(_ buffer: UnsafeMutablePointer<grpc_byte_buffer>) {
        grpc_byte_buffer_destroy(buffer)
        self.poller.liveByteBuffers.wrappingSubtract(1, ordering: .relaxed)
    }

    // MARK: Sending

    /// Waits for the turn to send, and takes it: ``startSending(_:_:)`` or ``sent(succeeded:)`` must follow.
    nonisolated(nonsending) final func takeTurnToSend() async throws(RPCError) -> OpaquePointer {
        while true {
            switch self.state.withLock({ $0.takeTurnToSend() }) {
            case .taken(let call): return call
            case .isOver: throw self.sendingIsOver()
            case .notStarted:
                throw RPCError(code: .internalError, message: "The first part must be metadata.")
            case .wait: break
            }
            try await self.wait(.sending) { $0.isOver || $0.sendFailed || !$0.isSending }
        }
    }

    /// What a writer is told once the call can't send any more.
    func sendingIsOver() -> RPCError {
        RPCError(code: .cancelled, message: "The RPC is over: the other side ended or cancelled it.")
    }

    /// Starts the batch of which `fill` says what it sends.
    ///
    /// The turn was taken before.
    final func startSending(
        _ call: OpaquePointer,
        _ operation: Operation,
        message: MessageBytes?,
        bufferHint: Bool = false,
        _ fill: (inout weft_outgoing) -> Void
    ) throws(RPCError) {
        var outgoing = weft_outgoing()
        outgoing.message = self.hold(message)
        outgoing.message_flags = bufferHint ? UInt32(GRPC_WRITE_BUFFER_HINT) : 0
        fill(&outgoing)
        let error = weft_call_send(call, &outgoing, self.makeTag(operation))
        guard error != GRPC_CALL_OK else { return }
        self.cancelTag()
        self.sent(succeeded: false)
        throw RPCError(code: .internalError, message: "C core refused to send: \(name(of: error))")
    }

    /// Keeps the message in core's form until the batch that sends it has completed.
    final func hold(_ message: MessageBytes?) -> UnsafeMutablePointer<grpc_byte_buffer>? {
        guard let buffer = message?.makeByteBuffer() else { return nil }
        self.poller.liveByteBuffers.wrappingAdd(1, ordering: .relaxed)
        self.slots.pointee.sending = buffer
        return buffer
    }

    /// Keeps metadata in core's form for as long as the call lives.
    final func hold(_ metadata: OutgoingMetadata) {
        if metadata.count > 0 { self.outgoingMetadata.withLock { $0.append(metadata) } }
    }

    /// Ends the turn to send.
    final func sent(succeeded: Bool) {
        self.destroySent()
        let woken = self.state.withLock { state in
            state.isSending = false
            if !succeeded { state.sendFailed = true }
            return state.writers.removeAll()
        }
        woken.resume()
    }
}

extension Call {
    /// Releases the message whose batch has completed.
    final func destroySent() {
        guard let buffer = self.slots.pointee.sending else { return }
        self.slots.pointee.sending = nil
        self.destroy(buffer)
    }
}

func name(of error: grpc_call_error) -> String {
    grpc_call_error_to_string(error).map { String(cString: $0) } ?? "error \(error.rawValue)"
}
