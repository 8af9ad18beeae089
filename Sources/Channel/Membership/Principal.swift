internal import Cryptography
package import FabricProtos
package import FoundationEssentials
internal import SwiftProtobuf

/// Whom a policy asks for, decoded once.
///
/// - Source: Fabric v3.1, `msp/msp_principal.proto`.
package indirect enum Principal: Sendable, CustomStringConvertible {
    package enum Role: Sendable, Hashable {
        case member, admin, client, peer, orderer
        /// A number that means nothing.
        case unknown(Int)
    }

    case role(mspID: String, role: Role)
    case organizationUnit(mspID: String, unit: String, certifiersIdentifier: Data)
    /// One certificate, as a `SerializedIdentity`.
    case identity(Data)
    case anonymity(isNominal: Bool)
    case combined([Principal])
    /// Satisfied by nobody, for the reason given.
    case malformed(String)

    package init(_ message: Common_MSPPrincipal) {
        self.init(message, depth: 0)
    }

    /// Deeper than any policy that people write; protobuf itself stops at 100.
    package static let maximumNesting = 64

    private init(_ message: Common_MSPPrincipal, depth: Int) {
        do {
            switch message.principalClassification {
            case .role:
                let role = try RolePrincipal(message.principal)
                self = .role(mspID: role.mspID, role: role.role)
            case .organizationUnit:
                let unit = try Common_OrganizationUnit(serializedBytes: message.principal)
                self = .organizationUnit(
                    mspID: unit.mspIdentifier,
                    unit: unit.organizationalUnitIdentifier,
                    certifiersIdentifier: unit.certifiersIdentifier
                )
            case .identity:
                self = .identity(message.principal)
            case .anonymity:
                let anonymity = try Common_MSPIdentityAnonymity(serializedBytes: message.principal)
                self = .anonymity(isNominal: anonymity.anonymityType == .nominal)
            case .combined:
                let inner = try Common_CombinedPrincipal(serializedBytes: message.principal).principals
                if inner.isEmpty {
                    self = .malformed("a combined principal is empty")
                } else if depth >= Self.maximumNesting {
                    self = .malformed("combined principals are nested more than \(Self.maximumNesting) deep")
                } else {
                    self = .combined(inner.map { Principal($0, depth: depth + 1) })
                }
            case .UNRECOGNIZED(let number):
                self = .malformed("principal classification \(number) does not exist")
            }
        } catch {
            self = .malformed("the principal's bytes cannot be decoded: \(error)")
        }
    }

    package var description: String {
        switch self {
        case .role(let mspID, let role): "\(mspID).\(role)"
        case .organizationUnit(let mspID, let unit, _): "\(mspID) OU \"\(unit)\""
        case .identity(let bytes): "the identity with SHA-256 \(hexadecimal(Digest.sha256(bytes)))"
        case .anonymity(let isNominal): isNominal ? "any X.509 identity" : "an anonymous identity"
        case .combined(let principals): "(" + principals.map(\.description).joined(separator: " and ") + ")"
        case .malformed(let reason): "nobody (\(reason))"
        }
    }
}

/// The contents of a ROLE principal.
private struct RolePrincipal {
    var mspID: String
    var role: Principal.Role

    init(_ bytes: Data) throws {
        let message = try Common_MSPRole(serializedBytes: bytes)
        self.mspID = message.mspIdentifier
        self.role =
            switch message.role {
            case .member: .member
            case .admin: .admin
            case .client: .client
            case .peer: .peer
            case .orderer: .orderer
            case .UNRECOGNIZED(let number): .unknown(number)
            }
    }
}
