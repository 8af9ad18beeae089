import FoundationEssentials
internal import SwiftProtobuf

/// Times, which JSON shows as text: `2026-11-21T07:28:43.5Z`.
///
/// - Source: Protocol Buffers documentation, JSON mapping; RFC 3339.
enum TimestampJSON {
    static let messageType = "google.protobuf.Timestamp"

    static func tree(of bytes: Data) throws(TranslationError) -> JSONTree {
        do {
            let quoted = try Google_Protobuf_Timestamp(serializedBytes: bytes).jsonString()
            return .string(String(quoted.dropFirst().dropLast()))
        } catch {
            throw TranslationError("this time is outside of the years 1 to 9999: \(error)")
        }
    }

    static func bytes(of tree: JSONTree) throws(TranslationError) -> Data {
        guard case .string(let text) = tree else {
            throw TranslationError("found \(tree.kind); expected a time such as \"2026-11-21T07:28:43Z\"")
        }
        // Quotes and escapes have no place in a time.
        guard text.utf8.allSatisfy({ (0x2b...0x7a).contains($0) && $0 != UInt8(ascii: "\\") }) else {
            throw TranslationError("\"\(text)\" is no time; expected one such as \"2026-11-21T07:28:43Z\"")
        }
        do {
            return try Google_Protobuf_Timestamp(jsonString: "\"\(text)\"").serializedBytes()
        } catch {
            throw TranslationError("\"\(text)\" is no time; expected one such as \"2026-11-21T07:28:43Z\"")
        }
    }
}
