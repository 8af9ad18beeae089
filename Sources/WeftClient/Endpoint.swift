/// The address at which a node listens.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A DNS name or IP address, without brackets.
    public let host: String
    /// The TCP port, 1 to 65535.
    public let port: Int

    /// Reads `host:port`; an IPv6 address stands in brackets.
    ///
    /// - Throws: ``ClientError`` when the text isn't of that form.
    public init(_ text: String) throws(ClientError) {
        guard
            let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (1...65535).contains(port)
        else { throw Self.malformed(text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw Self.malformed(text)
        }
        guard !host.isEmpty, !host.contains(where: \.isWhitespace) else { throw Self.malformed(text) }
        self.host = String(host)
        self.port = port
    }

    /// The address as `host:port`.
    public var description: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }

    private static func malformed(_ text: String) -> ClientError {
        ClientError(
            .invalidArgument,
            "\"\(text)\" is not an address; expected host:port, such as 127.0.0.1:7051 or [::1]:7051"
        )
    }
}
