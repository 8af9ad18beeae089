/// The identifier of a membership service provider, as carried in `SerializedIdentity.mspid`.
///
/// Any text but the empty one; by convention `<Organization>MSP`.
package struct MSPID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String

    /// Checks and keeps `text`.
    ///
    /// - Throws: ``InvalidName`` if it is empty.
    package init(_ text: String) throws(InvalidName) {
        guard !text.isEmpty else {
            throw InvalidName(kind: "MSP", text: text, rule: "not be empty, for example \"Org1MSP\"")
        }
        self.description = text
    }

    // Bytes decide, as in Fabric: `==` of `String` also equates texts that only look alike.
    package static func == (left: MSPID, right: MSPID) -> Bool {
        left.description.utf8.elementsEqual(right.description.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in self.description.utf8 { hasher.combine(byte) }
    }

    package static func < (left: MSPID, right: MSPID) -> Bool {
        left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }
}
