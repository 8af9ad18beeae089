package import Channel
package import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// What the endorsers of an interest have to meet: policies, contracts that they must have, collections that they must
/// be members of.
///
/// - Source: Fabric v3.1, package `discovery/endorsement`.
package struct EndorsementCriteria: Sendable {
    /// A private collection whose members alone may endorse, since its values are read.
    package struct Collection: Hashable, Sendable {
        package var chaincode: String
        package var name: String
        /// An endorser must be one of these.
        package var members: [Common_MSPPrincipal]
    }

    /// All of these must be satisfied, each judged on all endorsements; each is listed once.
    package private(set) var policies: [Protos_ApplicationPolicy] = []
    package private(set) var chaincodes: [ChannelMember.Chaincode] = []
    package private(set) var collections: [Collection] = []

    /// Finds out what `interest` asks for.
    ///
    /// A call that names collections asks for each one's own policy, or the chaincode's where a collection has none;
    /// any other call asks for the chaincode's. Keys with policies of their own ask for these beside it.
    ///
    /// - Parameters:
    ///   - interest: which chaincodes are called, one calling the other, and what they read and write.
    ///   - configuration: the channel's configuration in force.
    ///   - definition: the definitions of chaincodes on the channel.
    /// - Throws: ``InvalidInterest`` if a chaincode or a collection is not defined, or an entry asks for nothing; the
    ///   ledger's error.
    package init(
        of interest: Protos_ChaincodeInterest,
        under configuration: ChannelConfiguration,
        definition: (String) throws -> ChaincodeDefinition?
    ) throws {
        guard !interest.chaincodes.isEmpty else {
            throw InvalidInterest("chaincode interest must contain at least one chaincode")
        }
        var seen: Set<Protos_ApplicationPolicy> = []
        for call in interest.chaincodes {
            let source = try Source(call.name, configuration, definition)
            if !self.chaincodes.contains(source.chaincode) { self.chaincodes.append(source.chaincode) }
            for policy in try source.policies(of: call) where seen.insert(policy).inserted {
                self.policies.append(policy)
            }
            guard !call.noPrivateReads else { continue }
            for name in call.collectionNames {
                let collection = try source.members(ofCollection: name)
                if !self.collections.contains(collection) { self.collections.append(collection) }
            }
        }
    }
}

/// An interest that names what isn't there, or contradicts itself.
package struct InvalidInterest: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }
}

/// What a channel says of one chaincode.
private struct Source {
    let chaincode: ChannelMember.Chaincode
    private let configuration: ChannelConfiguration
    /// `nil` for the lifecycle, which needs no definition.
    private let definition: ChaincodeDefinition?

    init(
        _ name: String,
        _ configuration: ChannelConfiguration,
        _ definition: (String) throws -> ChaincodeDefinition?
    ) throws {
        self.configuration = configuration
        guard !name.isEmpty else { throw InvalidInterest("chaincode name in interest cannot be empty") }
        guard name != ChaincodeName.lifecycle else {
            self.definition = nil
            self.chaincode = InstalledDefinitions.lifecycle
            return
        }
        guard let found = try definition(name) else {
            throw InvalidInterest("chaincode \(name) is not defined on channel \(configuration.channelID)")
        }
        self.definition = found
        self.chaincode = .init(name: name, sequence: "\(found.sequence)")
    }

    func policies(of call: Protos_ChaincodeCall) throws -> [Protos_ApplicationPolicy] {
        let keys = call.keyPolicies.map { Protos_ApplicationPolicy.signature($0) }
        let own = try call.collectionNames.map { try self.policy(ofCollection: $0) }
        guard call.disregardNamespacePolicy else {
            let standard = try self.standardPolicy
            return (own.isEmpty ? [standard] : own.map { $0 ?? standard }) + keys
        }
        // Every key of a call to one collection has a policy of its own: the collection's isn't asked either.
        if !keys.isEmpty, own.count <= 1 { return keys }
        let ofCollections = own.compactMap(\.self)
        guard !ofCollections.isEmpty || !keys.isEmpty else {
            throw InvalidInterest(
                "requested to disregard chaincode \(call.name)'s policy but key and collection policies are missing: "
                    + "disable disregard_namespace_policy, or name a key policy or a collection that has a policy"
            )
        }
        return ofCollections + keys
    }

    private var standardPolicy: Protos_ApplicationPolicy {
        get throws {
            guard let definition = self.definition else {
                return .reference("/Channel/Application/LifecycleEndorsement")
            }
            return try Protos_ApplicationPolicy(policyBytes: definition.validationParameter)
        }
    }

    /// The policy that replaces the chaincode's for what is written to a collection; `nil` if it has none.
    private func policy(ofCollection name: String) throws -> Protos_ApplicationPolicy? {
        if let owner = try self.owner(ofImplicitCollection: name) {
            return .reference("/Channel/Application/\(owner.name)/Endorsement")
        }
        let collection = try self.collection(name)
        return collection.hasEndorsementPolicy ? collection.endorsementPolicy : nil
    }

    func members(ofCollection name: String) throws -> EndorsementCriteria.Collection {
        let members: [Common_MSPPrincipal]
        if let owner = try self.owner(ofImplicitCollection: name) {
            members = [try .role(.member, of: owner.mspID.description)]
        } else {
            members = try self.collection(name).memberOrgsPolicy.signaturePolicy.identities
        }
        return .init(chaincode: self.chaincode.name, name: name, members: members)
    }

    /// The organization whose implicit collection `name` is; `nil` if it is a collection of the definition.
    private func owner(ofImplicitCollection name: String) throws -> ApplicationOrganization? {
        guard let mspID = LifecycleState.organization(ofImplicitCollection: name) else { return nil }
        let organizations = self.configuration.application?.organizations ?? []
        guard let owner = organizations.first(where: { $0.mspID.description == mspID }) else {
            throw self.undefined(name)
        }
        return owner
    }

    private func collection(_ name: String) throws -> Protos_StaticCollectionConfig {
        guard let collection = self.definition?.parameters.collection(name) else {
            throw self.undefined(name)
        }
        return collection
    }

    private func undefined(_ collection: String) -> InvalidInterest {
        InvalidInterest(
            "collection \(collection) is not defined for chaincode \(self.chaincode.name) "
                + "on channel \(self.configuration.channelID)"
        )
    }
}

extension Protos_ApplicationPolicy {
    static func reference(_ path: String) -> Protos_ApplicationPolicy {
        var policy = Protos_ApplicationPolicy()
        policy.channelConfigPolicyReference = path
        return policy
    }

    static func signature(_ envelope: Common_SignaturePolicyEnvelope) -> Protos_ApplicationPolicy {
        var policy = Protos_ApplicationPolicy()
        policy.signaturePolicy = envelope
        return policy
    }
}
