import Glibc

/// The address a server was asked to listen on.
struct ListeningAddress {
    private let text: String
    let host: String
    private let port: String

    /// - Throws: ``TransportError`` if the text isn't `host:port`.
    init(_ text: String) throws(TransportError) {
        self.text = text
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        self.port = String(parts.last ?? "")
        self.host = parts.dropLast().joined(separator: ":")
        // Core would make up a port.
        guard !self.host.isEmpty, UInt16(self.port) != nil else {
            throw TransportError(
                .address,
                "can't listen on \"\(text)\": give host:port, such as 127.0.0.1:7051"
            )
        }
    }

    /// Why C core could not bind to the address, found by trying it once more.
    func whyNotBound(tls: Bool) -> TransportError {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        let bare = self.host.filter { $0 != "[" && $0 != "]" }
        let failure = getaddrinfo(bare, self.port, &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        guard failure == 0, let found else {
            let reason = String(cString: gai_strerror(failure))
            return TransportError(
                .address,
                "can't listen on \(self.text): \(reason); give a host name or address of this machine"
            )
        }
        let descriptor = socket(found.pointee.ai_family, found.pointee.ai_socktype, 0)
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        if bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0, listen(descriptor, 1) == 0
        {
            let reason =
                tls
                ? "the TLS certificate, key or client roots can't be used; check that the key belongs to the certificate"
                : "C core refused it"
            return TransportError(tls ? .tls : .address, "can't listen on \(self.text): \(reason)")
        }
        return self.error(errno)
    }

    private func error(_ code: Int32) -> TransportError {
        switch code {
        case EADDRINUSE:
            TransportError(
                .address,
                "can't listen on \(self.text): port \(self.port) is in use by another program; "
                    + "stop that program (`ss -ltnp` names it) or give another port"
            )
        case EACCES:
            TransportError(
                .address,
                "can't listen on \(self.text): no permission for port \(self.port); give one above 1023"
            )
        case EADDRNOTAVAIL:
            TransportError(
                .address,
                "can't listen on \(self.text): this machine doesn't have the address \(self.host)"
            )
        default:
            TransportError(.address, "can't listen on \(self.text): \(String(cString: strerror(code)))")
        }
    }
}
