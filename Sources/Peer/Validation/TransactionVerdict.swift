package import FabricProtos

/// What a peer decides about one transaction of a block, and why.
package struct TransactionVerdict: Equatable, Sendable, CustomStringConvertible {
    package var code: Protos_TxValidationCode
    /// Which rule was broken by what; empty for a valid transaction.
    package var reason: String

    package init(_ code: Protos_TxValidationCode, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    package static let valid = Self(.valid, "")

    package var isValid: Bool { self.code == .valid }

    package var description: String { self.isValid ? "VALID" : "\(self.code): \(self.reason)" }
}

/// Validation that can't go on: no verdict is right, so the channel must stop before the block is committed.
package struct ValidationHalted: Error, Sendable, CustomStringConvertible {
    package var reason: String

    package init(_ reason: String) {
        self.reason = reason
    }

    package var description: String { "validation stopped: \(self.reason)" }
}
