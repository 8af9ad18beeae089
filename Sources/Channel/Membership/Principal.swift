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
    /// All of these, none of which is combined itself.
    case combined([Principal])
    /// Satisfied by nobody, for the reason given.
    case malformed(String)

    package init(_ message: Common_MSPPrincipal) {
        guard message.principalClassification == .combined else {
            self = Self(simple: message)
            return
        }
        do {
            self = .combined(try Self.parts(of: message))
        } catch {
            self = .malformed("\(error)")
        }
    }

    /// How many bytes are decoded for one combined principal at most, over all levels of nesting.
    ///
    /// Each level is bytes inside bytes, so the work grows with the square of the depth. A chain of nothing but
    /// combinations may be thousands of levels deep; Fabric has no limit.
    package static let combinedBytesLimit = 64 << 20

    /// The principals that a combined one comes to: all of them must be satisfied, whatever their nesting.
    ///
    /// - Source: Fabric v3.1, `msp/mspimpl.go`, `collectPrincipals`.
    private static func parts(of message: Common_MSPPrincipal) throws -> [Principal] {
        var parts: [Principal] = []
        var pending = [message]
        var bytes = 0
        while let next = pending.popLast() {
            guard next.principalClassification == .combined else {
                parts.append(Principal(simple: next))
                continue
            }
            bytes += next.principal.count
            guard bytes <= Self.combinedBytesLimit else {
                throw Malformed("combined principals are nested too deep, or are too large")
            }
            let inner: [Common_MSPPrincipal]
            do {
                inner = try Common_CombinedPrincipal(serializedBytes: next.principal).principals
            } catch {
                throw Malformed("a combined principal cannot be decoded: \(error)")
            }
            guard !inner.isEmpty else { throw Malformed("a combined principal is empty") }
            pending += inner.reversed()
        }
        return parts
    }

    private struct Malformed: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// One that isn't combined.
    private init(simple message: Common_MSPPrincipal) {
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
                self = .malformed("a combined principal where a simple one is expected")
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
