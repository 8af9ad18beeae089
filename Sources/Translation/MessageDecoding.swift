import FoundationEssentials

/// Turns serialized messages into JSON.
struct MessageDecoder {
    let schema: MessageSchema
    /// How many more values may be made.
    var remainingValues: Int

    mutating func tree(
        of bytes: Data,
        type: String,
        at place: MessagePlace,
        depth: Int
    ) throws(TranslationError) -> JSONTree {
        guard depth < FabricJSON.maximumDepth else {
            throw TranslationError("messages are nested deeper than \(FabricJSON.maximumDepth) levels")
        }
        if type == TimestampJSON.messageType { return try TimestampJSON.tree(of: bytes) }
        let shape = try self.schema.message(type)
        let fields = try WireFields(bytes)
        let occurrences = Occurrences(of: fields, in: shape)
        var members: [JSONTree.Member] = []
        for field in shape.fields {
            let values = occurrences[field]
            // Of a choice only the field that is set is shown.
            if field.choice != nil, values.isEmpty { continue }
            let value = try placing(field.name) { () throws(TranslationError) in
                let message = EnclosingMessage(shape: shape, place: place, fields: fields, depth: depth)
                return try self.tree(of: values, field, in: message)
            }
            members.append(.init(field.name, value))
        }
        return .object(members)
    }

    /// A message inside of a value: its type and where it stands.
    private typealias InnerMessage = (type: String, place: MessagePlace)

    /// The message that a field belongs to.
    private struct EnclosingMessage {
        let shape: MessageShape
        let place: MessagePlace
        let fields: WireFields
        let depth: Int

        func content(of field: FieldShape) throws(TranslationError) -> OpaqueContent? {
            guard field.choice == nil else { return nil }
            return try OpaqueFields.content(of: field.name, in: self.shape.name, at: self.place)
        }

        /// The message that each value of a field holds; `nil` for texts and plain bytes.
        func inner(of field: FieldShape) throws(TranslationError) -> InnerMessage? {
            if let type = field.messageType { return (type, try self.place(in: field, key: nil)) }
            guard let content = try self.content(of: field) else { return nil }
            return (try content.type(besides: self.fields), .anywhere)
        }

        func place(in field: FieldShape, key: String?) throws(TranslationError) -> MessagePlace {
            try OpaqueFields.place(
                in: field,
                of: self.shape.name,
                at: self.place,
                key: key,
                besides: self.fields
            )
        }
    }

    private mutating func tree(
        of values: [WireValue],
        _ field: FieldShape,
        in message: EnclosingMessage
    ) throws(TranslationError) -> JSONTree {
        try self.count(1 + values.count)
        guard field.isRepeated else { return try self.single(values, field, in: message) }
        if let entry = field.messageType, try self.schema.message(entry).isMapEntry {
            return try self.map(values, field, entry: self.schema.message(entry), in: message)
        }
        if field.wireType != .lengthDelimited {
            return .array(try self.numbers(values, field))
        }
        let inner = values.isEmpty ? nil : try message.inner(of: field)
        var elements: [JSONTree] = []
        for (index, value) in values.enumerated() {
            guard case .bytes(let bytes) = value else { continue }
            let element = try placing("\(index)") { () throws(TranslationError) in
                try self.element(bytes, field, inner, depth: message.depth)
            }
            elements.append(element)
        }
        return .array(elements)
    }

    private mutating func single(
        _ values: [WireValue],
        _ field: FieldShape,
        in message: EnclosingMessage
    ) throws(TranslationError) -> JSONTree {
        if field.messageType != nil {
            guard !values.isEmpty, let bytes = message.fields.message(field.number) else { return .null }
            return try self.element(bytes, field, message.inner(of: field), depth: message.depth)
        }
        guard field.wireType == .lengthDelimited else {
            guard case .integer(let value, _)? = values.last else {
                return field.json(ofInteger: 0, self.schema)
            }
            return field.json(ofInteger: value, self.schema)
        }
        var last = Data()
        if case .bytes(let bytes)? = values.last { last = bytes }
        guard case .bytes = field.kind else {
            return try self.element(last, field, nil, depth: message.depth)
        }
        // Nothing and an empty message are the same on the wire, and shown as nothing.
        if last.isEmpty, try message.content(of: field) != nil { return .null }
        return try self.element(last, field, message.inner(of: field), depth: message.depth)
    }

    /// One length-delimited value, with the message that is in it, if any.
    private mutating func element(
        _ bytes: Data,
        _ field: FieldShape,
        _ inner: InnerMessage?,
        depth: Int
    ) throws(TranslationError) -> JSONTree {
        if let inner {
            return try self.tree(of: bytes, type: inner.type, at: inner.place, depth: depth + 1)
        }
        if case .bytes = field.kind { return .string(bytes.base64EncodedString()) }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw TranslationError("this text is not valid UTF-8")
        }
        return .string(text)
    }

    private mutating func numbers(
        _ values: [WireValue],
        _ field: FieldShape
    ) throws(TranslationError) -> [JSONTree] {
        var elements: [JSONTree] = []
        for value in values {
            switch value {
            case .integer(let number, _): elements.append(field.json(ofInteger: number, self.schema))
            case .bytes(let bytes):
                let numbers = try unpacked(bytes, as: field.wireType)
                try self.count(numbers.count)
                for number in numbers { elements.append(field.json(ofInteger: number, self.schema)) }
            }
        }
        return elements
    }

    private mutating func map(
        _ values: [WireValue],
        _ field: FieldShape,
        entry: MessageShape,
        in message: EnclosingMessage
    ) throws(TranslationError) -> JSONTree {
        guard let keyField = entry.field(1), let valueField = entry.field(2) else {
            throw TranslationError("the map has no key or no value")
        }
        var members: [JSONTree.Member] = []
        var places: [Data: Int] = [:]
        for case .bytes(let bytes) in values {
            let fields = try WireFields(bytes)
            let occurrences = Occurrences(of: fields, in: entry)
            let inEntry = EnclosingMessage(
                shape: entry,
                place: .inChoice,
                fields: fields,
                depth: message.depth
            )
            let key = try self.single(occurrences[keyField], keyField, in: inEntry).key
            let value = try placing(key) { () throws(TranslationError) in
                guard let type = valueField.messageType else {
                    return try self.single(occurrences[valueField], valueField, in: inEntry)
                }
                return try self.tree(
                    of: fields.message(2) ?? Data(),
                    type: type,
                    at: message.place(in: field, key: key),
                    depth: message.depth + 1
                )
            }
            if let place = places[Data(key.utf8)] {
                members[place].value = value
            } else {
                places[Data(key.utf8)] = members.count
                members.append(.init(key, value))
            }
        }
        return .object(members)
    }

    private mutating func count(_ values: Int) throws(TranslationError) {
        self.remainingValues -= values
        guard self.remainingValues >= 0 else {
            throw TranslationError("the message would become more than \(FabricJSON.maximumValues) values")
        }
    }
}

/// The values of each field of a message, without those of another wire type, and of a choice only the last one set.
private struct Occurrences {
    private var values: [Int: [WireValue]] = [:]

    init(of fields: WireFields, in shape: MessageShape) {
        var chosen: [Int: Int] = [:]
        for (number, value) in fields.values {
            guard let field = shape.field(number), field.accepts(value) else { continue }
            if let choice = field.choice {
                if let before = chosen[choice], before != number { self.values[before] = nil }
                chosen[choice] = number
            }
            self.values[number, default: []].append(value)
        }
    }

    subscript(field: FieldShape) -> [WireValue] { self.values[field.number] ?? [] }
}

extension FieldShape {
    fileprivate func accepts(_ value: WireValue) -> Bool {
        value.type == self.wireType || (self.isRepeated && value.type == .lengthDelimited)
    }
}

extension JSONTree {
    /// The value as the name of a member, which maps write their keys as.
    fileprivate var key: String {
        switch self {
        case .string(let text), .number(let text): text
        case .bool(let flag): flag ? "true" : "false"
        case .null, .array, .object: ""
        }
    }
}
