internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Who may have the data of one private collection, under one configuration of the channel.
struct CollectionMembers {
    private let policy: CompiledPolicy?
    private let directory: MembershipDirectory
    /// The organizations that the policy names, sorted.
    let organizations: [String]

    /// A policy that is malformed lets nobody have anything.
    init(_ policy: Common_SignaturePolicyEnvelope, _ configuration: ChannelConfiguration) {
        self.directory = configuration.directory
        self.policy = try? CompiledPolicy(signaturePolicy: policy, directory: configuration.directory)
        self.organizations = Set(policy.identities.compactMap(Self.organization)).sorted()
    }

    /// Whether a peer of this serialized identity is a member; it has not necessarily proved that it is that peer.
    func contains(_ serialized: Data) -> Bool {
        guard let policy, let identity = try? self.directory.identity(from: serialized),
            (try? self.directory.validate(identity)) != nil
        else { return false }
        return policy.isSatisfied(by: [identity])
    }

    /// Whether the peer at the other end of a connection is a member, and has proved with its signature that it is that
    /// peer.
    func includes(_ connection: GossipConnection) -> Bool {
        guard let policy else { return false }
        return (try? policy.evaluate([connection.signedData])) != nil
    }

    private static func organization(_ principal: Common_MSPPrincipal) -> String? {
        switch principal.principalClassification {
        case .role: (try? Common_MSPRole(serializedBytes: principal.principal))?.mspIdentifier
        case .organizationUnit:
            (try? Common_OrganizationUnit(serializedBytes: principal.principal))?.mspIdentifier
        case .identity: (try? Msp_SerializedIdentity(serializedBytes: principal.principal))?.mspid
        default: nil
        }
    }
}

extension GossipConnection {
    /// The proof of identity, as policies take it.
    var signedData: SignedData {
        SignedData(data: self.proof.payload, identity: self.identity, signature: self.proof.signature)
    }
}

extension GossipContext {
    /// The same peers in random order.
    mutating func shuffled(_ peers: [PKIID]) -> [PKIID] {
        var peers = peers
        for index in peers.indices.dropLast() {
            peers.swapAt(index, index + self.random(below: peers.count - index))
        }
        return peers
    }

    /// How an operator knows a peer: by its organization and address.
    func name(of peer: PKIID) -> String {
        let organization = self.identities.mspID(of: peer)?.description
        let place = self.members[peer]?.endpoint ?? "peer \(peer)"
        return organization.map { "\(place) of \($0)" } ?? place
    }
}
