/// A name that breaks the grammar of its kind.
package struct InvalidName: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was being named: "channel", "MSP", "chaincode".
    package var kind: String
    package var text: String
    /// The grammar, as the end of a sentence that begins with "must".
    package var rule: String

    package init(kind: String, text: String, rule: String) {
        self.kind = kind
        self.text = text
        self.rule = rule
    }

    package var description: String {
        "invalid \(self.kind) name \"\(self.text.prefix(300))\": must \(self.rule)"
    }
}
