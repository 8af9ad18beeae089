internal import Channel

internal import struct Channel.Version

/// Why a contract's call on the ledger was refused.
///
/// The words are Fabric's, spelling included: clients of existing networks know them.
package struct SimulationError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    static let finished = Self(description: "this instance should not be used after calling Done()")

    static func unsupported(_ transactionID: String, _ reason: String) -> Self {
        Self(description: "txid [\(transactionID)]: unsuppored transaction. \(reason)")
    }

    static func privateDataUnavailable(hash: Version?, value: Version?) -> Self {
        func text(_ version: Version?) -> String {
            version.map { "{BlockNum: \($0.block), TxNum: \($0.transaction)}" } ?? "<nil>"
        }
        return Self(
            description: "private data matching public hash version is not available. "
                + "Public hash version = \(text(hash)), Private data version = \(text(value))"
        )
    }
}
