import FabricProtos
import Foundation
import SwiftProtobuf
import WeftClient

/// Defining a built-in contract on a channel: each organization approves, then one commits.
///
/// These are Fabric's own lifecycle transactions, so that every peer of the channel, Weft's or not, comes to the same
/// definition.
struct ContractDefinition: Sendable {
    var name: String
    var version = "1.0"
    var sequence: Int64 = 1

    /// Whether the channel already has the definition.
    func isCommitted(_ gateway: Gateway) async throws -> Bool {
        var query = Lifecycle_QueryChaincodeDefinitionArgs()
        query.name = self.name
        do {
            let answer = try await gateway.evaluate(try self.call("QueryChaincodeDefinition", query))
            let found = try Lifecycle_QueryChaincodeDefinitionResult(serializedBytes: answer)
            return found.sequence >= self.sequence
        } catch let error as ClientError where error.code != .unavailable {
            // "namespace … is not defined"
            return false
        }
    }

    /// Approves the definition for the organization of `gateway`'s identity, which must be one of its administrators.
    func approve(_ gateway: Gateway, organization mspID: String) async throws {
        var approval = Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs()
        approval.name = self.name
        approval.version = self.version
        approval.sequence = self.sequence
        approval.endorsementPlugin = "escc"
        approval.validationPlugin = "vscc"
        approval.validationParameter = try Self.majority()
        approval.source.unavailable = .init()
        var call = try self.call("ApproveChaincodeDefinitionForMyOrg", approval)
        call.organizations = [mspID]
        do {
            _ = try await gateway.submit(call)
        } catch {
            // Approved by an earlier run that was interrupted.
            guard error.details.contains(where: { $0.message.contains("unchanged") }) else { throw error }
        }
    }

    /// Commits the definition, endorsed by all organizations.
    func commit(_ gateway: Gateway, organizations mspIDs: [String]) async throws {
        var definition = Lifecycle_CommitChaincodeDefinitionArgs()
        definition.name = self.name
        definition.version = self.version
        definition.sequence = self.sequence
        definition.endorsementPlugin = "escc"
        definition.validationPlugin = "vscc"
        definition.validationParameter = try Self.majority()
        var call = try self.call("CommitChaincodeDefinition", definition)
        call.organizations = mspIDs
        _ = try await gateway.submit(call)
    }

    private func call(_ function: String, _ arguments: some Message) throws -> Invocation {
        Invocation(
            contract: "_lifecycle",
            arguments: [Data(function.utf8), try arguments.serializedBytes()]
        )
    }

    /// The channel's own endorsement policy: a majority of the organizations.
    private static func majority() throws -> Data {
        var policy = Protos_ApplicationPolicy()
        policy.channelConfigPolicyReference = "/Channel/Application/Endorsement"
        return try policy.serializedBytes()
    }
}
