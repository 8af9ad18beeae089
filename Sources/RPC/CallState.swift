internal import CGRPC

/// The state of a call's two directions.
struct CallState: @unchecked Sendable {
    // Why `@unchecked`: the pointers are core's, which any thread may use; who owns a message is said by where
    // it is kept.

    /// Core's handle, once there is one.
    var call: OpaquePointer?
    var incoming = Incoming()
    /// A client has what came before the first message.
    var hasInitialMetadata = false
    /// A batch that sends is under way, or about to be.
    var isSending = false
    /// A batch that sends has failed: the peer will get nothing more.
    var sendFailed = false
    /// The client has its status, or the server knows that the call is over.
    var isOver = false
    /// A client's call that ended without core.
    var neverStarted = false
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

/// Messages that have come in and that nobody has read yet.
///
/// Core is asked for more while there are few of them: so a reader that is woken finds several, and one that is
/// slow stops the sender by flow control, with at most ``maxBytes`` and one message kept here.
struct Incoming {
    static let maxMessages = 16
    static let maxBytes = 64 * 1024

    enum Phase {
        /// Core isn't asked for a message.
        case idle
        /// Core has been asked for a message.
        case underWay
        /// No message will come any more.
        case ended
    }

    var phase = Phase.idle
    private var messages: [ReceivedMessage] = []
    private var first = 0
    private var bytes = 0

    private var count: Int { self.messages.count - self.first }

    /// Whether a reader finds something, if only the end.
    var isReadable: Bool { self.count > 0 || self.phase == .ended }

    /// Takes what core has received; without a message, there will be none any more.
    mutating func receive(_ message: ReceivedMessage?) {
        guard let message else {
            self.phase = .ended
            return
        }
        self.phase = .idle
        self.messages.append(message)
        self.bytes += message.count
    }

    /// The oldest message.
    mutating func next() -> ReceivedMessage? {
        guard self.count > 0 else { return nil }
        let message = self.messages[self.first]
        self.bytes -= message.count
        self.first += 1
        if self.count == 0 {
            self.messages.removeAll(keepingCapacity: true)
            self.first = 0
        }
        return message
    }

    /// Notes that core is asked for a message, if it is time to.
    ///
    /// - Parameter ahead: whether before a reader waits for it.
    /// - Returns: whether the caller is to ask core.
    mutating func beginReceiving(ahead: Bool) -> Bool {
        guard self.phase == .idle else { return false }
        guard self.count == 0 || (ahead && self.count < Self.maxMessages && self.bytes < Self.maxBytes) else {
            return false
        }
        self.phase = .underWay
        return true
    }
}

/// A message in core's form, which its holder destroys.
struct ReceivedMessage: @unchecked Sendable {
    // Why `@unchecked`: core's byte buffers may be used from any thread, by one at a time.
    let buffer: UnsafeMutablePointer<grpc_byte_buffer>
    let count: Int

    init?(_ buffer: UnsafeMutablePointer<grpc_byte_buffer>?) {
        guard let buffer else { return nil }
        self.buffer = buffer
        self.count = grpc_byte_buffer_length(buffer)
    }
}
