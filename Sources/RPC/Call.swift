internal import CGRPC
internal import GRPCCore
internal import Synchronization

/// One call: C core's handle, the memory core writes into, and the state of both directions.
///
/// A direction never has more than one batch under way. Sending returns as soon as core has taken a part, and
/// the next part waits until that one has passed flow control: so a peer that doesn't read stops the writer,
/// with one message in core and one in the writer's hands. Receiving asks for one message ahead of the reader.
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
        if case .message(let buffer) = self.state.withLock({ $0.receiving }) { self.destroy(buffer) }
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

    /// Suspends until `ready` holds or the list is resumed; the caller looks at the state again afterwards.
    ///
    /// - Throws: `RPCError` with code `cancelled` when the task is cancelled.
    final func wait(
        _ direction: CallState.Direction,
        unless ready: (CallState) -> Bool
    ) async throws(RPCError) {
        let id = self.state.withLock { $0.makeWaiterID() }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (waiter: WaitList.Waiter) in
                let goOn = self.state.withLock { state in
                    if Task.isCancelled || ready(state) { return true }
                    state.append(waiter, id: id, to: direction)
                    return false
                }
                if goOn { waiter.resume() }
            }
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

    // MARK: Receiving

    /// The next message, or `nil` after the last one.
    ///
    /// - Parameter ahead: whether to ask core for the message after this one already.
    /// - Returns: the message, or `nil`.
    /// - Throws: `RPCError` with code `cancelled` when the task is cancelled while it waits.
    final func receiveMessage(ahead: Bool) async throws(RPCError) -> MessageBytes? {
        while true {
            let (received, call) = self.state.withLock { $0.takeMessage(ahead: ahead) }
            if let call { self.startReceiving(call) }
            switch received {
            case .message(let buffer):
                defer { self.destroy(buffer) }
                return MessageBytes(copying: buffer)
            case .ended:
                return nil
            case .idle, .underWay:
                try await self.wait(.receiving) { state in
                    switch state.receiving {
                    case .message, .ended: true
                    case .idle, .underWay: false
                    }
                }
            }
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

    /// Takes what core has received out of the slots.
    final func receivedMessage(_ buffer: UnsafeMutablePointer<grpc_byte_buffer>?) {
        if buffer != nil { self.poller.liveByteBuffers.wrappingAdd(1, ordering: .relaxed) }
        let woken = self.state.withLock { state in
            state.receiving = buffer.map { .message($0) } ?? .ended
            return state.readers.removeAll()
        }
        woken.resume()
    }

    final func takeReceivedSlot() -> UnsafeMutablePointer<grpc_byte_buffer>? {
        defer { self.slots.pointee.message = nil }
        return self.slots.pointee.message
    }

    final func destroy(_ buffer: UnsafeMutablePointer<grpc_byte_buffer>) {
        grpc_byte_buffer_destroy(buffer)
        self.poller.liveByteBuffers.wrappingSubtract(1, ordering: .relaxed)
    }

    // MARK: Sending

    /// Waits for the turn to send, and takes it: ``startSending(_:_:)`` or ``sent(succeeded:)`` must follow.
    final func takeTurnToSend() async throws(RPCError) -> OpaquePointer {
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
        if let buffer = self.slots.pointee.sending {
            self.slots.pointee.sending = nil
            self.destroy(buffer)
        }
        let woken = self.state.withLock { state in
            state.isSending = false
            if !succeeded { state.sendFailed = true }
            return state.writers.removeAll()
        }
        woken.resume()
    }
}

func name(of error: grpc_call_error) -> String {
    grpc_call_error_to_string(error).map { String(cString: $0) } ?? "error \(error.rawValue)"
}

/// The state of a call's two directions.
struct CallState: @unchecked Sendable {
    // Why `@unchecked`: the pointers are core's, which any thread may use; who owns a message is said by where
    // it is kept.

    enum Receiving: @unchecked Sendable {
        // Why `@unchecked`: as above.
        case idle
        case underWay
        case message(UnsafeMutablePointer<grpc_byte_buffer>)
        case ended
    }

    /// Core's handle, once there is one.
    var call: OpaquePointer?
    var receiving = Receiving.idle
    /// A batch that sends is under way, or about to be.
    var isSending = false
    /// A batch that sends has failed: the peer will get nothing more.
    var sendFailed = false
    /// The client has its status, or the server knows that the call is over.
    var isOver = false
    var readers = WaitList()
    var writers = WaitList()
    private var nextWaiterID: UInt64 = 0

    enum Direction { case receiving, sending }

    mutating func append(_ waiter: WaitList.Waiter, id: UInt64, to direction: Direction) {
        switch direction {
        case .receiving: self.readers.append(waiter, id: id)
        case .sending: self.writers.append(waiter, id: id)
        }
    }

    mutating func removeWaiter(id: UInt64, from direction: Direction) -> WaitList.Waiter? {
        switch direction {
        case .receiving: self.readers.remove(id: id)
        case .sending: self.writers.remove(id: id)
        }
    }

    mutating func makeWaiterID() -> UInt64 {
        self.nextWaiterID &+= 1
        return self.nextWaiterID
    }

    /// Hands out the message that has come in, and the call if the caller is to start receiving.
    mutating func takeMessage(ahead: Bool) -> (Receiving, OpaquePointer?) {
        let received = self.receiving
        switch received {
        case .message:
            self.receiving = ahead ? .underWay : .idle
            return (received, ahead ? self.call : nil)
        case .idle:
            guard let call else { return (received, nil) }
            self.receiving = .underWay
            return (received, call)
        case .underWay, .ended:
            return (received, nil)
        }
    }

    enum TurnToSend {
        case taken(OpaquePointer)
        case wait
        case isOver
        case notStarted
    }

    mutating func takeTurnToSend() -> TurnToSend {
        if self.isOver || self.sendFailed { return .isOver }
        guard let call else { return .notStarted }
        guard !self.isSending else { return .wait }
        self.isSending = true
        return .taken(call)
    }

    /// Notes that the call is over and wakes everybody.
    mutating func end() -> (WaitList.Woken, WaitList.Woken) {
        self.isOver = true
        return (self.readers.removeAll(), self.writers.removeAll())
    }
}
