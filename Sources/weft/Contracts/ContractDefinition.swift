import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import WeftClient

/// The definition of a contract on a channel: each organization approves, then one commits.
///
/// These are Fabric's own lifecycle transactions, so that every peer of the channel, Weft's or not, comes to the same
/// definition.
struct ContractDefinition: Sendable {
    var name: String
    var version = "1.0"
    var sequence: Int64 = 1
    /// The endorsement policy; `nil` for the channel's own: a majority of the organizations.
    var policy: Protos_ApplicationPolicy?
    var collections = Protos_CollectionConfigPackage()
    var initRequired = false

    /// A first definition.
    init(name: String) {
        self.name = name
    }

    /// The definition that the channel has; a first one if it has none.
    init(name: String, committed: Lifecycle_QueryChaincodeDefinitionResult?) throws {
        self.name = name
        guard let committed else { return }
        self.version = committed.version
        self.sequence = committed.sequence
        self.policy = try Protos_ApplicationPolicy(policyBytes: committed.validationParameter)
        self.collections = committed.collections
        self.initRequired = committed.initRequired
    }

    /// The definition that the channel has; `nil` if it has none of this name.
    func committed(_ gateway: Gateway) async throws -> Lifecycle_QueryChaincodeDefinitionResult? {
        var query = Lifecycle_QueryChaincodeDefinitionArgs()
        query.name = self.name
        do {
            let answer = try await gateway.evaluate(try Self.call("QueryChaincodeDefinition", query))
            return try Lifecycle_QueryChaincodeDefinitionResult(serializedBytes: answer)
        } catch let error as ClientError where error.description.contains("is not defined") {
            return nil
        }
    }

    /// Whether the channel already has the definition, or a later one.
    func isCommitted(_ gateway: Gateway) async throws -> Bool {
        try await self.committed(gateway).map { $0.sequence >= self.sequence } ?? false
    }

    /// Whether `found` has the same content, whatever its sequence.
    func hasContent(of found: Lifecycle_QueryChaincodeDefinitionResult) throws -> Bool {
        let policy = try self.policyBytes
        return found.version == self.version && found.initRequired == self.initRequired
            && found.collections == self.collections && found.validationParameter == policy
    }

    /// Approves the definition for the organization of `gateway`'s identity, which must be one of its administrators.
    ///
    /// - Parameters:
    ///   - gateway: The gateway of one of the organization's peers.
    ///   - mspID: The organization.
    ///   - packageID: The package that the organization's peers run; empty if they run none.
    /// - Returns: The block of the approval; `nil` if the organization had approved just this.
    /// - Throws: What the gateway says.
    func approve(_ gateway: Gateway, organization mspID: String, packageID: String = "") async throws
        -> UInt64?
    {
        var approval = Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs()
        approval.name = self.name
        approval.version = self.version
        approval.sequence = self.sequence
        approval.endorsementPlugin = "escc"
        approval.validationPlugin = "vscc"
        approval.validationParameter = try self.policyBytes
        approval.collections = self.collections
        approval.initRequired = self.initRequired
        if packageID.isEmpty {
            approval.source.unavailable = .init()
        } else {
            approval.source.localPackage.packageID = packageID
        }
        var call = try Self.call("ApproveChaincodeDefinitionForMyOrg", approval)
        call.organizations = [mspID]
        do {
            return try await gateway.submit(call).block
        } catch {
            // Approved by an earlier run that was interrupted.
            guard error.details.contains(where: { $0.message.contains("unchanged") }) else { throw error }
            return nil
        }
    }

    /// Which organizations have approved the definition, as one peer knows.
    func approvals(_ gateway: Gateway) async throws -> [String: Bool] {
        var query = Lifecycle_CheckCommitReadinessArgs()
        query.name = self.name
        query.version = self.version
        query.sequence = self.sequence
        query.endorsementPlugin = "escc"
        query.validationPlugin = "vscc"
        query.validationParameter = try self.policyBytes
        query.collections = self.collections
        query.initRequired = self.initRequired
        let answer = try await gateway.evaluate(try Self.call("CheckCommitReadiness", query))
        return try Lifecycle_CheckCommitReadinessResult(serializedBytes: answer).approvals
    }

    /// Commits the definition, endorsed by peers of `organizations`.
    ///
    /// - Returns: The block of the definition.
    func commit(_ gateway: Gateway, organizations mspIDs: [String]) async throws -> UInt64 {
        var definition = Lifecycle_CommitChaincodeDefinitionArgs()
        definition.name = self.name
        definition.version = self.version
        definition.sequence = self.sequence
        definition.endorsementPlugin = "escc"
        definition.validationPlugin = "vscc"
        definition.validationParameter = try self.policyBytes
        definition.collections = self.collections
        definition.initRequired = self.initRequired
        var call = try Self.call("CommitChaincodeDefinition", definition)
        call.organizations = mspIDs
        return try await gateway.submit(call).block
    }

    /// A call of the lifecycle contract.
    static func call(_ function: String, _ arguments: some Message) throws -> Invocation {
        Invocation(
            contract: "_lifecycle",
            arguments: [Data(function.utf8), try arguments.serializedBytes()]
        )
    }

    private var policyBytes: Data {
        get throws { try (self.policy ?? Self.majority).serializedBytes() }
    }

    /// The policy as the flag of `weft contract deploy` takes it.
    var policyText: String {
        switch (self.policy ?? Self.majority).type {
        case .signaturePolicy(let policy): PolicyExpression.text(policy)
        case .channelConfigPolicyReference(let path): path
        case nil: ""
        }
    }

    /// Organizations that the policy names and the channel doesn't have: nobody can sign for them.
    ///
    /// - Parameter configuration: The channel's.
    /// - Returns: Their MSP identifiers.
    func strangers(_ configuration: ChannelConfiguration) -> [String] {
        guard case .signaturePolicy(let policy)? = self.policy?.type else { return [] }
        let named = policy.identities.compactMap { principal -> String? in
            guard principal.principalClassification == .role else { return nil }
            return try? Common_MSPRole(serializedBytes: principal.principal).mspIdentifier
        }
        let known = Set(configuration.application?.organizations.map(\.mspID.description) ?? [])
        return Set(named).subtracting(known).sorted()
    }

    private static let majority = Protos_ApplicationPolicy.with {
        $0.channelConfigPolicyReference = "/Channel/Application/Endorsement"
    }
}
