import FoundationEssentials

/// Turns JSON into serialized messages.
struct MessageEncoder {
    let schema: MessageSchema

    func bytes(
        of tree: JSONTree,
        type: String,
        at place: MessagePlace,
        depth: Int
    ) throws(TranslationError) -> Data {
        guard depth < FabricJSON.maximumDepth else {
            throw TranslationError("messages are nested deeper than \(FabricJSON.maximumDepth) levels")
        }
        if type == TimestampJSON.messageType { return try TimestampJSON.bytes(of: tree) }
        guard case .object(let members) = tree else {
            throw TranslationError("found \(tree.kind); expected an object, for \(type)")
        }
        var message = PartialMessage(shape: try self.schema.message(type), place: place, depth: depth)
        // What a field holds may depend on the other fields, so those come first.
        var dependent: [(FieldShape, JSONTree)] = []
        for member in members {
            guard let field = message.shape.field(named: member.name) else {
                throw TranslationError("there is no field of this name in \(type)", at: [member.name])
            }
            try message.claim(field, member)
            let isOpen = try placing(member.name) { () throws(TranslationError) in
                try message.dependsOnOthers(field, named: member.name)
            }
            if isOpen {
                dependent.append((field, member.value))
            } else {
                try self.add(member.value, field, spelled: member.name, to: &message)
            }
        }
        for (field, value) in dependent {
            message.known = try WireFields(message.bytes)
            try self.add(value, field, spelled: field.name, to: &message)
        }
        return message.bytes
    }

    private func add(
        _ value: JSONTree,
        _ field: FieldShape,
        spelled name: String,
        to message: inout PartialMessage
    ) throws(TranslationError) {
        // The tools of Fabric look into a field only under the name of its definition.
        let place = name == field.name ? message.place : .inChoice
        let scope = (type: message.shape.name, place: place, known: message.known, depth: message.depth)
        message.encoded[field.number] = try placing(name) { () throws(TranslationError) in
            try self.bytes(of: value, field, in: scope)
        }
    }

    /// The message that a field belongs to, as far as it is known.
    private typealias Scope = (type: String, place: MessagePlace, known: WireFields, depth: Int)

    /// A field with its tags.
    private func bytes(of value: JSONTree, _ field: FieldShape, in scope: Scope) throws(TranslationError)
        -> Data
    {
        let content =
            field.choice == nil
            ? try OpaqueFields.content(of: field.name, in: scope.type, at: scope.place) : nil
        var output = Data()
        guard field.isRepeated else {
            if case .null = value { return output }
            try self.append(
                value,
                field,
                content,
                key: nil,
                in: scope,
                omittingZero: field.choice == nil,
                to: &output
            )
            return output
        }
        if let entry = field.messageType, try self.schema.message(entry).isMapEntry {
            try self.append(map: value, field, entry: self.schema.message(entry), in: scope, to: &output)
            return output
        }
        if case .null = value { return output }
        guard case .array(let elements) = value else {
            throw TranslationError("found \(value.kind); expected a list")
        }
        guard field.wireType == .lengthDelimited else {
            var packed = Data()
            for element in elements {
                packed.append(integer: try field.integer(of: element, self.schema), as: field.wireType)
            }
            guard !packed.isEmpty else { return output }
            output.append(tag: field.number, .lengthDelimited)
            output.append(lengthDelimited: packed)
            return output
        }
        for (index, element) in elements.enumerated() {
            let bytes = try placing("\(index)") { () throws(TranslationError) in
                var bytes = Data()
                try self.append(element, field, content, key: nil, in: scope, omittingZero: false, to: &bytes)
                return bytes
            }
            output.append(bytes)
        }
        return output
    }

    /// Appends one value with its tag.
    private func append(
        _ value: JSONTree,
        _ field: FieldShape,
        _ content: OpaqueContent?,
        key: String?,
        in scope: Scope,
        omittingZero: Bool,
        to output: inout Data
    ) throws(TranslationError) {
        guard field.wireType == .lengthDelimited else {
            let number = try field.integer(of: value, self.schema)
            if omittingZero, number == 0 { return }
            output.append(tag: field.number, field.wireType)
            return output.append(integer: number, as: field.wireType)
        }
        let bytes: Data
        if let type = field.messageType {
            let place = try OpaqueFields.place(
                in: field,
                of: scope.type,
                at: scope.place,
                key: key,
                besides: scope.known
            )
            bytes = try self.bytes(of: value, type: type, at: place, depth: scope.depth + 1)
        } else if let content {
            let type = try content.type(besides: scope.known)
            bytes = try self.bytes(of: value, type: type, at: .anywhere, depth: scope.depth + 1)
        } else {
            bytes = try field.bytes(ofText: value)
        }
        if omittingZero, bytes.isEmpty, field.messageType == nil { return }
        output.append(tag: field.number, .lengthDelimited)
        output.append(lengthDelimited: bytes)
    }

    private func append(
        map value: JSONTree,
        _ field: FieldShape,
        entry: MessageShape,
        in scope: Scope,
        to output: inout Data
    ) throws(TranslationError) {
        if case .null = value { return }
        guard case .object(let members) = value else {
            throw TranslationError("found \(value.kind); expected an object")
        }
        guard let keyField = entry.field(1), let valueField = entry.field(2) else {
            throw TranslationError("the map has no key or no value")
        }
        for member in members.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
            let bytes = try placing(member.name) { () throws(TranslationError) in
                var bytes = Data()
                let inEntry: Scope = (entry.name, .inChoice, scope.known, scope.depth)
                let key: JSONTree =
                    if case .bool = keyField.kind { .bool(member.name == "true") } else {
                        .string(member.name)
                    }
                try self.append(key, keyField, nil, key: nil, in: inEntry, omittingZero: false, to: &bytes)
                guard let type = valueField.messageType else {
                    try self.append(
                        member.value,
                        valueField,
                        nil,
                        key: nil,
                        in: inEntry,
                        omittingZero: false,
                        to: &bytes
                    )
                    return bytes
                }
                let place = try OpaqueFields.place(
                    in: field,
                    of: scope.type,
                    at: scope.place,
                    key: member.name,
                    besides: scope.known
                )
                bytes.append(tag: 2, .lengthDelimited)
                bytes.append(
                    lengthDelimited: try self.bytes(
                        of: member.value,
                        type: type,
                        at: place,
                        depth: scope.depth + 1
                    )
                )
                return bytes
            }
            output.append(tag: field.number, .lengthDelimited)
            output.append(lengthDelimited: bytes)
        }
    }
}

/// A message whose fields are being encoded one by one.
private struct PartialMessage {
    let shape: MessageShape
    let place: MessagePlace
    let depth: Int
    /// Each field with its tags, by number.
    var encoded: [Int: Data] = [:]
    /// The fields on which the content of others depends.
    var known: WireFields
    private var claimed: Set<Int> = []
    private var chosen: [Int: String] = [:]

    init(shape: MessageShape, place: MessagePlace, depth: Int) {
        self.shape = shape
        self.place = place
        self.depth = depth
        self.known = WireFields()
    }

    /// The fields so far, in ascending order of their numbers.
    var bytes: Data { self.encoded.sorted { $0.key < $1.key }.reduce(into: Data()) { $0.append($1.value) } }

    /// Whether the content of a field can be told only once the others are there.
    func dependsOnOthers(_ field: FieldShape, named name: String) throws(TranslationError) -> Bool {
        guard field.choice == nil, name == field.name else { return false }
        if case .chosen? = try OpaqueFields.content(of: name, in: self.shape.name, at: self.place) {
            return true
        }
        return self.shape.name == "rwset.TxReadWriteSet"
    }

    /// Refuses a field that is there twice, by either of its names or as another field of the same choice.
    mutating func claim(_ field: FieldShape, _ member: JSONTree.Member) throws(TranslationError) {
        guard self.claimed.insert(field.number).inserted else {
            throw TranslationError("the field is there under both of its names", at: [member.name])
        }
        guard let choice = field.choice else { return }
        if case .null = member.value { return }
        if let other = self.chosen[choice] {
            throw TranslationError("only one of \(other) and \(member.name) may be set", at: [member.name])
        }
        self.chosen[choice] = member.name
    }
}

extension FieldShape {
    /// The bytes of a text, or those that a text holds in base64.
    fileprivate func bytes(ofText value: JSONTree) throws(TranslationError) -> Data {
        guard case .string(let text) = value else {
            throw TranslationError("found \(value.kind); expected a text")
        }
        guard case .bytes = self.kind else { return Data(text.utf8) }
        // Either alphabet, with or without padding.
        var base64 = text.replacing("-", with: "+").replacing("_", with: "/")
        if base64.utf8.count % 4 != 0 {
            base64 += String(repeating: "=", count: 4 - base64.utf8.count % 4)
        }
        guard let bytes = Data(base64Encoded: base64) else {
            throw TranslationError("found \"\(text.prefix(40))\"; expected bytes in base64")
        }
        return bytes
    }
}
