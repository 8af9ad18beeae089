import Glibc

/// TCP ports on the loopback interface.
enum LoopbackPorts {
    /// Below those that systems give to connections: a node that is down for a while finds its port free again.
    private static let quiet = 15_000..<32_000

    /// Ports that nobody listens on at this moment.
    static func free(_ count: Int) throws(Failure) -> [Int] {
        var sockets: [Int32] = []
        defer { sockets.forEach { _ = close($0) } }
        var ports: [Int] = []
        // All stay bound until the last is chosen, so that none is chosen twice.
        for _ in 0..<count {
            let (socket, port) = try Self.bind(except: ports)
            sockets.append(socket)
            ports.append(port)
        }
        return ports
    }

    /// Whether a server may listen on `port`.
    static func isFree(_ port: Int) -> Bool {
        guard let (socket, _) = try? Self.bind(port) else { return false }
        close(socket)
        return true
    }

    /// A socket at a quiet port, or at any if those that were tried are taken.
    private static func bind(except taken: [Int]) throws(Failure) -> (socket: Int32, port: Int) {
        for _ in 0..<100 {
            let port = Int.random(in: Self.quiet)
            if !taken.contains(port), let bound = try? Self.bind(port) { return bound }
        }
        return try Self.bind(0)
    }

    private static func bind(_ port: Int) throws(Failure) -> (socket: Int32, port: Int) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw Failure("the system gave no socket: \(reason())") }
        var reuse: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                guard Glibc.bind(socket, pointer, size) == 0 else { return Int32(-1) }
                return getsockname(socket, pointer, &size)
            }
        }
        guard status == 0 else {
            let why = reason()
            close(socket)
            throw Failure("port \(port) can't be used: \(why)")
        }
        return (socket, Int(UInt16(bigEndian: address.sin_port)))
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
