import Channel
import FabricProtos
import Foundation
import Ledger
import SwiftProtobuf

@testable import Peer

/// The members that a test says are there.
struct ScriptedMembers: ChannelMembers {
    var channel: [ChannelMember] = []
    var local: [LocalMember] = []

    func members(of channel: ChannelID) -> [ChannelMember] { self.channel }
    func localMembers() -> [LocalMember] { self.local }

    /// The peer of an organization of the recorded network.
    static func member(
        _ organization: String,
        height: UInt64 = 1,
        chaincodes: [String: Int] = ["kv": 1],
        isSelf: Bool = false,
        endpoint: String? = nil
    ) throws -> ChannelMember {
        let identity = try VectorNetwork.peer(organization)
        let endpoint = endpoint ?? "\(organization).example:7051"
        let alive = try Gossip_GossipMessage.with { $0.aliveMsg.membership.endpoint = endpoint }
            .serializedData()
        let told = try Gossip_GossipMessage.with { $0.stateInfo.properties.ledgerHeight = height }
            .serializedData()
        return ChannelMember(
            mspID: identity.mspID,
            identity: identity.serialized,
            endpoint: endpoint,
            ledgerHeight: height,
            chaincodes: chaincodes.map { .init(name: $0.key, sequence: "\($0.value)") },
            alive: .with { $0.payload = alive },
            stateInfo: .with { $0.payload = told },
            isSelf: isSelf
        )
    }
}

/// Definitions of contracts that a test says are committed.
struct ScriptedDefinitions: Sendable {
    var definitions: [String: ChaincodeDefinition]

    /// A definition with a policy in the policy language, and collections by their members.
    static func definition(
        _ policy: String,
        sequence: Int64 = 1,
        collections: [String: (members: String, policy: String?)] = [:]
    ) throws -> ChaincodeDefinition {
        let parameter = try Protos_ApplicationPolicy.signature(PolicyExpression.parse(policy))
        let package = try Protos_CollectionConfigPackage.with { package in
            package.config = try collections.sorted { $0.key < $1.key }.map { name, collection in
                try .with {
                    $0.staticCollectionConfig.name = name
                    $0.staticCollectionConfig.memberOrgsPolicy.signaturePolicy =
                        try PolicyExpression.parse(collection.members)
                    if let policy = collection.policy {
                        $0.staticCollectionConfig.endorsementPolicy.signaturePolicy =
                            try PolicyExpression.parse(policy)
                    }
                }
            }
        }
        return ChaincodeDefinition(
            sequence: sequence,
            parameters: ChaincodeParameters(
                version: "1",
                validationParameter: try parameter.serializedData(),
                collections: package
            )
        )
    }
}
