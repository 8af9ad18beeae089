package import Foundation

/// An HTTP request to the channel participation API.
package struct ParticipationRequest: Sendable {
    /// In capitals, such as `GET`.
    package var method: String
    /// As in the request line, percent-encoded, without the query.
    package var path: String
    /// The header `Accept`, if there is one.
    package var accept: String?
    /// The header `Content-Type`, if there is one.
    package var contentType: String?
    package var body: Data

    package init(
        method: String,
        path: String,
        accept: String? = nil,
        contentType: String? = nil,
        body: Data = Data()
    ) {
        self.method = method
        self.path = path
        self.accept = accept
        self.contentType = contentType
        self.body = body
    }
}

/// The answer to a ``ParticipationRequest``.
package struct ParticipationResponse: Equatable, Sendable {
    package var status: Int
    /// By name, without those that the server adds, such as `Content-Length`.
    package var headers: [String: String]
    package var body: Data

    package init(status: Int, headers: [String: String] = [:], body: Data = Data()) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    static func json(_ status: Int, _ text: String, headers: [String: String] = [:]) -> Self {
        Self(
            status: status,
            headers: headers.merging(["Content-Type": "application/json"]) { _, type in type },
            body: Data((text + "\n").utf8)
        )
    }

    static func error(_ status: Int, _ reason: String, headers: [String: String] = [:]) -> Self {
        .json(status, "{\"error\":\(quoted(reason))}", headers: headers)
    }
}

extension ChannelInfo {
    /// Where the API tells about the channel, without host and port.
    static func url(_ name: String) -> String { "\(ParticipationAPI.collection)/\(name)" }

    /// The object that the API answers with; its members are in the order in which Fabric writes them.
    var json: String {
        "{\"name\":\(quoted(self.name)),\"url\":\(quoted(Self.url(self.name))),"
            + "\"consensusRelation\":\(quoted(self.consensusRelation.rawValue)),"
            + "\"status\":\(quoted(self.status.rawValue)),\"height\":\(self.height)}"
    }
}

extension ParticipationResponse {
    /// The list of all channels; `null`, not an empty list, where there are none.
    static func list(_ names: [String]) -> Self {
        let channels = names.map { "{\"name\":\(quoted($0)),\"url\":\(quoted(ChannelInfo.url($0)))}" }
        let list = names.isEmpty ? "null" : "[\(channels.joined(separator: ","))]"
        return .json(
            200,
            "{\"systemChannel\":null,\"channels\":\(list)}",
            headers: ["Cache-Control": "no-store"]
        )
    }
}

/// A text as JSON.
///
/// Source: RFC 8259, section 7.
private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
