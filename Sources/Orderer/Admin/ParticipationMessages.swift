internal import Foundation
internal import Operations

extension HTTPExchangeResponse {
    static func json(_ status: Int, _ text: String, fields: KeyValuePairs<String, String>) -> Self {
        var response = Self.json(status, text + "\n")
        for (name, value) in fields { response.fields.append(name, value) }
        return response
    }

    static func error(_ status: Int, _ reason: String, fields: KeyValuePairs<String, String> = [:]) -> Self {
        .json(status, "{\"error\":\(quoted(reason))}", fields: fields)
    }

    /// The list of all channels; `null`, not an empty list, where there are none.
    static func list(_ names: [String]) -> Self {
        let channels = names.map { "{\"name\":\(quoted($0)),\"url\":\(quoted(ChannelInfo.url($0)))}" }
        let list = names.isEmpty ? "null" : "[\(channels.joined(separator: ","))]"
        return .json(
            200,
            "{\"systemChannel\":null,\"channels\":\(list)}",
            fields: ["Cache-Control": "no-store"]
        )
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
