/// A block that is not well formed, or that does not follow the block before it.
package struct MalformedBlock: Error, Equatable, Sendable, CustomStringConvertible {
    package var number: BlockNumber
    /// What is wrong, as a clause: "its data hash is …, but its transactions hash to …".
    package var reason: String

    package init(number: BlockNumber, reason: String) {
        self.number = number
        self.reason = reason
    }

    package var description: String { "block \(self.number) is malformed: \(self.reason)" }
}
