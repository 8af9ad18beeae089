package import FabricProtos
import SwiftProtobuf

extension Common_MSPPrincipal {
    /// The principal in the policy language where it has a form there (`'Org1MSP.admin'`), else in words.
    package var name: String {
        switch self.principalClassification {
        case .role:
            guard let role = try? Common_MSPRole(serializedBytes: self.principal) else {
                return "an unreadable role"
            }
            return "'\(role.mspIdentifier).\(role.role.name)'"
        case .organizationUnit:
            guard let unit = try? Common_OrganizationUnit(serializedBytes: self.principal) else {
                return "an unreadable organizational unit"
            }
            return "unit \(unit.organizationalUnitIdentifier) of \(unit.mspIdentifier)"
        case .identity:
            let identity = try? Msp_SerializedIdentity(serializedBytes: self.principal)
            return "one certificate of \(identity?.mspid ?? "an unreadable identity")"
        case .anonymity:
            return "an identity with this anonymity"
        case .combined:
            return "several principals at once"
        case .UNRECOGNIZED(let number):
            return "a principal of unknown kind \(number)"
        }
    }

    /// The organization that the principal is about, where there is just one.
    package var mspIdentifier: String? {
        switch self.principalClassification {
        case .role: try? Common_MSPRole(serializedBytes: self.principal).mspIdentifier
        case .organizationUnit: try? Common_OrganizationUnit(serializedBytes: self.principal).mspIdentifier
        case .identity: try? Msp_SerializedIdentity(serializedBytes: self.principal).mspid
        case .anonymity, .combined, .UNRECOGNIZED: nil
        }
    }

    /// The members of an organization in a role.
    package static func role(_ role: Common_MSPRole.MSPRoleType, of mspIdentifier: String) throws
        -> Common_MSPPrincipal
    {
        try .with {
            $0.principalClassification = .role
            $0.principal = try Common_MSPRole.with {
                $0.mspIdentifier = mspIdentifier
                $0.role = role
            }.serializedBytes()
        }
    }
}

extension Common_MSPRole.MSPRoleType {
    /// The role in the policy language.
    var name: String {
        switch self {
        case .member: "member"
        case .admin: "admin"
        case .client: "client"
        case .peer: "peer"
        case .orderer: "orderer"
        case .UNRECOGNIZED(let number): "unknown role \(number)"
        }
    }

    /// The role that the policy language calls `name`.
    init?(name: some StringProtocol) {
        switch name {
        case "member": self = .member
        case "admin": self = .admin
        case "client": self = .client
        case "peer": self = .peer
        case "orderer": self = .orderer
        default: return nil
        }
    }
}
