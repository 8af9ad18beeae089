package import FabricProtos
package import Foundation
internal import SwiftProtobuf

extension Msp_MSPConfig {
    /// The usual MSP of an organization: roles by the organizational units `client`, `peer`, `admin` and `orderer`.
    ///
    /// - Parameters:
    ///   - name: the MSP identifier.
    ///   - roots: PEM certificates of the authorities that vouch for members.
    ///   - tlsRoots: those that vouch for TLS certificates.
    ///   - revocationLists: PEM.
    /// - Returns: the MSP as a channel's configuration holds it.
    /// - Throws: what protobuf's encoding throws.
    /// - Source: Fabric documentation, "Membership Service Provider (MSP)", "Identity classification".
    package static func withNodeOUs(
        _ name: String,
        roots: [Data],
        tlsRoots: [Data],
        revocationLists: [Data] = []
    ) throws -> Msp_MSPConfig {
        func unit(_ name: String) -> Msp_FabricOUIdentifier {
            .with { $0.organizationalUnitIdentifier = name }
        }
        let fabric = Msp_FabricMSPConfig.with {
            $0.name = name
            $0.rootCerts = roots
            $0.tlsRootCerts = tlsRoots
            $0.revocationList = revocationLists
            $0.cryptoConfig.signatureHashFamily = "SHA2"
            $0.cryptoConfig.identityIdentifierHashFunction = "SHA256"
            $0.fabricNodeOus.enable = true
            $0.fabricNodeOus.clientOuIdentifier = unit("client")
            $0.fabricNodeOus.peerOuIdentifier = unit("peer")
            $0.fabricNodeOus.adminOuIdentifier = unit("admin")
            $0.fabricNodeOus.ordererOuIdentifier = unit("orderer")
        }
        return try .with { $0.config = try fabric.serializedBytes() }
    }
}
