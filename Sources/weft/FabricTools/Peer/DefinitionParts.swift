import Channel
import FabricProtos
import Foundation
import SwiftProtobuf

/// Policies and collections of a contract's definition, as the command line and its files write them.
enum DefinitionParts {
    /// The policy for endorsements: in the policy language, or by its name in the channel's configuration.
    ///
    /// - Returns: nil when none is given.
    static func policy(
        signature: String,
        channelConfig: String
    ) throws(ToolFailure) -> Protos_ApplicationPolicy? {
        guard signature.isEmpty || channelConfig.isEmpty else {
            throw ToolFailure("cannot specify both \"--signature-policy\" and \"--channel-config-policy\"")
        }
        var policy = Protos_ApplicationPolicy()
        if !signature.isEmpty {
            do throws(InvalidPolicyText) {
                policy.signaturePolicy = try PolicyExpression.parse(signature)
            } catch {
                throw ToolFailure("invalid signature policy: \(signature) (\(error))")
            }
            return policy
        }
        guard !channelConfig.isEmpty else { return nil }
        policy.channelConfigPolicyReference = channelConfig
        return policy
    }

    /// Reads the collections of a contract from a JSON file.
    ///
    /// - Source: Fabric v3.1 documentation, "Private Data", collection definitions.
    static func collections(file: String) throws(ToolFailure) -> Protos_CollectionConfigPackage {
        do {
            let bytes = try readBytes(file, as: "the collections")
            var package = Protos_CollectionConfigPackage()
            package.config = try JSONDecoder().decode([Collection].self, from: bytes).map { entry in
                try Protos_CollectionConfig.with { $0.staticCollectionConfig = try entry.config() }
            }
            return package
        } catch {
            throw ToolFailure("invalid collection configuration in file \(file): \(error)")
        }
    }

    /// One collection, as the file has it.
    private struct Collection: Decodable {
        struct Policy: Decodable {
            var signaturePolicy: String?
            var channelConfigPolicy: String?
        }

        var name: String?
        var policy: String?
        var requiredPeerCount: Int32?
        var maxPeerCount: Int32?
        var blockToLive: UInt64?
        var memberOnlyRead: Bool?
        var memberOnlyWrite: Bool?
        var endorsementPolicy: Policy?

        func config() throws -> Protos_StaticCollectionConfig {
            guard let name else { throw ToolFailure("a collection has no name") }
            guard let policy else {
                throw ToolFailure("collection \(name) has no policy, which says whose peers hold it")
            }
            var config = Protos_StaticCollectionConfig()
            config.name = name
            config.memberOrgsPolicy.signaturePolicy = try PolicyExpression.parse(policy)
            config.requiredPeerCount = self.requiredPeerCount ?? 0
            config.maximumPeerCount = self.maxPeerCount ?? 1
            config.blockToLive = self.blockToLive ?? 0
            config.memberOnlyRead = self.memberOnlyRead ?? false
            config.memberOnlyWrite = self.memberOnlyWrite ?? false
            if let given = self.endorsementPolicy {
                let policy = try DefinitionParts.policy(
                    signature: given.signaturePolicy ?? "",
                    channelConfig: given.channelConfigPolicy ?? ""
                )
                if let policy { config.endorsementPolicy = policy }
            }
            return config
        }
    }
}
