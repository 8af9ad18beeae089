/// A channel configuration that breaks a rule.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The element at fault, for example `/Channel/Orderer/BatchSize`.
    package var path: String
    /// What is wrong and what would be right, as a clause.
    package var reason: String

    package init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    package var description: String { "invalid channel configuration: \(self.path): \(self.reason)" }
}
