import Channel
import FabricProtos
import Foundation
import SwiftProtobuf

/// A channel configuration as JSON, its values decoded.
enum ConfigurationPicture {
    /// A configuration block: its header and the configuration that it carries.
    static func json(ofBlock block: Common_Block) throws -> JSONValue {
        let envelope = try block.configEnvelope()
        return .object([
            "header": .object([
                "number": .unsigned(block.header.number),
                "previous_hash": .string(block.header.previousHash.hexadecimal),
                "data_hash": .string(block.header.dataHash.hexadecimal),
                "hash": .string(block.header.hash.hexadecimal),
            ]),
            "config": .object([
                "sequence": .unsigned(envelope.config.sequence),
                "channel_group": try Self.json(of: envelope.config.channelGroup),
            ]),
        ])
    }

    /// A group with everything in it.
    static func json(of group: Common_ConfigGroup) throws -> JSONValue {
        var members: [(String, JSONValue)] = []
        let groups = try group.groups.sorted { $0.key < $1.key }.map { ($0.key, try Self.json(of: $0.value)) }
        members.append(("groups", .members(groups)))
        members.append(("mod_policy", .string(group.modPolicy)))
        let policies = group.policies.sorted { $0.key < $1.key }.map { name, policy in
            (
                name,
                JSONValue.object([
                    "mod_policy": .string(policy.modPolicy), "policy": Self.json(of: policy.policy),
                    "version": .unsigned(policy.version),
                ])
            )
        }
        members.append(("policies", .members(policies)))
        let values = group.values.sorted { $0.key < $1.key }.map { name, value in
            (
                name,
                JSONValue.object([
                    "mod_policy": .string(value.modPolicy), "value": Self.json(ofValue: name, value.value),
                    "version": .unsigned(value.version),
                ])
            )
        }
        members.append(("values", .members(values)))
        members.append(("version", .unsigned(group.version)))
        return .members(members)
    }

    private static func json(of policy: Common_Policy) -> JSONValue {
        switch Common_Policy.PolicyType(rawValue: Int(policy.type)) {
        case .signature:
            guard let value = try? Common_SignaturePolicyEnvelope(policyBytes: policy.value) else {
                break
            }
            return .object([
                "type": "Signature", "rule": .string(PolicyExpression.text(value)),
            ])
        case .implicitMeta:
            guard let value = try? Common_ImplicitMetaPolicy(serializedBytes: policy.value) else { break }
            return .object([
                "type": "ImplicitMeta",
                "rule": .string("\(value.rule) \(value.subPolicy)".uppercasingFirstWord),
            ])
        default: break
        }
        return .object([
            "type": .integer(Int64(policy.type)), "value": .string(policy.value.base64EncodedString()),
        ])
    }

    /// Decodes a value by the name under which it stands.
    private static func json(ofValue name: String, _ bytes: Data) -> JSONValue {
        let message: (any Message)?
        switch name {
        case "MSP": return Self.membership(bytes)
        case "AnchorPeers": message = try? Protos_AnchorPeers(serializedBytes: bytes)
        case "ACLs": message = try? Protos_ACLs(serializedBytes: bytes)
        case "Capabilities": message = try? Common_Capabilities(serializedBytes: bytes)
        case "HashingAlgorithm": message = try? Common_HashingAlgorithm(serializedBytes: bytes)
        case "BlockDataHashingStructure":
            message = try? Common_BlockDataHashingStructure(serializedBytes: bytes)
        case "OrdererAddresses", "Endpoints": message = try? Common_OrdererAddresses(serializedBytes: bytes)
        case "Orderers": message = try? Common_Orderers(serializedBytes: bytes)
        case "ConsensusType": message = try? Orderer_ConsensusType(serializedBytes: bytes)
        case "BatchSize": message = try? Orderer_BatchSize(serializedBytes: bytes)
        case "BatchTimeout": message = try? Orderer_BatchTimeout(serializedBytes: bytes)
        case "ChannelRestrictions": message = try? Orderer_ChannelRestrictions(serializedBytes: bytes)
        default: message = nil
        }
        guard let message, let text = try? message.jsonString() else {
            return .string(bytes.base64EncodedString())
        }
        return .verbatim(text)
    }

    private static func membership(_ bytes: Data) -> JSONValue {
        guard let outer = try? Msp_MSPConfig(serializedBytes: bytes),
            let inner = try? Msp_FabricMSPConfig(serializedBytes: outer.config),
            let text = try? inner.jsonString()
        else { return .string(bytes.base64EncodedString()) }
        return .object(["type": .integer(Int64(outer.type)), "config": .verbatim(text)])
    }
}

extension String {
    fileprivate var uppercasingFirstWord: String {
        guard let space = self.firstIndex(of: " ") else { return self.uppercased() }
        return self[..<space].uppercased() + self[space...]
    }
}
