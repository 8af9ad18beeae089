internal import CGRPC
internal import GRPCCore
internal import Synchronization

/// A call that a ``DirectStreamService`` serves, from the moment the server is ready to accept it.
///
/// Everything happens on the poller's thread: completions come there, and ``wake()`` leads there. One message is received
/// and one sent at a time, so what a client may have under way is bounded by its flow control, and a client that doesn't
/// read stops the answers.
final class DirectStreamCall: Call, @unchecked Sendable {
    // Why `@unchecked`: as for `Call`; what is variable here belongs to the poller's thread.
    private let server: ListeningServer
    private let method: ServedMethod
    private let stream: DirectStreamMethod
    /// Whether the poller is about to look at the call because of ``wake()``.
    private let isWoken = Atomic<Bool>(false)
    /// From the beginning of the call to its end.
    private var service: (any DirectStreamService)?
    /// The service takes no message at present.
    private var isPaused = false
    private var isSending = false
    private var sentStatus = false

    init(server: ListeningServer, method: ServedMethod, stream: DirectStreamMethod, poller: Poller) {
        self.server = server
        self.method = method
        self.stream = stream
        super.init(poller: poller)
    }

    // MARK: Beginning and end

    override func complete(_ operation: Operation, succeeded: Bool) {
        switch operation {
        case .acceptCall:
            guard succeeded, let call = self.slots.pointee.call else { return }
            self.accepted(call)
        case .send:
            self.destroySent()
            // Without success the call is about to end.
            guard succeeded else { return }
            self.isSending = false
            self.sendOn()
        case .sendLast:
            self.destroySent()
        case .receiveMessage:
            self.received(self.takeReceivedMessage())
        case .receiveEnd:
            let (readers, writers) = self.state.withLock { $0.end() }
            readers.resume()
            writers.resume()
            let service = self.service
            self.service = nil
            service?.ended()
        case .unaryCall, .receiveInitialMetadata, .shutdown:
            break
        }
    }

    private func accepted(_ call: OpaquePointer) {
        self.server.accept(self.method, on: self.poller)
        self.adopt(call)
        let error = weft_call_receive_close(call, self.slots, self.makeTag(.receiveEnd))
        guard error == GRPC_CALL_OK else {
            self.cancelTag()
            return
        }
        self.service = self.stream.begin(DirectStream(call: self))
        self.send(.send) { $0.has_initial_metadata = 1 }
        self.receive()
    }

    /// What the client identified itself with.
    var peerCertificate: PeerCertificate? {
        guard self.server.hasTLS, let call = self.slots.pointee.call else { return nil }
        return PeerCertificate(call: call, pollers: self.server.pollers)
    }

    // MARK: Waking

    /// Leads to ``woken()`` on the poller's thread.
    func wake() {
        guard !self.isWoken.exchange(true, ordering: .acquiringAndReleasing) else { return }
        self.poller.wake(self)
    }

    /// Called by the poller.
    func woken() {
        self.isWoken.store(false, ordering: .sequentiallyConsistent)
        guard let service = self.service else { return }
        if self.isPaused, service.readsOn() {
            self.isPaused = false
            self.receive()
        }
        self.sendOn()
    }

    // MARK: Receiving

    private func receive() {
        guard let call = self.slots.pointee.call else { return }
        let error = weft_call_receive_message(call, self.slots, self.makeTag(.receiveMessage))
        guard error != GRPC_CALL_OK else { return }
        self.cancelTag()
        self.service?.inputEnded(isComplete: false)
    }

    private func received(_ message: ReceivedMessage?) {
        guard let message else {
            let isComplete = self.slots.pointee.call.map { grpc_call_failed_before_recv_message($0) == 0 }
            self.service?.inputEnded(isComplete: isComplete ?? false)
            return self.sendOn()
        }
        let readsOn = self.service?.received(IncomingMessage(message)) ?? false
        self.destroy(message.buffer)
        if readsOn { self.receive() } else { self.isPaused = true }
        self.sendOn()
    }

    // MARK: Sending

    /// Sends what comes next, unless something is on its way.
    private func sendOn() {
        guard !self.isSending, !self.sentStatus, let part = self.service?.nextPart() else { return }
        switch part {
        case .message(let message, let more):
            self.send(.send, message, flags: more ? UInt32(GRPC_WRITE_BUFFER_HINT) : 0) { _ in }
        case .end(let error):
            self.sentStatus = true
            self.send(error)
        }
    }

    private func send(
        _ operation: Operation,
        _ message: MessageBytes? = nil,
        flags: UInt32 = 0,
        _ fill: (inout weft_outgoing) -> Void
    ) {
        guard let call = self.slots.pointee.call else { return }
        var outgoing = weft_outgoing()
        outgoing.message = self.hold(message)
        outgoing.message_flags = flags
        fill(&outgoing)
        self.isSending = true
        let error = weft_call_send(call, &outgoing, self.makeTag(operation))
        guard error != GRPC_CALL_OK else { return }
        self.cancelTag()
        self.destroySent()
        self.cancel(.internalError, "C core refused to send: \(name(of: error))")
    }

    /// Ends the call.
    private func send(_ error: RPCError?) {
        var status = Status(code: .ok, message: "")
        if let error { status = Status(code: Status.Code(error.code), message: error.message) }
        var metadata: OutgoingMetadata?
        do throws(RPCError) {
            if let error { metadata = try OutgoingMetadata.of(error.metadata) }
        } catch {
            status = Status(code: .internalError, message: "\(status.message) (\(error.message))")
        }
        if let metadata { self.hold(metadata) }
        var details = grpc_slice(copying: status.message)
        defer { grpc_slice_unref(details) }
        withUnsafeMutablePointer(to: &details) { details in
            self.send(.sendLast) { outgoing in
                outgoing.has_status = 1
                outgoing.status = grpc_status_code(rawValue: numericCast(status.code.rawValue))
                outgoing.status_details = details
                outgoing.trailing_metadata = metadata?.entries
                outgoing.trailing_metadata_count = metadata?.count ?? 0
            }
        }
    }
}
