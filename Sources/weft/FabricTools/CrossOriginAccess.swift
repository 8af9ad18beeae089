import Operations

/// Which other sites' pages a browser lets use a server that takes nothing but POST.
///
/// - Source: Fetch Standard (WHATWG), "CORS protocol"; Fabric v3.1, `configtxlator start --CORS`.
struct CrossOriginAccess: Sendable {
    /// Header fields that a page may send without asking.
    private static let simpleFields: Set = ["accept", "accept-language", "content-language", "origin"]
    private static let allowedField = "content-type"

    /// Origins as a browser sends them, or `*` for all; without any, no page of another site may use the server.
    private let origins: [String]

    init(_ origins: [String]) {
        self.origins = origins.contains("*") ? ["*"] : origins
    }

    /// Answers what a browser asks beforehand, and lets `answer` do the rest.
    func answer(
        _ request: HTTPExchangeRequest,
        _ answer: (HTTPExchangeRequest) -> HTTPExchangeResponse
    ) -> HTTPExchangeResponse {
        guard !self.origins.isEmpty else { return answer(request) }
        let isQuestion = request.method == "OPTIONS"
        guard let origin = request.fields["Origin"], self.allows(origin) else {
            return isQuestion ? HTTPExchangeResponse(status: 200) : answer(request)
        }
        var response = isQuestion ? Self.preflight(request) : answer(request)
        guard !isQuestion || response.status == 200 else { return response }
        if self.origins.count > 1 { response.fields["Vary"] = "Origin" }
        response.fields["Access-Control-Allow-Origin"] = self.origins == ["*"] ? "*" : origin
        return response
    }

    private func allows(_ origin: String) -> Bool {
        !origin.isEmpty && (self.origins == ["*"] || self.origins.contains(origin))
    }

    private static func preflight(_ request: HTTPExchangeRequest) -> HTTPExchangeResponse {
        guard let method = request.fields["Access-Control-Request-Method"] else {
            return HTTPExchangeResponse(status: 400)
        }
        guard method == "POST" else { return HTTPExchangeResponse(status: 405) }
        let asked = (request.fields["Access-Control-Request-Headers"] ?? "").split(separator: ",")
            .map { $0.drop { $0 == " " }.lowercased() }.filter {
                !$0.isEmpty && !Self.simpleFields.contains($0)
            }
        guard asked.allSatisfy({ $0 == Self.allowedField }) else { return HTTPExchangeResponse(status: 403) }
        var response = HTTPExchangeResponse(status: 200)
        if !asked.isEmpty { response.fields["Access-Control-Allow-Headers"] = "Content-Type" }
        return response
    }
}
