import CGRPC
import GRPCCore
import Testing

@testable import RPC

@Suite struct IncomingTests {
    /// A direction of a call without the call.
    private final class Direction {
        private var incoming = Incoming()
        /// Keeps core alive.
        private let pollers = PollerGroup(count: 1)

        var isReadable: Bool { self.incoming.isReadable }

        func asksCore(ahead: Bool) -> Bool { self.incoming.beginReceiving(ahead: ahead) }

        func receive(bytes: Int) throws {
            let message = ReceivedMessage(MessageBytes(repeating: 1, count: bytes).makeByteBuffer())
            let received: ReceivedMessage = try #require(message)
            self.incoming.receive(received)
        }

        func receiveEnd() { self.incoming.receive(nil) }

        /// Whether there was a message.
        func read() -> Bool {
            guard let next = self.incoming.next() else { return false }
            grpc_byte_buffer_destroy(next.buffer)
            return true
        }
    }

    @Test(arguments: [(0, 16), (1024, 16), (16 * 1024, 4), (65_535, 2), (65_536, 1), (3 << 20, 1)])
    func receivingStopsBeforeTheReaderIsFarBehind(bytes: Int, messages: Int) throws {
        let direction = Direction()
        var received = 0
        while direction.asksCore(ahead: true) {
            try direction.receive(bytes: bytes)
            received += 1
        }
        #expect(received == messages)
        // One that is read makes room again.
        #expect(direction.read())
        #expect(direction.asksCore(ahead: true))
        direction.receiveEnd()
        while direction.read() { received -= 1 }
        #expect(received == 1)
        #expect(direction.isReadable)
        #expect(!direction.asksCore(ahead: true))
    }

    @Test func withoutReadingAheadOneMessageIsAskedForAtATime() throws {
        let direction = Direction()
        #expect(!direction.isReadable)
        #expect(direction.asksCore(ahead: false))
        #expect(!direction.asksCore(ahead: false))
        try direction.receive(bytes: 1)
        #expect(direction.isReadable)
        #expect(!direction.asksCore(ahead: false))
        #expect(direction.read())
        #expect(direction.asksCore(ahead: false))
        direction.receiveEnd()
    }
}
