package import FoundationEssentials

/// Turns messages of Fabric into the JSON that Fabric's tools print, and back.
///
/// That JSON is the one of Protocol Buffers with the names of the definitions, with unset fields written out, and with
/// bytes that hold a message shown as that message: a configuration block becomes one readable tree, which scripts edit
/// and turn back into bytes. Decoding and encoding again gives the same bytes for everything that was encoded with
/// fields in ascending order and maps sorted by key.
///
/// - Source: Fabric v3.1, `docs/source/commands/configtxlator.md` and `fabric-config/protolator`.
package struct FabricJSON: Sendable {
    /// How deep messages may be nested, those in opaque fields counted in.
    package static let maximumDepth = 128
    /// How many JSON values one message may become.
    package static let maximumValues = 8_000_000

    private let schema: MessageSchema

    /// Reads what messages there are, which takes a few milliseconds; use the value again.
    ///
    /// - Throws: ``TranslationError`` if the descriptors of the messages are damaged.
    package init() throws(TranslationError) { self.schema = try MessageSchema.fabric() }

    /// Whether there is a message type of this full name, such as `common.Block`.
    package func hasMessage(_ type: String) -> Bool { self.schema.hasMessage(type) }

    /// A serialized message as JSON.
    ///
    /// - Parameters:
    ///   - bytes: The message.
    ///   - type: Its full name, such as `common.Block`.
    /// - Returns: The JSON; `document` gives its text.
    /// - Throws: ``TranslationError`` if there is no such type, for bytes that are no such message, for opaque fields of
    ///   unknown content, and beyond ``maximumDepth`` and ``maximumValues``.
    package func json(of bytes: Data, type: String) throws(TranslationError) -> JSONTree {
        var decoder = MessageDecoder(schema: self.schema, remainingValues: Self.maximumValues)
        return try decoder.tree(of: bytes, type: type, at: .anywhere, depth: 0)
    }

    /// A serialized `common.ConfigGroup` that stands at the given level of a configuration, as JSON.
    package func json(
        ofGroup bytes: Data,
        at level: ConfigurationLevel
    ) throws(TranslationError) -> JSONTree {
        var decoder = MessageDecoder(schema: self.schema, remainingValues: Self.maximumValues)
        return try decoder.tree(of: bytes, type: "common.ConfigGroup", at: .group(level), depth: 0)
    }

    /// The serialized message that a JSON tree describes.
    ///
    /// Fields are written in ascending order of their numbers and maps sorted by key: equal messages give equal bytes.
    ///
    /// - Throws: ``TranslationError`` if there is no such type, for names that the message doesn't have, for values that
    ///   don't fit, and beyond ``maximumDepth``.
    package func bytes(of tree: JSONTree, type: String) throws(TranslationError) -> Data {
        try MessageEncoder(schema: self.schema).bytes(of: tree, type: type, at: .anywhere, depth: 0)
    }
}
