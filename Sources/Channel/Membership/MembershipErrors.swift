/// Why an MSP's configuration is refused.
package struct MSPError: Error, Sendable, CustomStringConvertible {
    /// The MSP's name, empty if the configuration has none.
    package var msp: String
    /// What was found, what was expected, and what the reader can do about it.
    package var reason: String

    package init(msp: String, reason: String) {
        self.msp = msp
        self.reason = reason
    }

    package var description: String {
        "MSP \(self.msp.isEmpty ? "without a name" : self.msp): \(self.reason)"
    }
}

/// Why an identity is not what it was expected to be.
///
/// Callers switch on ``code``; people read ``reason``, which is only put into words when it is asked for:
/// policies try many identities against many principals, and most refusals are never read.
package struct IdentityError: Error, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String
        /// Not a serialized identity, or no certificate in it.
        package static let malformed = Self(description: "malformed identity")
        /// The channel has no MSP of that name, or the identity is of another MSP.
        package static let unknownMSP = Self(description: "unknown MSP")
        /// No single chain leads to a certificate authority of the MSP.
        package static let untrusted = Self(description: "untrusted identity")
        package static let revoked = Self(description: "revoked identity")
        /// A key that members may not use.
        package static let unsupportedKey = Self(description: "unsupported key")
        /// The organizational units are not those that the MSP asks for.
        package static let organizationalUnit = Self(description: "organizational unit")
        package static let badSignature = Self(description: "bad signature")
        /// The identity is not who the policy asks for.
        package static let notSatisfied = Self(description: "principal not satisfied")
        /// The policy asks for something that does not exist.
        package static let malformedPrincipal = Self(description: "malformed principal")
    }

    package let code: Code
    private let explain: @Sendable () -> String

    package init(_ code: Code, _ reason: @autoclosure @escaping @Sendable () -> String) {
        self.code = code
        self.explain = reason
    }

    /// What was found, what was expected, and what the reader can do about it.
    package var reason: String { self.explain() }

    package var description: String { "\(self.code): \(self.reason)" }
}
