import GRPCCore
import RPCTestService
import Testing

@testable import RPC

@Suite struct DirectStreamTests {
    /// Answers each message with itself, some at a time, from a thread of its own.
    private final class Echo: DirectStreamService, @unchecked Sendable {
        // Why `@unchecked`: what is variable belongs to the thread of the call, see `DirectStreamService`.
        private var answers: [MessageBytes] = []
        private var isHeld = false
        private var hasEnded = false
        private var mostHeld = 0
        private let stream: DirectStream
        private let room: Int
        private let failure: RPCError?
        private let ends: Counter

        /// - Parameters:
        ///   - stream: The call.
        ///   - room: How many messages may be unanswered.
        ///   - failure: How the call ends after the last answer.
        ///   - ends: Counts calls that are over.
        init(_ stream: DirectStream, room: Int, failure: RPCError?, ends: Counter) {
            self.stream = stream
            self.room = room
            self.failure = failure
            self.ends = ends
        }

        func received(_ message: borrowing IncomingMessage) -> Bool {
            var bytes = MessageBytes(repeating: 0, count: message.count)
            bytes.withUnsafeMutableBytes { message.copy(to: $0) }
            self.answers.append(bytes)
            self.mostHeld = max(self.mostHeld, self.answers.count)
            let stream = self.stream
            Task.detached { stream.wake() }
            return self.readsOn()
        }

        func readsOn() -> Bool {
            self.isHeld = self.answers.count >= self.room
            return !self.isHeld
        }

        func inputEnded(isComplete: Bool) { self.hasEnded = true }

        func nextPart() -> DirectStreamPart? {
            guard !self.answers.isEmpty else { return self.hasEnded ? .end(self.failure) : nil }
            let answer = self.answers.removeFirst()
            if self.isHeld { self.stream.wake() }
            return .message(answer, more: !self.answers.isEmpty)
        }

        func ended() {
            #expect(self.mostHeld <= self.room)
            self.ends.add()
        }
    }

    /// Runs a server that serves chats itself, and a client; returns once every chat is over.
    private func withEcho(
        room: Int = 4,
        failure: RPCError? = nil,
        chats: Int,
        pollers: PollerGroup = PollerGroup(),
        _ body: (CoreClient) async throws -> Void
    ) async throws {
        let ends = Counter()
        let transport = try CoreServerTransport(
            listeningOn: "127.0.0.1:0",
            tls: try Certificates.serverTLS(),
            pollers: pollers
        )
        transport.answerDirectly([
            DirectStreamMethod(TestMethod.chat) { Echo($0, room: room, failure: failure, ends: ends) }
        ])
        try await serve(TestService(), on: transport) {
            try await withCoreClient(port: transport.boundPort, pollers: pollers) { try await body($0) }
        }
        #expect(ends.value == chats)
    }

    @Test("every message is answered, in order, whatever its size", arguments: [1, 4])
    func answersInOrder(room: Int) async throws {
        let messages = (0..<200).map {
            [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: $0 * 37 % 3000)
        }
        try await self.withEcho(room: room, chats: 2) { client in
            let (answers, _, _) = try await client.chat(messages)
            #expect(answers == messages)
            let large = [[UInt8](repeating: 7, count: 3 << 20), [1]]
            let (same, _, _) = try await client.chat(large)
            #expect(same == large)
            let collected = try await client.collect([[1], [2, 3]]).message
            #expect(collected == Array("3".utf8), "other methods are served as before")
        }
    }

    @Test("many streams at once share the threads and leave nothing behind")
    func manyStreams() async throws {
        let pollers = PollerGroup(count: 2)
        try await self.withEcho(chats: 100, pollers: pollers) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        let messages = (0..<20).map { [UInt8](repeating: UInt8($0), count: number) }
                        let (answers, _, _) = try await client.chat(messages)
                        #expect(answers == messages)
                    }
                }
                try await group.waitForAll()
            }
        }
        while pollers.liveHandles != LiveHandles() { await Task.yield() }
    }

    @Test("the call ends with the error that the service gives, metadata included")
    func endsWithAnError() async throws {
        let failure = RPCError(code: .aborted, message: "enough \u{1F9F6}", metadata: ["reason": "asked for"])
        try await self.withEcho(failure: failure, chats: 1) { client in
            let error = await #expect(throws: RPCError.self) { try await client.chat([[1]]) }
            #expect(error?.code == .aborted && error?.message == "enough \u{1F9F6}")
            #expect(error?.metadata["reason"].first { _ in true } == "asked for")
        }
    }

    @Test("a client that leaves while it doesn't read ends the call")
    func clientLeaves() async throws {
        try await self.withEcho(chats: 1) { try await $0.leaveBlockedChat() }
    }
}
