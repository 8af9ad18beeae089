/// The name of a channel, as carried in `ChannelHeader.channel_id`.
///
/// Grammar: `[a-z][a-z0-9.-]*`, 1 to 249 ASCII characters. A value of this type is always valid, so code that
/// receives one need not check again.
///
/// - Source: Fabric v3, package `common/configtx`, rules for channel identifiers.
package struct ChannelID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String

    /// Checks and keeps `text`.
    ///
    /// - Throws: ``InvalidName`` with the grammar.
    package init(_ text: String) throws(InvalidName) {
        let bytes = text.utf8
        guard let first = bytes.first, Self.isLowerCaseLetter(first), bytes.count <= 249,
            bytes.allSatisfy({ Self.isLowerCaseLetter($0) || Self.isDigitDotOrDash($0) })
        else {
            throw InvalidName(
                kind: "channel",
                text: text,
                rule: "start with a letter a-z, then only a-z, 0-9, '.' and '-', at most 249 characters"
            )
        }
        self.description = text
    }

    package static func < (left: ChannelID, right: ChannelID) -> Bool {
        left.description < right.description
    }

    private static func isLowerCaseLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }

    private static func isDigitDotOrDash(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
    }
}
