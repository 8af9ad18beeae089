internal import FabricProtos
import FoundationEssentials
internal import SwiftProtobuf

/// What messages there are and what fields they have, read from their descriptors.
struct MessageSchema: Sendable {
    /// By full name: `common.Block`.
    private var messages: [String: MessageShape] = [:]
    private var enumerations: [String: EnumerationShape] = [:]

    /// Reads serialized descriptors.
    ///
    /// Files of the syntax proto2 are left out: no tool of Fabric shows such messages.
    ///
    /// - Parameter descriptors: A serialized `google.protobuf.FileDescriptorSet`.
    /// - Throws: ``TranslationError`` for anything else, and for field types that Fabric doesn't use.
    init(descriptors: Data) throws(TranslationError) {
        let set: Google_Protobuf_FileDescriptorSet
        do {
            set = try Google_Protobuf_FileDescriptorSet(serializedBytes: descriptors)
        } catch {
            throw TranslationError("the descriptors of the messages can't be read: \(error)")
        }
        for file in set.file where file.syntax == "proto3" {
            try self.add(file.messageType, in: file.package)
            self.add(file.enumType, in: file.package)
        }
    }

    /// The messages of Fabric.
    static func fabric() throws(TranslationError) -> Self {
        try Self(descriptors: fabricFileDescriptors)
    }

    func hasMessage(_ name: String) -> Bool { self.messages[name] != nil }

    /// The message with this full name.
    func message(_ name: String) throws(TranslationError) -> MessageShape {
        guard let shape = self.messages[name] else {
            throw TranslationError("there is no message type \(name); a type is named like common.Config")
        }
        return shape
    }

    /// The enumeration with this full name; one without values if there is none.
    func enumeration(_ name: String) -> EnumerationShape { self.enumerations[name] ?? EnumerationShape() }

    private mutating func add(
        _ descriptors: [Google_Protobuf_DescriptorProto],
        in scope: String
    ) throws(TranslationError) {
        for descriptor in descriptors {
            let name = "\(scope).\(descriptor.name)"
            var shape = MessageShape(name: name, isMapEntry: descriptor.options.mapEntry)
            for field in descriptor.field {
                shape.add(try FieldShape(field))
            }
            self.messages[name] = shape
            try self.add(descriptor.nestedType, in: name)
            self.add(descriptor.enumType, in: name)
        }
    }

    private mutating func add(_ descriptors: [Google_Protobuf_EnumDescriptorProto], in scope: String) {
        for descriptor in descriptors {
            var shape = EnumerationShape()
            for value in descriptor.value {
                shape.numbers[value.name] = value.number
                // Of two names for a number, the first is printed.
                if shape.names[value.number] == nil { shape.names[value.number] = value.name }
            }
            self.enumerations["\(scope).\(descriptor.name)"] = shape
        }
    }
}

/// The names and numbers of an enumeration.
struct EnumerationShape: Sendable {
    var names: [Int32: String] = [:]
    var numbers: [String: Int32] = [:]
}

/// The fields of a message.
struct MessageShape: Sendable {
    let name: String
    /// It is the entry of a map: field 1 is the key, field 2 the value.
    let isMapEntry: Bool
    /// In ascending order of their numbers.
    private(set) var fields: [FieldShape] = []
    private var byName: [String: Int] = [:]

    init(name: String, isMapEntry: Bool) {
        self.name = name
        self.isMapEntry = isMapEntry
    }

    fileprivate mutating func add(_ field: FieldShape) {
        let place = self.fields.firstIndex { $0.number > field.number } ?? self.fields.count
        self.fields.insert(field, at: place)
        self.byName = [:]
        for (index, field) in self.fields.enumerated() {
            self.byName[field.name] = index
            self.byName[field.camelName] = index
        }
    }

    /// The field with a name of the definition (`channel_id`), or with the same in camel case (`channelId`).
    func field(named name: String) -> FieldShape? { self.byName[name].map { self.fields[$0] } }

    func field(_ number: Int) -> FieldShape? { self.fields.first { $0.number == number } }
}

/// One field of a message.
struct FieldShape: Sendable {
    enum Kind: Sendable {
        case int32, sint32, sfixed32, uint32, fixed32
        case int64, sint64, sfixed64, uint64, fixed64
        case bool, string, bytes
        case enumeration(String)
        case message(String)
    }

    let number: Int
    /// As in the definition: `channel_id`.
    let name: String
    /// `channelId`.
    let camelName: String
    let kind: Kind
    /// A list or a map.
    let isRepeated: Bool
    /// Which of the message's choices the field belongs to, if any: at most one field of a choice is set.
    let choice: Int?

    fileprivate init(_ descriptor: Google_Protobuf_FieldDescriptorProto) throws(TranslationError) {
        self.number = Int(descriptor.number)
        self.name = descriptor.name
        self.camelName = descriptor.jsonName
        self.isRepeated = descriptor.label == .repeated
        self.choice = descriptor.hasOneofIndex ? Int(descriptor.oneofIndex) : nil
        let type = String(descriptor.typeName.drop { $0 == "." })
        self.kind =
            switch descriptor.type {
            case .int32: .int32
            case .sint32: .sint32
            case .sfixed32: .sfixed32
            case .uint32: .uint32
            case .fixed32: .fixed32
            case .int64: .int64
            case .sint64: .sint64
            case .sfixed64: .sfixed64
            case .uint64: .uint64
            case .fixed64: .fixed64
            case .bool: .bool
            case .string: .string
            case .bytes: .bytes
            case .enum: .enumeration(type)
            case .message: .message(type)
            case .double, .float, .group:
                throw TranslationError("field \(descriptor.name) has a type that no message of Fabric has")
            }
    }

    /// How one value is laid out on the wire.
    var wireType: WireType {
        switch self.kind {
        case .int32, .sint32, .uint32, .int64, .sint64, .uint64, .bool, .enumeration: .varint
        case .sfixed32, .fixed32: .fixed32
        case .sfixed64, .fixed64: .fixed64
        case .string, .bytes, .message: .lengthDelimited
        }
    }

    /// The full name of the message that the field holds.
    var messageType: String? {
        guard case .message(let name) = self.kind else { return nil }
        return name
    }
}
