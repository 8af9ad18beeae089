internal import Cryptography
internal import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// The short name of a peer's identity in gossip.
///
/// SHA-256 over the name of the MSP and the certificate's PEM text, as the serialized identity carries them.
///
/// - Source: Fabric v3.1, `internal/pkg/peer/gossip`, `GetPKIidOfCert`.
package struct PKIID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let bytes: Data

    /// `nil` unless there are 32 bytes.
    package init?(_ bytes: Data) {
        guard bytes.count == Self.length else { return nil }
        self.bytes = Data(bytes)
    }

    /// The name of an identity.
    package init(mspID: String, certificate: Data) {
        self.bytes = Digest.sha256(Data(mspID.utf8) + certificate)
    }

    /// The name of a serialized identity.
    ///
    /// - Throws: if the bytes are no `SerializedIdentity`.
    package init(identity serialized: Data) throws {
        let identity = try Msp_SerializedIdentity(serializedBytes: serialized)
        self.init(mspID: identity.mspid, certificate: identity.idBytes)
    }

    package static let length = 32

    package static func < (left: PKIID, right: PKIID) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }

    /// The first bytes in hexadecimal: enough for a log.
    package var description: String { self.bytes.prefix(6).map { String(format: "%02x", $0) }.joined() }
}
