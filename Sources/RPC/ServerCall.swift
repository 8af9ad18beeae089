internal import CGRPC
internal import GRPCCore
internal import Synchronization

/// A call on the server's side, from the moment the server is ready to accept it.
final class ServerCall: Call, @unchecked Sendable {
    // Why `@unchecked`: as for `Call`; `progress` is a lock.
    let server: ListeningServer
    let method: ServedMethod
    private let progress = Mutex(Progress())

    /// What only a server's call has to remember.
    private struct Progress {
        /// Held back until there is something to send it with.
        var metadata: OutgoingMetadata?
        var message: MessageBytes?
        var sentInitialMetadata = false
        var sentStatus = false
        var wasCancelled = false
        var handlerReturned = false
        var task: Task<Void, Never>?
        var cancellation: ServerContext.RPCCancellationHandle?
    }

    init(server: ListeningServer, method: ServedMethod, poller: Poller) {
        self.server = server
        self.method = method
        super.init(poller: poller)
    }

    override func complete(_ operation: Operation, succeeded: Bool) {
        switch operation {
        case .acceptCall:
            guard succeeded, let call = self.slots.pointee.call else { return }
            self.accepted(call)
        case .send, .sendLast:
            self.sent(succeeded: succeeded)
        case .receiveMessage:
            self.receivedMessage(self.takeReceivedMessage())
        case .receiveEnd:
            self.ended(cancelled: self.slots.pointee.cancelled != 0)
        case .unaryCall, .receiveInitialMetadata, .shutdown:
            break
        }
    }

    // MARK: Beginning and end

    private func accepted(_ call: OpaquePointer) {
        self.server.accept(self.method, on: self.poller)
        self.adopt(call)
        let error = weft_call_receive_close(call, self.slots, self.makeTag(.receiveEnd))
        guard error == GRPC_CALL_OK else {
            self.cancelTag()
            return
        }
        if self.method.readsRequestFirst {
            self.receivedMessage(self.takeReceivedMessage())
        } else {
            self.state.withLock { $0.incoming.phase = .underWay }
            self.startReceiving(call)
        }
        let task = Task(executorPreference: self.server.runsHandlersOnPollers ? self.poller : nil) {
            if let direct = self.method.direct { await self.answer(with: direct) } else { await self.run() }
        }
        // `ended` comes on this very thread, so not before the task is known.
        self.progress.withLock { if !$0.handlerReturned { $0.task = task } }
    }

    /// Answers a call without GRPCCore.
    private func answer(with method: DirectMethod) async {
        do {
            guard let request = try await self.receiveMessage() else {
                throw RPCError(code: .internalError, message: "The call brought no request message.")
            }
            let response = try await method.answer(request)
            self.progress.withLock { $0.message = response }
            try await self.send(Status(code: .ok, message: ""), [:])
        } catch {
            let error = RPCError(thrownByService: error)
            try? await self.send(
                Status(code: Status.Code(error.code), message: error.message),
                error.metadata
            )
        }
        self.handlerReturned()
    }

    private func run() async {
        await withServerContextRPCCancellationHandle { cancellation in
            let wasCancelled = self.progress.withLock { progress in
                progress.cancellation = cancellation
                return progress.wasCancelled
            }
            if wasCancelled { cancellation.cancel() }
            let descriptor = self.descriptor
            let stream = RPCStream(
                descriptor: descriptor,
                inbound: RPCAsyncSequence(wrapping: ServerInbound(call: self)),
                outbound: RPCWriter.Closable(wrapping: ServerOutbound(call: self))
            )
            var context = ServerContext(
                descriptor: descriptor,
                remotePeer: self.remotePeer,
                localPeer: self.server.localPeer,
                cancellation: cancellation
            )
            context.transportSpecific = self.peerCertificate
            await self.method.handler(stream, context)
        }
        self.handlerReturned()
    }

    private var descriptor: MethodDescriptor {
        if let descriptor = self.method.descriptor { return descriptor }
        let path = String(slice: &self.slots.pointee.details.method)
        let parts = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: true)
        return MethodDescriptor(
            fullyQualifiedService: parts.first.map(String.init) ?? "",
            method: parts.count > 1 ? String(parts[1]) : ""
        )
    }

    private func handlerReturned() {
        let sentStatus = self.progress.withLock { progress in
            progress.handlerReturned = true
            progress.task = nil
            progress.cancellation = nil
            return progress.sentStatus
        }
        if !sentStatus { self.cancel(.unknown, "The handler returned without a status.") }
    }

    private func ended(cancelled: Bool) {
        let (readers, writers) = self.state.withLock { $0.end() }
        readers.resume()
        writers.resume()
        guard cancelled else { return }
        let (task, cancellation) = self.progress.withLock { progress in
            progress.wasCancelled = true
            return (progress.task, progress.cancellation)
        }
        cancellation?.cancel()
        task?.cancel()
    }

    // MARK: Receiving

    override var readsAhead: Bool { !self.method.readsRequestFirst }

    var initialMetadata: Metadata { Metadata(self.slots.pointee.initial_metadata) }

    /// The next request message, or `nil` once the client has closed its side.
    ///
    /// - Throws: `RPCError` with code `cancelled` if the call ended without that.
    nonisolated(nonsending) func receiveMessage() async throws(RPCError) -> MessageBytes? {
        if let message = try await self.nextMessage() {
            return message
        }
        guard let call = self.slots.pointee.call, grpc_call_failed_before_recv_message(call) != 0 else {
            return nil
        }
        throw RPCError(
            code: .cancelled,
            message: "The RPC was cancelled by the client, or its connection was lost."
        )
    }

    // MARK: Sending

    nonisolated(nonsending) func write(_ part: RPCResponsePart<MessageBytes>, bufferHint: Bool) async throws {
        switch part {
        case .metadata(let metadata):
            let outgoing = try OutgoingMetadata.of(metadata)
            self.hold(outgoing)
            if self.method.responseStreams {
                let call = try await self.takeTurnToSend()
                self.progress.withLock { $0.sentInitialMetadata = true }
                try self.startSending(call, .send, message: nil) { $0.setInitialMetadata(outgoing) }
            } else {
                self.progress.withLock { $0.metadata = outgoing }
            }
        case .message(let message):
            if self.method.responseStreams {
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
                        message: "\(self.descriptor) gives one response message."
                    )
                }
            }
        case .status(let status, let metadata):
            try await self.send(status, metadata)
        }
    }

    nonisolated(nonsending) func finish() async {
        if !self.progress.withLock({ $0.sentStatus }) { self.cancel() }
    }

    nonisolated(nonsending) private func send(_ status: Status, _ metadata: Metadata) async throws(RPCError) {
        var status = status
        let trailing: OutgoingMetadata
        do {
            trailing = try OutgoingMetadata.of(metadata)
        } catch {
            trailing = try OutgoingMetadata.of([:])
            status = Status(code: .internalError, message: "\(status.message) (\(error.message))")
        }
        self.hold(trailing)
        let call = try await self.takeTurnToSend()
        let (initial, message) = self.progress.withLock { progress in
            progress.sentStatus = true
            let initial: OutgoingMetadata?? = progress.sentInitialMetadata ? nil : .some(progress.metadata)
            // A message goes only with a good end, as in every unary method.
            return (initial, status.code == .ok ? progress.message : nil)
        }
        var details = grpc_slice(copying: status.message)
        defer { grpc_slice_unref(details) }
        try withUnsafeMutablePointer(to: &details) { (details) throws(RPCError) in
            try self.startSending(call, .sendLast, message: message) { outgoing in
                if let initial { outgoing.setInitialMetadata(initial) }
                outgoing.has_status = 1
                outgoing.status = grpc_status_code(rawValue: numericCast(status.code.rawValue))
                outgoing.status_details = details
                outgoing.trailing_metadata = trailing.entries
                outgoing.trailing_metadata_count = trailing.count
            }
        }
    }

    // MARK: The peer

    private var remotePeer: String {
        guard let call = self.slots.pointee.call, let peer = grpc_call_get_peer(call) else {
            return "unknown"
        }
        defer { gpr_free(peer) }
        return String(cString: peer)
    }

    private var peerCertificate: PeerCertificate? {
        guard self.server.hasTLS, let call = self.slots.pointee.call else { return nil }
        return PeerCertificate(call: call, pollers: self.server.pollers)
    }
}

extension weft_outgoing {
    fileprivate mutating func setInitialMetadata(_ metadata: OutgoingMetadata?) {
        self.has_initial_metadata = 1
        self.initial_metadata = metadata?.entries
        self.initial_metadata_count = metadata?.count ?? 0
    }
}
