import Glibc
import Synchronization

/// An HTTP/2 client whose frames are sent one by one, for what no library's client does on purpose.
///
/// It answers settings and pings and counts what it gets, but never opens a flow control window further.
///
/// - Source: RFC 9113, sections 3.4 (preface), 4.1 (frames), 6 (types); RFC 7541, section 6 (header fields).
final class BareClient: Sendable {
    private let socket: Int32
    private let writing = Mutex<Void>(())
    private let readsOn = Atomic<Bool>(true)
    private let received = Atomic<Int>(0)

    /// The frame types that are used here.
    private enum Frame: UInt8 {
        case data = 0
        case headers = 1
        case reset = 3
        case settings = 4
        case ping = 6
    }

    private static let stream: UInt32 = 1

    init(port: Int) throws {
        self.socket = try LoopbackSocket.connected(to: port)
        try self.sendAll(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8))
        try self.send(.settings)
        Detached.thread { self.read() }
    }

    /// How many bytes of messages have come in.
    var receivedBytes: Int { self.received.load(ordering: .relaxed) }

    /// Opens the one stream.
    ///
    /// `timeout` is as in `grpc-timeout`.
    func call(_ method: String, timeout: String? = nil) throws {
        func literal(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
        var fields: [UInt8] = [0x83, 0x86]  // ":method: POST", ":scheme: http"
        fields += [0x04] + literal("/" + method)
        fields += [0x01] + literal("localhost")
        fields += [0x00] + literal("content-type") + literal("application/grpc")
        fields += [0x00] + literal("te") + literal("trailers")
        if let timeout { fields += [0x00] + literal("grpc-timeout") + literal(timeout) }
        try self.send(.headers, flags: 0x4, stream: Self.stream, fields)
    }

    /// Sends as much of an endless message as its windows allow at the start.
    func fillWindow() throws {
        var left = 65535 - 5
        // The prefix of a message: not compressed, 16 MiB long.
        try self.send(.data, stream: Self.stream, [0, 1, 0, 0, 0])
        while left > 0 {
            let count = min(left, 16384)
            try self.send(.data, stream: Self.stream, [UInt8](repeating: 0, count: count))
            left -= count
        }
    }

    func halfClose() throws { try self.send(.data, flags: 0x1, stream: Self.stream) }

    /// Resets the stream with CANCEL.
    func reset() throws { try self.send(.reset, stream: Self.stream, [0, 0, 0, 8]) }

    /// Leaves what comes in the socket from now on.
    func stopReading() { self.readsOn.store(false, ordering: .relaxed) }

    func closeConnection() { shutdown(self.socket, Int32(SHUT_RDWR)) }

    deinit { close(self.socket) }

    // MARK: Frames

    private func send(
        _ type: Frame,
        flags: UInt8 = 0,
        stream: UInt32 = 0,
        _ payload: [UInt8] = []
    ) throws {
        var frame: [UInt8] = []
        withUnsafeBytes(of: UInt32(payload.count).bigEndian) { frame += $0.dropFirst() }
        frame += [type.rawValue, flags]
        withUnsafeBytes(of: stream.bigEndian) { frame += $0 }
        try self.sendAll(frame + payload)
    }

    private func sendAll(_ bytes: [UInt8]) throws {
        try self.writing.withLock { _ in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Glibc.send(self.socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw LoopbackSocket.Failure(step: "send", code: errno) }
                rest = rest.dropFirst(count)
            }
        }
    }

    private func read() {
        while self.readsOn.load(ordering: .relaxed) {
            guard let header = self.readExactly(9) else { return }
            let count = header[0..<3].reduce(0) { $0 << 8 | Int($1) }
            guard let payload = self.readExactly(count) else { return }
            switch Frame(rawValue: header[3]) {
            case .data: self.received.wrappingAdd(count, ordering: .relaxed)
            case .settings where header[4] == 0: try? self.send(.settings, flags: 0x1)
            case .ping where header[4] == 0: try? self.send(.ping, flags: 0x1, payload)
            default: break
            }
        }
    }

    private func readExactly(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes {
                recv(self.socket, $0.baseAddress.map { $0 + filled }, count - filled, 0)
            }
            guard got > 0 else { return nil }
            filled += got
        }
        return bytes
    }
}
