internal import Glibc

/// Ports of the loopback interface.
enum LoopbackPort {
    /// A port that is free now, below those that the system gives to outgoing connections.
    static func free() throws(ContractError) -> UInt16 {
        for _ in 0..<1_000 {
            let port = UInt16.random(in: 10_000..<32_000)
            if self.withSocket(port, { bind($0, $1, $2) == 0 }) { return port }
        }
        throw ContractError("there is no free port for a contract to listen at")
    }

    /// Whether somebody listens at `127.0.0.1:port`.
    static func isListening(_ address: String) -> Bool {
        guard !address.hasPrefix("unix:"),
            let port = address.split(separator: ":").last.flatMap({ UInt16($0) })
        else { return false }
        return self.withSocket(port) { connect($0, $1, $2) == 0 }
    }

    private static func withSocket(
        _ port: UInt16,
        _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Bool
    ) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
