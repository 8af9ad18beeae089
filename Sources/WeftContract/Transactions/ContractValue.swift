package import Foundation

/// How values become bytes and back: texts and bytes as they are, everything else as JSON.
///
/// The same for arguments, results, and values in the ledger. Members of JSON objects come in ascending order of
/// their names, so that every peer writes the same bytes.
///
/// - Source: Fabric's contract API, the conversion of arguments and results.
package enum ContractValue {
    package static func encode(_ value: some Encodable) throws -> Data {
        switch value {
        case let text as String: return Data(text.utf8)
        case let bytes as Data: return bytes
        default:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.dateEncodingStrategy = .iso8601
            return try encoder.encode(value)
        }
    }

    /// Reads a value; what is no JSON may stand without quotes where a text is wanted, as for an enumeration.
    ///
    /// - Throws: ``UnreadableValue``.
    static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        if let bytes = data as? Value { return bytes }
        if type == String.self || type == String?.self {
            guard let text = String(validating: data, as: UTF8.self) else {
                throw UnreadableValue(description: "it is not UTF-8 text")
            }
            if let value = text as? Value { return value }
        }
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            return try decoder.decode(type, from: data)
        } catch {
            if let text = String(validating: data, as: UTF8.self),
                let quoted = try? JSONEncoder().encode(text),
                let value = try? decoder.decode(type, from: quoted)
            {
                return value
            }
            throw UnreadableValue(type, data, error)
        }
    }
}

/// Bytes that are no value of the type that is wanted.
struct UnreadableValue: Error, CustomStringConvertible {
    var description: String
}

extension UnreadableValue {
    init<Value>(_ type: Value.Type, _ data: Data, _ cause: any Error) {
        let text = String(decoding: data.prefix(80), as: UTF8.self) + (data.count > 80 ? "…" : "")
        self.description = "expected \(Self.words(for: type)), found \"\(text)\"\(Self.reason(cause))"
    }

    private static func words(for type: Any.Type) -> String {
        switch type {
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case let type as any CaseIterable.Type where !type.texts.isEmpty:
            "one of \(type.texts.joined(separator: ", "))"
        default: "a value of \(type) as JSON"
        }
    }

    private static func reason(_ cause: any Error) -> String {
        switch cause {
        case DecodingError.keyNotFound(let key, _): " (\(key.stringValue) is missing)"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            " (at \(context.codingPath.map(\.stringValue).joined(separator: ".")))"
        default: ""
        }
    }
}

extension CaseIterable {
    /// The texts that stand for the values, if they are texts.
    fileprivate static var texts: [String] {
        self.allCases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
    }
}
