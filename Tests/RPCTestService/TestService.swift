package import GRPCCore
import RPC
import Synchronization

/// Messages that are their own bytes.
package struct RawCoder: MessageSerializer, MessageDeserializer {
    package init() {}

    package func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }
    package func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
        bytes.withUnsafeBytes { Array($0) }
    }
}

/// The methods that the tests call, for any transport.
package enum TestMethod {
    package static let service = "weft.test.Service"

    /// Answers with the request; see ``TestService``.
    package static let unary = method("Unary", .unary)
    /// Answers with the sum of the requests' lengths, as text.
    package static let collect = method("Collect", .clientStreaming)
    /// The request is "<count> <size>": answers with that many messages of that size, numbered in byte 0.
    package static let expand = method("Expand", .serverStreaming)
    /// Answers each request with itself.
    package static let chat = method("Chat", .bidirectionalStreaming)
    /// Takes nothing and writes 64 KiB messages for ever.
    package static let flood = method("Flood", .bidirectionalStreaming)
    /// Reads one message, then nothing until the test says so.
    package static let sluggish = method("Sluggish", .clientStreaming)
    /// Refuses with `resourceExhausted` after the first message, without reading the others.
    package static let refuse = method("Refuse", .clientStreaming)
    /// Waits until it is cancelled.
    package static let hang = method("Hang", .unary)
    /// Answers with the peer certificate's PEM.
    package static let whoAmI = method("WhoAmI", .unary)
    /// Fails with `unavailable` but for every third call.
    package static let flaky = method("Flaky", .unary)
    /// Not served.
    package static let unknown = method("Unknown", .unary)

    private static func method(_ name: String, _ type: MethodDescriptor.RPCType) -> MethodDescriptor {
        MethodDescriptor(fullyQualifiedService: self.service, method: name, type: type)
    }
}

/// A service that shows what a transport does.
///
/// Metadata whose keys begin with "echo-" comes back as initial and trailing metadata. A unary request whose
/// first byte is 255 fails with `failedPrecondition`, the rest of the message as text, and trailing metadata.
package final class TestService: Sendable {
    /// Messages that the flooding handlers have written.
    package let written = Counter()
    package init() {}

    private let flakyCalls = Counter()
    /// Handlers of `hang` and `flood` that have begun and ended.
    package let began = Signal()
    package let ended = Signal()
    /// Opened by a test to let `sluggish` read on.
    package let readOn = Signal()

    package func router<Transport: ServerTransport>(for transport: Transport) -> RPCRouter<Transport> {
        var router = RPCRouter<Transport>()
        self.add(TestMethod.unary, to: &router) { request, _ in
            let metadata = Self.echoed(request.metadata)
            let message = try await Self.only(request)
            if message.first == 255 {
                throw RPCError(
                    code: .failedPrecondition,
                    message: String(decoding: message.dropFirst(), as: UTF8.self),
                    metadata: ["reason": "asked for", "detail-bin": .binary([1, 2, 3])]
                )
            }
            return Self.single(metadata, message)
        }
        self.add(TestMethod.collect, to: &router) { request, _ in
            var sum = 0
            for try await message in request.messages { sum += message.count }
            return Self.single(Self.echoed(request.metadata), Array("\(sum)".utf8))
        }
        self.add(TestMethod.expand, to: &router) { request, _ in
            let numbers = String(decoding: try await Self.only(request), as: UTF8.self).split(separator: " ")
                .map { Int($0)! }
            return StreamingServerResponse(metadata: Self.echoed(request.metadata)) { writer in
                for index in 0..<numbers[0] {
                    var message = [UInt8](repeating: 7, count: numbers[1])
                    if !message.isEmpty { message[0] = UInt8(truncatingIfNeeded: index) }
                    try await writer.write(message)
                }
                return Self.echoed(request.metadata)
            }
        }
        self.add(TestMethod.chat, to: &router) { request, _ in
            StreamingServerResponse(metadata: Self.echoed(request.metadata)) { writer in
                self.began.open()
                defer { self.ended.open() }
                for try await message in request.messages { try await writer.write(message) }
                return Self.echoed(request.metadata)
            }
        }
        self.addSlowMethods(to: &router)
        return router
    }

    private func addSlowMethods<Transport: ServerTransport>(to router: inout RPCRouter<Transport>) {
        self.add(TestMethod.flood, to: &router) { _, _ in
            StreamingServerResponse { writer in
                self.began.open()
                defer { self.ended.open() }
                while true {
                    try await writer.write([UInt8](repeating: 1, count: 65536))
                    self.written.add()
                }
            }
        }
        self.add(TestMethod.sluggish, to: &router) { request, _ in
            var count = 0
            for try await _ in request.messages {
                if count == 0 { try await self.readOn.wait() }
                count += 1
            }
            return Self.single([:], Array("\(count)".utf8))
        }
        self.add(TestMethod.refuse, to: &router) { request, _ in
            for try await _ in request.messages { break }
            throw RPCError(code: .resourceExhausted, message: "one is enough")
        }
        self.add(TestMethod.hang, to: &router) { _, context in
            self.began.open()
            defer { self.ended.open() }
            try await context.cancellation.cancelled
            return Self.single([:], [])
        }
        self.add(TestMethod.flaky, to: &router) { request, _ in
            self.flakyCalls.add()
            guard self.flakyCalls.value % 3 == 0 else {
                throw RPCError(code: .unavailable, message: "try again")
            }
            return Self.single([:], try await Self.only(request))
        }
        self.add(TestMethod.whoAmI, to: &router) { _, context in
            let certificate = context.transportSpecific as? PeerCertificate
            return Self.single([:], Array((certificate?.pem ?? "nobody").utf8))
        }
    }

    private func add<Transport: ServerTransport>(
        _ method: MethodDescriptor,
        to router: inout RPCRouter<Transport>,
        _ handler:
            @Sendable @escaping (
                StreamingServerRequest<[UInt8]>, ServerContext
            ) async throws -> StreamingServerResponse<[UInt8]>
    ) {
        router.registerHandler(
            forMethod: method,
            deserializer: RawCoder(),
            serializer: RawCoder(),
            handler: handler
        )
    }

    private static func single(_ metadata: Metadata, _ message: [UInt8]) -> StreamingServerResponse<[UInt8]> {
        StreamingServerResponse(metadata: metadata) { writer in
            try await writer.write(message)
            return metadata
        }
    }

    private static func only(_ request: StreamingServerRequest<[UInt8]>) async throws -> [UInt8] {
        var first: [UInt8]?
        for try await message in request.messages {
            guard first == nil else { throw RPCError(code: .invalidArgument, message: "one message, please") }
            first = message
        }
        guard let first else { throw RPCError(code: .invalidArgument, message: "no message") }
        return first
    }

    private static func echoed(_ metadata: Metadata) -> Metadata {
        Metadata(metadata.filter { $0.key.hasPrefix("echo-") })
    }
}

/// Something that happens once, and that tasks can wait for.
package final class Signal: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let opened = Atomic<Bool>(false)

    package var isOpen: Bool { self.opened.load(ordering: .acquiring) }

    package init() {
        (self.stream, self.continuation) = AsyncStream.makeStream()
    }

    package func open() {
        self.opened.store(true, ordering: .releasing)
        self.continuation.finish()
    }

    /// - Throws: `CancellationError` if the task is cancelled first.
    package func wait() async throws {
        for await _ in self.stream {}
        try Task.checkCancellation()
    }
}

/// A number that many tasks count up.
package final class Counter: Sendable {
    private let number = Atomic<Int>(0)

    package init() {}

    package var value: Int { self.number.load(ordering: .relaxed) }

    package func add() { self.number.add(1, ordering: .relaxed) }
}
