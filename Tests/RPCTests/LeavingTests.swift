import GRPCCore
import RPCTestService
import Testing

@testable import RPC

/// What a handler that is blocked writing learns of a client that has had enough, by what the client does.
@Suite struct LeavingTests {
    enum Way: CaseIterable {
        /// RST_STREAM, while it goes on reading the connection.
        case reset
        /// RST_STREAM behind a request that fills the server's window, as when both sides are blocked writing.
        case resetBehindFullWindow
        /// RST_STREAM, while what the server sends stays in the socket.
        case resetWithoutReading
        /// The end of its own side and no more reading: by HTTP/2, a client that takes its time.
        case halfClose
        /// No more reading, and nothing else.
        case silence
        /// The end of the connection.
        case closeConnection

        var freesHandler: Bool { self != .halfClose && self != .silence }
    }

    @Test(arguments: Way.allCases)
    func aBlockedHandlerEndsWhenItsClientLeaves(way: Way) async throws {
        let service = TestService()
        var options = TransportOptions()
        options.gracefulShutdownTimeout = .milliseconds(20)
        try await withCoreServer(service, options: options, tls: nil) { port in
            let client = try BareClient(port: port)
            try client.call(TestMethod.flood.fullyQualifiedMethod)
            try await standstill { service.written.value }
            #expect(client.receivedBytes <= 65535)  // the handler is blocked by the client's window
            switch way {
            case .reset:
                try client.reset()
            case .resetBehindFullWindow:
                try client.fillWindow()
                try client.reset()
            case .resetWithoutReading:
                client.stopReading()
                try client.reset()
            case .halfClose:
                try client.halfClose()
            case .silence:
                client.stopReading()
            case .closeConnection:
                client.closeConnection()
            }
            guard way.freesHandler else {
                try await standstill { service.written.value }
                #expect(!service.ended.isOpen)
                // The server's own end frees it all the same.
                return
            }
            try await service.ended.wait()
        }
        try await service.ended.wait()
    }

    /// A deadline is what frees a handler from a client that only stops reading.
    @Test func aDeadlineFreesTheHandlerOfASilentClient() async throws {
        let service = TestService()
        try await withCoreServer(service, tls: nil) { port in
            let client = try BareClient(port: port)
            try client.call(TestMethod.flood.fullyQualifiedMethod, timeout: "300m")
            try await service.ended.wait()
            client.closeConnection()
        }
    }
}
