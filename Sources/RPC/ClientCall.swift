internal import CGRPC
internal import GRPCCore
internal import Synchronization

/// A call on the client's side.
///
/// A call with one request and one response is a single batch, started when the request is complete. Any other
/// call opens with its metadata and has its status received from the start, so that a cancellation or deadline
/// is seen at once.
final class ClientCall: Call, @unchecked Sendable {
    // Why `@unchecked`: as for `Call`; `progress` is a lock.
    private let channel: ClientChannel
    private let descriptor: MethodDescriptor
    private let options: CallOptions
    private let requestStreams: Bool
    private let responseStreams: Bool
    private let progress = Mutex(Progress())

    /// What only a client's call has to remember.
    private struct Progress {
        /// Held back until the call starts.
        var metadata: Metadata?
        var message: MessageBytes?
        /// Core has taken the batch that tells how the call ended.
        var receivesStatus = false
        /// The status when core has none: the call never started.
        var localStatus: Status?
        var wasCancelled = false
    }

    init(channel: ClientChannel, descriptor: MethodDescriptor, options: CallOptions) {
        self.channel = channel
        self.descriptor = descriptor
        self.options = options
        self.requestStreams = descriptor.type?.isRequestStreaming ?? true
        self.responseStreams = descriptor.type?.isResponseStreaming ?? true
        super.init(poller: channel.pollers.next())
    }

    override var readsAhead: Bool { self.responseStreams }

    /// A unary call is one batch, and `CoreClientTransport.withStream` cancels it.
    override var endsWithItsTask: Bool { !self.requestStreams && !self.responseStreams }

    // MARK: Sending

    nonisolated(nonsending) func write(_ part: RPCRequestPart<MessageBytes>, bufferHint: Bool) async throws {
        switch part {
        case .metadata(let metadata):
            if self.requestStreams {
                try self.startStream(metadata, message: nil, closes: false)
            } else {
                self.progress.withLock { $0.metadata = metadata }
            }
        case .message(let message):
            try self.checkSize(message)
            if self.requestStreams {
                let call = try await self.takeTurnToSend()
                try self.startSending(call, .send, message: message, bufferHint: bufferHint) { _ in }
            } else {
                let isSecond = self.progress.withLock { progress in
                    defer { progress.message = message }
                    return progress.message != nil
                }
                if isSecond {
                    throw RPCError(
                        code: .internalError,
                        message: "\(self.descriptor) takes one request message."
                    )
                }
            }
        }
    }

    nonisolated(nonsending) func finish() async {
        do {
            if self.requestStreams {
                let call = try await self.takeTurnToSend()
                try self.startSending(call, .sendLast, message: nil) { $0.has_close = 1 }
            } else {
                let (metadata, message) = self.progress.withLock { ($0.metadata ?? [:], $0.message) }
                if self.responseStreams {
                    try self.startStream(metadata, message: message, closes: true)
                } else {
                    try self.startUnary(metadata, message: message)
                }
            }
        } catch {
            // The reader learns how the call ended.
            self.fail(with: error)
        }
    }

    func finish(throwing error: any Error) {
        self.fail(with: (error as? RPCError) ?? RPCError(code: .unknown, message: "\(error)"))
    }

    private func fail(with error: RPCError) {
        if self.progress.withLock({ $0.receivesStatus }) {
            self.cancel(Status.Code(error.code), error.message)
        } else {
            self.endLocally(Status(code: Status.Code(error.code), message: error.message))
        }
    }

    private func checkSize(_ message: MessageBytes) throws(RPCError) {
        guard let limit = self.options.maxRequestMessageBytes, message.count > limit else { return }
        throw RPCError(
            code: .resourceExhausted,
            message: "The request has \(message.count) bytes, and the call's limit is \(limit)."
        )
    }

    // MARK: Starting

    /// Makes a whole unary call: sends the request and waits for the response.
    ///
    /// - Throws: `RPCError` with the status with which the call ended, if it isn't OK.
    nonisolated(nonsending) func exchange(
        _ request: MessageBytes,
        deadline: gpr_timespec
    ) async throws(RPCError) -> MessageBytes {
        try self.startUnary([:], message: request, deadline: deadline)
        let (status, trailers) = try await self.receiveStatus()
        if let code = RPCError.Code(status.code) {
            throw RPCError(code: code, message: status.message, metadata: trailers)
        }
        guard let response = try await self.nextMessage() else {
            throw RPCError(code: .internalError, message: "The call ended well without a response message.")
        }
        return response
    }

    private func startUnary(
        _ metadata: Metadata,
        message: MessageBytes?,
        deadline: gpr_timespec? = nil
    ) throws(RPCError) {
        let initial = try self.open(metadata, deadline: deadline)
        guard let call = self.slots.pointee.call else { return }
        var outgoing = self.outgoing(initial)
        outgoing.message = self.hold(message)
        outgoing.has_close = 1
        self.state.withLock { state in
            state.incoming.phase = .underWay
            state.isSending = true
        }
        let error = weft_call_run_unary(call, &outgoing, self.slots, self.makeTag(.unaryCall))
        guard error == GRPC_CALL_OK else {
            self.cancelTag()
            throw RPCError(code: .internalError, message: "C core refused the call: \(name(of: error))")
        }
        self.progress.withLock { $0.receivesStatus = true }
    }

    private func startStream(_ metadata: Metadata, message: MessageBytes?, closes: Bool) throws(RPCError) {
        let initial = try self.open(metadata)
        guard let call = self.slots.pointee.call else { return }
        self.state.withLock { state in
            state.isSending = true
            state.incoming.phase = .underWay
        }
        var error = weft_call_receive_status(call, self.slots, self.makeTag(.receiveEnd))
        if error == GRPC_CALL_OK {
            self.progress.withLock { $0.receivesStatus = true }
            error = weft_call_receive_initial_metadata(
                call,
                self.slots,
                self.makeTag(.receiveInitialMetadata)
            )
        }
        guard error == GRPC_CALL_OK else {
            self.cancelTag()
            throw RPCError(code: .internalError, message: "C core refused the call: \(name(of: error))")
        }
        try self.startSending(call, closes ? .sendLast : .send, message: message) { outgoing in
            let opening = self.outgoing(initial)
            outgoing.has_initial_metadata = 1
            outgoing.initial_metadata = opening.initial_metadata
            outgoing.initial_metadata_count = opening.initial_metadata_count
            outgoing.initial_metadata_flags = opening.initial_metadata_flags
            outgoing.has_close = closes ? 1 : 0
        }
        self.startReceiving(call)
    }

    /// Makes core's call.
    ///
    /// Nobody else has it before this returns, except to cancel it.
    private func open(
        _ metadata: Metadata,
        deadline: gpr_timespec? = nil
    ) throws(RPCError) -> OutgoingMetadata {
        let initial = try OutgoingMetadata.of(metadata, skipping: TimeoutEntry.key)
        self.hold(initial)
        let call = self.channel.makeCall(
            self.descriptor,
            queue: self.poller.completions,
            deadline: deadline ?? TimeoutEntry.deadline(in: metadata)
        )
        guard let call else { throw RPCError(code: .internalError, message: "C core made no call.") }
        self.adopt(call)
        guard !self.progress.withLock({ $0.wasCancelled }) else {
            throw RPCError(code: .cancelled, message: "The RPC was cancelled before it started.")
        }
        return initial
    }

    private func outgoing(_ initial: OutgoingMetadata) -> weft_outgoing {
        var outgoing = weft_outgoing()
        outgoing.has_initial_metadata = 1
        outgoing.initial_metadata = initial.entries
        outgoing.initial_metadata_count = initial.count
        if let waits = self.options.waitForReady {
            outgoing.initial_metadata_flags = UInt32(GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET)
            if waits { outgoing.initial_metadata_flags |= UInt32(GRPC_INITIAL_METADATA_WAIT_FOR_READY) }
        }
        return outgoing
    }

    // MARK: Ending

    /// Cancels the call, started or not.
    func cancelByCaller() {
        // In this order: `open` makes the call known first and looks at `wasCancelled` then.
        self.progress.withLock { $0.wasCancelled = true }
        if self.state.withLock({ $0.call != nil }) {
            self.cancel()
        } else {
            self.endLocally(Status(code: .cancelled, message: "The RPC was cancelled before it started."))
        }
    }

    private func endLocally(_ status: Status) {
        self.progress.withLock { $0.localStatus = $0.localStatus ?? status }
        let (readers, writers) = self.state.withLock { state in
            if state.incoming.phase == .idle { state.incoming.phase = .ended }
            state.neverStarted = true
            return state.end()
        }
        readers.resume()
        writers.resume()
    }

    override func complete(_ operation: Operation, succeeded: Bool) {
        switch operation {
        case .unaryCall:
            self.endedUnary()
        case .send, .sendLast:
            self.sent(succeeded: succeeded)
        case .receiveInitialMetadata:
            let woken = self.state.withLock { state in
                state.hasInitialMetadata = true
                return state.readers.removeAll()
            }
            woken.resume()
        case .receiveMessage:
            self.receivedMessage(self.takeReceivedMessage())
        case .receiveEnd:
            self.ended()
        case .acceptCall, .shutdown:
            break
        }
    }

    /// Everything has come at once.
    private func endedUnary() {
        self.destroySent()
        let message = self.takeReceivedMessage()
        let (readers, writers) = self.state.withLock { state in
            state.hasInitialMetadata = true
            state.isSending = false
            state.incoming.receive(message)
            if message != nil { state.incoming.phase = .ended }
            return state.end()
        }
        readers.resume()
        writers.resume()
    }

    private func ended() {
        let (readers, writers) = self.state.withLock { $0.end() }
        readers.resume()
        writers.resume()
    }

    // MARK: Receiving

    /// The server's initial metadata, or `nil` if the call never started.
    nonisolated(nonsending) func receiveInitialMetadata() async throws(RPCError) -> Metadata? {
        while true {
            let (has, neverStarted) = self.state.withLock { ($0.hasInitialMetadata, $0.neverStarted) }
            if neverStarted { return nil }
            if has { return Metadata(self.slots.pointee.initial_metadata) }
            try await self.wait(.receiving) { $0.hasInitialMetadata || $0.neverStarted }
        }
    }

    nonisolated(nonsending) func receiveMessage() async throws(RPCError) -> MessageBytes? {
        let message = try await self.nextMessage()
        if let message, let limit = self.options.maxResponseMessageBytes, message.count > limit {
            self.cancel()
            throw RPCError(
                code: .resourceExhausted,
                message: "The response has \(message.count) bytes, and the call's limit is \(limit)."
            )
        }
        return message
    }

    /// The status with which the call ended.
    nonisolated(nonsending) func receiveStatus() async throws(RPCError) -> (Status, Metadata) {
        while true {
            if let status = self.progress.withLock({ $0.localStatus }) { return (status, [:]) }
            if self.state.withLock({ $0.isOver }) {
                let code = Status.Code(rawValue: Int(self.slots.pointee.status.rawValue)) ?? .unknown
                let message = String(slice: &self.slots.pointee.status_details)
                return (Status(code: code, message: message), Metadata(self.slots.pointee.trailing_metadata))
            }
            try await self.wait(.receiving) { $0.isOver }
        }
    }
}
