import Foundation
import Glibc
import Synchronization

/// A port of the loopback interface on which every connection is closed at once, and counted.
final class ClosingPort: Sendable {
    let port: Int
    private let listener: Int32
    private let accepted = Atomic<Int>(0)

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, pointer, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EADDRINUSE) }
        self.port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                close(connection)
                self?.accepted.add(1, ordering: .relaxed)
            }
        }
    }

    /// No connection is taken any more.
    func stop() { shutdown(self.listener, Int32(SHUT_RDWR)) }

    deinit { close(self.listener) }

    /// How many connections there were.
    var count: Int { self.accepted.load(ordering: .relaxed) }
}
