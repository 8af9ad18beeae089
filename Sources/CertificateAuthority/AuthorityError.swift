/// Why the authority, or a folder of identities, cannot do what was asked.
///
/// Callers switch on ``code``; people read ``message``.
package struct AuthorityError: Error, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String
        /// Something is there already, and nothing is ever overwritten.
        package static let exists = Self(description: "already exists")
        /// A file or folder is missing.
        package static let missing = Self(description: "not found")
        /// A file does not hold what it should.
        package static let malformed = Self(description: "malformed")
        /// The operating system refused.
        package static let inputOutput = Self(description: "input/output")
        /// What was asked for makes no sense.
        package static let invalidRequest = Self(description: "invalid request")
        /// Another process is at work in the folder.
        package static let busy = Self(description: "busy")
        /// The authority's own certificate has expired or would not outlive the new one.
        package static let expired = Self(description: "expired")
    }

    package let code: Code
    /// What was found, what was expected, and what the reader can do about it.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(self.code): \(self.message)" }
}
