internal import Channel
internal import FabricProtos
internal import Foundation
internal import Peer
internal import SwiftProtobuf
public import WeftContract

/// A contract as the organizations of the test's channel have agreed on it.
public struct ContractDefinition: Sendable {
    /// The name of the chaincode, which is also the namespace of its state.
    public var name: String
    /// What runs; the first answers calls that name none.
    public var contracts: [any WeftContract.Contract]
    /// Who must endorse, in Fabric's policy language; `nil`: most of the organizations.
    public var policy: String?
    /// The private collections.
    public var collections: [PrivateCollection]
    /// Whether the contract must be initialized before any other call.
    public var initRequired: Bool

    /// Defines a contract; its chaincode has the contract's name unless another is given.
    public init(
        _ contracts: any WeftContract.Contract...,
        name: String? = nil,
        policy: String? = nil,
        collections: [PrivateCollection] = [],
        initRequired: Bool = false
    ) {
        self.name = name ?? contracts.first.map { type(of: $0).name } ?? ""
        self.contracts = contracts
        self.policy = policy
        self.collections = collections
        self.initRequired = initRequired
    }
}

/// A private collection in a contract's definition.
public struct PrivateCollection: Sendable {
    /// The name that the contract uses.
    public var name: String
    /// MSP identifiers of the organizations whose peers hold the data.
    public var members: [String]
    /// Blocks after which the data is dropped; 0 is never.
    public var blockToLive: UInt64
    /// Whether only members may have the contract read from it.
    public var memberOnlyRead: Bool
    /// Whether only members may have the contract write to it.
    public var memberOnlyWrite: Bool
    /// Who must endorse changes, in Fabric's policy language; `nil`: whoever must for the contract.
    public var policy: String?

    /// A collection of these organizations.
    public init(
        _ name: String,
        members: [String],
        blockToLive: UInt64 = 0,
        memberOnlyRead: Bool = true,
        memberOnlyWrite: Bool = true,
        policy: String? = nil
    ) {
        self.name = name
        self.members = members
        self.blockToLive = blockToLive
        self.memberOnlyRead = memberOnlyRead
        self.memberOnlyWrite = memberOnlyWrite
        self.policy = policy
    }

    var configuration: Protos_CollectionConfig {
        get throws {
            let members = self.members.map { "'\($0).member'" }.joined(separator: ",")
            var config = Protos_StaticCollectionConfig()
            config.name = self.name
            config.memberOrgsPolicy.signaturePolicy = try PolicyExpression.parse("OR(\(members))")
            config.maximumPeerCount = 1
            config.blockToLive = self.blockToLive
            config.memberOnlyRead = self.memberOnlyRead
            config.memberOnlyWrite = self.memberOnlyWrite
            if let policy { config.endorsementPolicy.signaturePolicy = try PolicyExpression.parse(policy) }
            return .with { $0.staticCollectionConfig = config }
        }
    }
}

extension ContractDefinition {
    /// The serialized policy that the lifecycle stores; empty for the channel's own.
    private var validationParameter: Data {
        get throws {
            guard let policy else { return Data() }
            let parsed = try PolicyExpression.parse(policy)
            return try Protos_ApplicationPolicy.with { $0.signaturePolicy = parsed }.serializedBytes()
        }
    }

    private var collectionPackage: Protos_CollectionConfigPackage {
        get throws {
            let configs = try self.collections.map { try $0.configuration }
            return .with { $0.config = configs }
        }
    }

    /// The lifecycle's functions with which one organization agrees, and the channel adopts the definition.
    func calls() throws -> (approve: [Data], commit: [Data]) {
        var approval = Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs()
        approval.name = self.name
        approval.version = "1.0"
        approval.sequence = 1
        approval.initRequired = self.initRequired
        approval.validationParameter = try self.validationParameter
        if !self.collections.isEmpty { approval.collections = try self.collectionPackage }
        var definition = Lifecycle_CommitChaincodeDefinitionArgs()
        definition.name = approval.name
        definition.version = approval.version
        definition.sequence = approval.sequence
        definition.initRequired = approval.initRequired
        definition.validationParameter = approval.validationParameter
        if !self.collections.isEmpty { definition.collections = approval.collections }
        return (
            [Data("ApproveChaincodeDefinitionForMyOrg".utf8), try approval.serializedBytes()],
            [Data("CommitChaincodeDefinition".utf8), try definition.serializedBytes()]
        )
    }
}
