internal import Foundation

/// A JSON schema, as far as contract metadata has it.
///
/// - Source: Fabric's contract metadata schema, definition `schema`.
final class JSONSchema: Encodable {
    var type: String?
    var format: String?
    var minimum: Int?
    var values: [String]?
    var items: JSONSchema?
    var properties: [String: JSONSchema]?
    var required: [String]?
    var additionalProperties: Bool?
    var reference: String?

    init(_ type: String? = nil, format: String? = nil) {
        self.type = type
        self.format = format
    }

    private enum CodingKeys: String, CodingKey {
        case type, format, minimum, items, properties, required, additionalProperties
        case values = "enum"
        case reference = "$ref"
    }
}

/// Finds out the schema of a type: has it decoded from a decoder that answers every question with some value, and notes
/// the questions.
struct SchemaProbe {
    /// Schemas of the types with members, by name.
    private(set) var components: [String: JSONSchema] = [:]
    private static let deepest = 16

    /// The schema of `type`; types with members become components, and are referred to.
    mutating func schema(of type: any Decodable.Type, depth: Int = 0) -> JSONSchema {
        if let plain = Self.plain(type) { return plain }
        if let optional = type as? any OptionalType.Type {
            return self.schema(of: optional.wrapped, depth: depth)
        }
        if let cases = (type as? any CaseIterable.Type)?.rawTexts {
            let schema = JSONSchema("string")
            schema.values = cases
            return schema
        }
        let name = String(describing: type)
        if self.components[name] != nil { return .referring(to: name) }
        guard depth < Self.deepest else { return JSONSchema() }
        let notes = SchemaNotes()
        self.components[name] = JSONSchema("object")
        _ = try? type.init(from: NotingDecoder(notes: notes))
        return self.schema(notes, name, depth)
    }

    private mutating func schema(_ notes: SchemaNotes, _ name: String, _ depth: Int) -> JSONSchema {
        switch notes.shape {
        case .object:
            let schema = JSONSchema("object")
            schema.properties = [:]
            schema.additionalProperties = false
            for member in notes.members {
                schema.properties?[member.name] = self.schema(of: member.type, depth: depth + 1)
            }
            schema.required = notes.members.filter(\.isRequired).map(\.name)
            if schema.required?.isEmpty == true { schema.required = nil }
            self.components[name] = schema
            return .referring(to: name)
        case .dictionary: return self.replaced(name, JSONSchema("object"))
        case .array(let element):
            let schema = JSONSchema("array")
            self.components[name] = nil
            schema.items = element.map { self.schema(of: $0, depth: depth + 1) } ?? JSONSchema()
            return schema
        case .single(let type):
            self.components[name] = nil
            return self.schema(of: type, depth: depth + 1)
        case .unknown: return self.replaced(name, JSONSchema())
        }
    }

    private mutating func replaced(_ name: String, _ schema: JSONSchema) -> JSONSchema {
        self.components[name] = nil
        return schema
    }

    private static func plain(_ type: any Decodable.Type) -> JSONSchema? {
        switch type {
        case is String.Type: JSONSchema("string")
        case is Bool.Type: JSONSchema("boolean")
        case is Date.Type: JSONSchema("string", format: "date-time")
        case is Data.Type: JSONSchema("string", format: "byte")
        case is UUID.Type: JSONSchema("string", format: "uuid")
        case is URL.Type: JSONSchema("string", format: "uri")
        case is Double.Type: JSONSchema("number", format: "double")
        case is Float.Type: JSONSchema("number", format: "float")
        case is Decimal.Type: JSONSchema("number")
        case is Int.Type, is Int64.Type: JSONSchema("integer", format: "int64")
        case is Int32.Type, is Int16.Type, is Int8.Type: JSONSchema("integer", format: "int32")
        case is any UnsignedInteger.Type: .natural
        default: nil
        }
    }
}

extension JSONSchema {
    static func referring(to name: String) -> JSONSchema {
        let schema = JSONSchema()
        schema.reference = "#/components/schemas/\(name)"
        return schema
    }

    static var natural: JSONSchema {
        let schema = JSONSchema("integer")
        schema.minimum = 0
        return schema
    }
}

private protocol OptionalType {
    static var wrapped: any Decodable.Type { get }
}

extension Optional: OptionalType where Wrapped: Decodable {
    static var wrapped: any Decodable.Type { Wrapped.self }
}

extension CaseIterable {
    /// The texts of an enumeration of texts; `nil` for others.
    fileprivate static var rawTexts: [String]? {
        let texts = Self.allCases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
        return texts.isEmpty ? nil : texts
    }
}

/// What a type has asked its decoder.
private final class SchemaNotes {
    enum Shape {
        case unknown, object, dictionary
        case array((any Decodable.Type)?)
        case single(any Decodable.Type)
    }

    struct Member {
        var name: String
        var type: any Decodable.Type
        var isRequired: Bool
    }

    var shape = Shape.unknown
    var members: [Member] = []

    func note(_ name: String, _ type: any Decodable.Type, isRequired: Bool) {
        guard !self.members.contains(where: { $0.name == name }) else { return }
        self.members.append(Member(name: name, type: type, isRequired: isRequired))
    }
}

private struct NotingDecoder: Decoder {
    let notes: SchemaNotes
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        // A dictionary asks for the keys that are there; a type with members for those that it knows.
        self.notes.shape = .object
        return KeyedDecodingContainer(NotingKeyedContainer<Key>(notes: self.notes))
    }

    func unkeyedContainer() -> any UnkeyedDecodingContainer {
        self.notes.shape = .array(nil)
        return NotingUnkeyedContainer(notes: self.notes)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer {
        NotingSingleContainer(notes: self.notes)
    }
}

/// Some value of a type; throws where none can be thought of, which ends the questions of the type around it.
private func someValue<Value: Decodable>(_ type: Value.Type) throws -> Value {
    let plain: [any Decodable] = [
        "", false, 0, Int64(0), Int32(0), Int16(0), Int8(0), UInt(0), UInt64(0), UInt32(0), UInt16(0),
        UInt8(0),
        0.0, Float(0), Date(timeIntervalSince1970: 0), Data(), Decimal(0),
        UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    ]
    for value in plain { if let value = value as? Value { return value } }
    if let cases = type as? any CaseIterable.Type, let first = cases.first as? Value { return first }
    if let url = URL(string: "about:blank") as? Value { return url }
    return try Value(from: NotingDecoder(notes: SchemaNotes()))
}

extension CaseIterable {
    fileprivate static var first: Any? { Self.allCases.first }
}

private struct NotingKeyedContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let notes: SchemaNotes
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] {
        self.notes.shape = .dictionary
        return []
    }

    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) -> Bool { false }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        self.notes.note(key.stringValue, type, isRequired: true)
        return try someValue(type)
    }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        self.notes.note(key.stringValue, type, isRequired: false)
        return nil
    }

    // The container's own methods for plain types come here too, through the generic one.
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { self.absent(type, key) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { self.absent(type, key) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { self.absent(type, key) }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { self.absent(type, key) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { self.absent(type, key) }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { self.absent(type, key) }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { self.absent(type, key) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { self.absent(type, key) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { self.absent(type, key) }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { self.absent(type, key) }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { self.absent(type, key) }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { self.absent(type, key) }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { self.absent(type, key) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { self.absent(type, key) }

    private func absent<Value: Decodable>(_ type: Value.Type, _ key: Key) -> Value? {
        self.notes.note(key.stringValue, type, isRequired: false)
        return nil
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type,
        forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> { throw NotKnown() }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { throw NotKnown() }
    func superDecoder() throws -> any Decoder { throw NotKnown() }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw NotKnown() }
}

private struct NotKnown: Error {}

/// Has one element, so that its type is asked for.
private struct NotingUnkeyedContainer: UnkeyedDecodingContainer {
    let notes: SchemaNotes
    var codingPath: [any CodingKey] { [] }
    var count: Int? { nil }
    var isAtEnd: Bool { self.currentIndex > 0 }
    var currentIndex = 0

    init(notes: SchemaNotes) { self.notes = notes }

    mutating func decodeNil() -> Bool { false }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        self.currentIndex += 1
        self.notes.shape = .array(type)
        return try someValue(type)
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> { throw NotKnown() }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { throw NotKnown() }
    mutating func superDecoder() throws -> any Decoder { throw NotKnown() }
}

private struct NotingSingleContainer: SingleValueDecodingContainer {
    let notes: SchemaNotes
    var codingPath: [any CodingKey] { [] }

    func decodeNil() -> Bool { false }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        self.notes.shape = .single(type)
        return try someValue(type)
    }
}
