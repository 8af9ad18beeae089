internal import GRPCCore

// What GRPCCore reads from and writes to, over the two kinds of call.

/// The parts of a response, as a client receives them.
struct ClientInbound: AsyncSequence, Sendable {
    typealias Element = RPCResponsePart<MessageBytes>

    let call: ClientCall
    /// Whether the method has a single response message.
    let isSingle: Bool

    func makeAsyncIterator() -> Iterator {
        Iterator(call: self.call, isSingle: self.isSingle)
    }

    struct Iterator: AsyncIteratorProtocol {
        private enum Next {
            case metadata
            case message
            case taken(MessageBytes)
            case status
            case end
        }

        private let call: ClientCall
        private let isSingle: Bool
        private var next = Next.metadata

        init(call: ClientCall, isSingle: Bool) {
            self.call = call
            self.isSingle = isSingle
        }

        mutating func next() async throws -> Element? {
            try await self.next(isolation: nil)
        }

        mutating func next(isolation actor: isolated (any Actor)?) async throws -> Element? {
            switch self.next {
            case .metadata:
                return try await self.opening()
            case .message:
                guard let message = try await self.call.receiveMessage() else {
                    return try await self.ending()
                }
                self.next = self.isSingle ? .status : .message
                return .message(message)
            case .taken(let message):
                self.next = self.isSingle ? .status : .message
                return .message(message)
            case .status:
                return try await self.ending()
            case .end:
                return nil
            }
        }

        /// The first part.
        ///
        /// A response that is only a status has to begin with it (retries look for that), and
        /// core shows it as empty metadata first: so empty metadata waits for what follows it.
        nonisolated(nonsending) private mutating func opening() async throws -> Element? {
            guard let metadata = try await self.call.receiveInitialMetadata() else {
                return try await self.ending()
            }
            if metadata.isEmpty {
                guard let message = try await self.call.receiveMessage() else {
                    return try await self.ending()
                }
                self.next = .taken(message)
            } else {
                self.next = .message
            }
            return .metadata(metadata)
        }

        nonisolated(nonsending) private mutating func ending() async throws -> Element? {
            let (status, metadata) = try await self.call.receiveStatus()
            self.next = .end
            return .status(status, metadata)
        }
    }
}

/// Takes the parts of a request from a client.
struct ClientOutbound: ClosableRPCWriterProtocol {
    typealias Element = RPCRequestPart<MessageBytes>

    let call: ClientCall

    nonisolated(nonsending) func write(_ element: Element) async throws {
        try await self.call.write(element, bufferHint: false)
    }

    nonisolated(nonsending) func write(contentsOf elements: some Sequence<Element>) async throws {
        try await writeAll(elements) { try await self.call.write($0, bufferHint: $1) }
    }

    nonisolated(nonsending) func finish() async {
        await self.call.finish()
    }

    nonisolated(nonsending) func finish(throwing error: any Error) async {
        self.call.finish(throwing: error)
    }
}

/// The parts of a request, as a server receives them.
struct ServerInbound: AsyncSequence, Sendable {
    typealias Element = RPCRequestPart<MessageBytes>

    let call: ServerCall

    func makeAsyncIterator() -> Iterator {
        Iterator(call: self.call)
    }

    struct Iterator: AsyncIteratorProtocol {
        private enum Next {
            case metadata
            case message
            case end
        }

        private let call: ServerCall
        private var next = Next.metadata

        init(call: ServerCall) {
            self.call = call
        }

        mutating func next() async throws -> Element? {
            try await self.next(isolation: nil)
        }

        mutating func next(isolation actor: isolated (any Actor)?) async throws -> Element? {
            switch self.next {
            case .metadata:
                self.next = .message
                return .metadata(self.call.initialMetadata)
            case .message:
                if let message = try await self.call.receiveMessage() {
                    if self.call.method.readsRequestFirst { self.next = .end }
                    return .message(message)
                }
                self.next = .end
                return nil
            case .end:
                return nil
            }
        }
    }
}

/// Takes the parts of a response from a server.
struct ServerOutbound: ClosableRPCWriterProtocol {
    typealias Element = RPCResponsePart<MessageBytes>

    let call: ServerCall

    nonisolated(nonsending) func write(_ element: Element) async throws {
        try await self.call.write(element, bufferHint: false)
    }

    nonisolated(nonsending) func write(contentsOf elements: some Sequence<Element>) async throws {
        try await writeAll(elements) { try await self.call.write($0, bufferHint: $1) }
    }

    nonisolated(nonsending) func finish() async {
        await self.call.finish()
    }

    nonisolated(nonsending) func finish(throwing error: any Error) async {
        await self.call.finish()
    }
}

/// Writes each element; all but the last with the hint that more follows at once.
nonisolated(nonsending) private func writeAll<Element>(
    _ elements: some Sequence<Element>,
    _ write: nonisolated(nonsending) (Element, Bool) async throws -> Void
) async throws {
    var pending: Element?
    for element in elements {
        if let pending { try await write(pending, true) }
        pending = element
    }
    if let pending { try await write(pending, false) }
}
