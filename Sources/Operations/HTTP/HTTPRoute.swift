/// What answers requests below one path.
package struct HTTPRoute: Sendable {
    package typealias Answer = @Sendable (HTTPExchangeRequest) async -> HTTPExchangeResponse

    /// An exact path, or with a slash at its end everything below it.
    ///
    /// The longest path that fits wins.
    package var path: String
    /// Whether a request without a verified client certificate gets 401.
    ///
    /// Without TLS nothing is asked for.
    ///
    /// - Source: Fabric v3.1, package `core/middleware`, `RequireCert`.
    package var requiresClientCertificate: Bool
    /// How many bytes a body may have.
    package var bodyLimit: Int
    /// The answer to a longer body.
    package var tooLong: HTTPExchangeResponse
    /// Answers a request.
    ///
    /// A call that takes longer than the server's limit is cancelled, which it should heed.
    package var answer: Answer

    package init(
        _ path: String,
        requiresClientCertificate: Bool,
        bodyLimit: Int = 64 * 1024,
        tooLong: HTTPExchangeResponse = .text(413, "the body is too long\n"),
        answer: @escaping Answer
    ) {
        self.path = path
        self.requiresClientCertificate = requiresClientCertificate
        self.bodyLimit = bodyLimit
        self.tooLong = tooLong
        self.answer = answer
    }

    func fits(_ path: String) -> Bool {
        path == self.path || (self.path.hasSuffix("/") && path.hasPrefix(self.path))
    }
}

extension [HTTPRoute] {
    /// The route with the longest path that fits.
    func route(for path: String) -> HTTPRoute? {
        self.filter { $0.fits(path) }.max { $0.path.utf8.count < $1.path.utf8.count }
    }
}
