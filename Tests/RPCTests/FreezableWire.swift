import Glibc
import Synchronization

/// A TCP relay on loopback that can fall silent without closing anything, as a cut cable does.
final class FreezableWire: Sendable {
    let port: Int
    private let listener: Int32
    private let frozen = Atomic<Bool>(false)
    private let descriptors = Mutex<[Int32]>([])

    struct Failure: Error {
        var step: String
        var code: Int32
    }

    init(to target: Int) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = Self.loopback(port: 0)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = Self.with(&address) { bind(listener, $0, length) }
        guard bound == 0, listen(listener, 8) == 0 else { throw Failure(step: "listen", code: errno) }
        var actual = length
        _ = Self.with(&address) { getsockname(listener, $0, &actual) }
        self.port = Int(UInt16(bigEndian: address.sin_port))
        Self.thread { self.acceptConnections(target) }
    }

    deinit {
        close(self.listener)
    }

    func freeze() { self.frozen.store(true, ordering: .sequentiallyConsistent) }

    private func acceptConnections(_ target: Int) {
        while true {
            let near = accept(self.listener, nil, nil)
            guard near >= 0 else { return }
            let far = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = Self.loopback(port: target)
            let connected = Self.with(&address) {
                connect(far, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
            guard connected == 0 else { return }
            Self.thread { self.pump(from: near, to: far) }
            Self.thread { self.pump(from: far, to: near) }
        }
    }

    private func pump(from source: Int32, to sink: Int32) {
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = read(source, &buffer, buffer.count)
            if self.frozen.load(ordering: .sequentiallyConsistent) { return }  // and both stay open
            guard count > 0 else { break }
            var sent = 0
            while sent < count {
                let written = send(
                    sink,
                    Array(buffer[sent..<count]),
                    count - sent,
                    Int32(MSG_NOSIGNAL)
                )
                guard written > 0 else { return }
                sent += written
            }
        }
        shutdown(sink, Int32(SHUT_WR))
    }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private static func with<Value>(
        _ address: inout sockaddr_in,
        _ body: (UnsafeMutablePointer<sockaddr>) -> Value
    ) -> Value {
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) }
        }
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        final class Box {
            let body: @Sendable () -> Void; init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(Box(body)).toOpaque()
        pthread_create(
            &thread,
            nil,
            {
                Unmanaged<Box>.fromOpaque($0!).takeRetainedValue().body()
                return nil
            },
            argument
        )
        pthread_detach(thread)
    }
}
