internal import CGRPC
package import GRPCCore

/// A method with a stream of requests whose calls the server transport serves itself, on the threads that wait for C core,
/// without a task.
///
/// GRPCCore serves a stream with asynchronous sequences and writers inside one another: each message passes some ten of
/// them both ways, and changes threads where the service waits for another. For a method whose messages are small and many
/// that costs more than C core's part (`scripts/bench orderer`, docs/benchmarks.md). As for ``DirectMethod``, there are no
/// interceptors and no `ServerContext`.
package struct DirectStreamMethod: Sendable {
    package let descriptor: MethodDescriptor
    /// Makes what serves a call that has come in.
    package let begin: @Sendable (DirectStream) -> any DirectStreamService

    package init(
        _ descriptor: MethodDescriptor,
        begin: @escaping @Sendable (DirectStream) -> any DirectStreamService
    ) {
        self.descriptor = descriptor
        self.begin = begin
    }
}

/// What serves one call of a ``DirectStreamMethod``.
///
/// All functions are called on one thread, one at a time. They must not block, since every other call of that thread waits
/// meanwhile: what takes long goes elsewhere, and ``DirectStream/wake()`` tells that there is something new.
package protocol DirectStreamService: AnyObject, Sendable {
    /// A message has come in.
    ///
    /// - Returns: Whether the next one may come. If not, flow control stops the client after some KiB, and ``readsOn()`` is
    ///   asked after each ``DirectStream/wake()``.
    func received(_ message: borrowing IncomingMessage) -> Bool

    /// Whether the next message may come, after ``received(_:)`` has said no.
    func readsOn() -> Bool

    /// No message will come any more.
    ///
    /// - Parameter isComplete: Whether the client has said so. If not, it has cancelled the call or is gone.
    func inputEnded(isComplete: Bool)

    /// What is to be sent now; `nil` if there is nothing yet.
    ///
    /// Asked whenever something can be sent and something has happened: a message has come in or gone out, or
    /// ``DirectStream/wake()`` was called.
    func nextPart() -> DirectStreamPart?

    /// The call is over, whoever ended it; nothing more is called.
    func ended()
}

/// What a server sends on a stream.
package enum DirectStreamPart: Sendable {
    /// A message; `more` says that ``DirectStreamService/nextPart()`` has another one at once.
    case message(MessageBytes, more: Bool)
    /// The end of the call: with an error, or well.
    case end(RPCError?)
}

/// One call of a ``DirectStreamMethod``, for whoever serves it.
package struct DirectStream: Sendable {
    let call: DirectStreamCall

    /// Has the service asked again, soon, what is to be sent and whether the next message may come.
    ///
    /// May be called on any thread, also after the call is over.
    package func wake() { self.call.wake() }

    /// What the client identified itself with.
    package var peerCertificate: PeerCertificate? { self.call.peerCertificate }
}

/// A message in core's memory, which is released as soon as it was looked at.
package struct IncomingMessage: ~Copyable {
    private let message: ReceivedMessage

    init(_ message: ReceivedMessage) { self.message = message }

    /// How many bytes it has.
    package var count: Int { self.message.count }

    /// Copies the bytes to `target`, as many as it takes.
    package func copy(to target: UnsafeMutableRawBufferPointer) {
        self.message.buffer.copyBytes(to: target)
    }
}
