import Foundation
import Translation

/// A JSON value whose objects keep the order of their keys, so that the output of a command is the same every time.
enum JSONValue: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral
{
    case string(String)
    case integer(Int64)
    case unsigned(UInt64)
    case number(Double)
    case boolean(Bool)
    case null
    case array([JSONValue])
    case members([(String, JSONValue)])
    /// JSON text that something else has made.
    case verbatim(String)

    init(stringLiteral value: String) { self = .string(value) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(booleanLiteral value: Bool) { self = .boolean(value) }

    /// An object with its members in the order written.
    static func object(_ members: KeyValuePairs<String, JSONValue>) -> Self {
        .members(members.map { ($0.key, $0.value) })
    }

    /// The value on one line.
    var text: String {
        switch self {
        case .string(let text): Self.quoted(text)
        case .integer(let number): "\(number)"
        case .unsigned(let number): "\(number)"
        case .number(let number): number.isFinite ? "\(number)" : "null"
        case .boolean(let flag): flag ? "true" : "false"
        case .null: "null"
        case .verbatim(let text): text
        case .array(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
        case .members(let members):
            "{" + members.map { Self.quoted($0.0) + ": " + $0.1.text }.joined(separator: ", ") + "}"
        }
    }

    /// The value over several lines, indented by two spaces a level, for people.
    func indented(by depth: Int = 0) -> String {
        let inner = String(repeating: "  ", count: depth + 1)
        let outer = String(repeating: "  ", count: depth)
        switch self {
        case .array(let values) where !values.isEmpty:
            let lines = values.map { inner + $0.indented(by: depth + 1) }
            return "[\n" + lines.joined(separator: ",\n") + "\n" + outer + "]"
        case .members(let members) where !members.isEmpty:
            let lines = members.map { inner + Self.quoted($0.0) + ": " + $0.1.indented(by: depth + 1) }
            return "{\n" + lines.joined(separator: ",\n") + "\n" + outer + "}"
        default:
            return self.text
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20: result += String(format: "\\u%04x", scalar.value)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension JSONValue {
    /// Bytes: as text where they are UTF-8, else as `{"base64": …}`.
    static func bytes(_ bytes: Data) -> Self {
        if let text = String(data: bytes, encoding: .utf8) { return .string(text) }
        return .object(["base64": .string(bytes.base64EncodedString())])
    }
}

extension JSONValue {
    /// A message in the JSON of Fabric's tools.
    init(_ tree: JSONTree) {
        switch tree {
        case .null: self = .null
        case .bool(let flag): self = .boolean(flag)
        case .number(let digits): self = .verbatim(digits)
        case .string(let text): self = .string(text)
        case .array(let items): self = .array(items.map(Self.init))
        case .object(let members): self = .members(members.map { ($0.name, Self($0.value)) })
        }
    }
}
