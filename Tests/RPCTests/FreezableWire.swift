import Glibc
import Synchronization

/// A TCP relay on loopback that can fall silent without closing anything, as a cut cable does.
final class FreezableWire: Sendable {
    let port: Int
    private let listener: Int32
    private let frozen = Atomic<Bool>(false)
    private let descriptors = Mutex<[Int32]>([])

    init(to target: Int) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = LoopbackSocket.address(port: 0)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = LoopbackSocket.with(&address) { bind(listener, $0, length) }
        guard bound == 0, listen(listener, 8) == 0 else {
            throw LoopbackSocket.Failure(step: "listen", code: errno)
        }
        var actual = length
        _ = LoopbackSocket.with(&address) { getsockname(listener, $0, &actual) }
        self.port = Int(UInt16(bigEndian: address.sin_port))
        Detached.thread { self.acceptConnections(target) }
    }

    deinit {
        close(self.listener)
    }

    func freeze() { self.frozen.store(true, ordering: .sequentiallyConsistent) }

    private func acceptConnections(_ target: Int) {
        while true {
            let near = accept(self.listener, nil, nil)
            guard near >= 0 else { return }
            guard let far = try? LoopbackSocket.connected(to: target) else { return }
            Detached.thread { self.pump(from: near, to: far) }
            Detached.thread { self.pump(from: far, to: near) }
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
}
