package import Foundation

/// A message, who says it, and the proof: what policies are evaluated over.
package struct SignedData: Hashable, Sendable {
    /// The bytes that were signed, exactly as received.
    package var data: Data
    /// The signer: a serialized `msp.SerializedIdentity`, exactly as received.
    package var identity: Data
    package var signature: Data

    package init(data: Data, identity: Data, signature: Data) {
        self.data = data
        self.identity = identity
        self.signature = signature
    }
}
