/// Where an HTTP server listens.
struct HTTPAddress {
    let text: String
    /// A name or address without brackets; `0.0.0.0` for a text such as `:9443`.
    let host: String
    let port: Int

    /// - Throws: ``HTTPServerError`` when the text isn't `host:port`.
    init(_ text: String) throws(HTTPServerError) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw HTTPServerError(
                "can't serve HTTP on \"\(text)\": give host:port, such as 127.0.0.1:9443; port 0 takes any that is free"
            )
        }
        self.text = text
        let host = text[..<colon].filter { $0 != "[" && $0 != "]" }
        self.host = host.isEmpty ? "0.0.0.0" : host
        self.port = Int(port)
    }
}
