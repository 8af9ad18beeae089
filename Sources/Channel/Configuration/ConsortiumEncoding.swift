import FabricProtos
import SwiftProtobuf

/// The policy that guards what belongs to the orderers outside of their group.
let ordererAdministrators = "/Channel/Orderer/Admins"

extension ChannelProfile {
    /// The Consortiums group of a system channel, with organizations by consortium.
    ///
    /// - Source: Fabric v3.1, `configtxgen`, which still writes it although no node of Fabric 3 runs such a channel.
    static func group(
        of consortiums: [String: [OrganizationProfile]]
    ) throws(InvalidProfile) -> Common_ConfigGroup {
        var group = GroupEncoder(path: "\(PolicyTree.root)/\(ConfigurationKey.consortiums)")
        group.message.modPolicy = ordererAdministrators
        // Anyone; the policy serves only as part of the channel's.
        let anyone = Common_SignaturePolicyEnvelope.with { $0.rule.nOutOf = .init() }
        var policy = Common_ConfigPolicy()
        policy.modPolicy = ordererAdministrators
        policy.policy.type = Int32(Common_Policy.PolicyType.signature.rawValue)
        policy.policy.value = try group.bytes(anyone)
        group.message.policies[administrators] = policy
        for (name, organizations) in consortiums.sorted(by: { $0.key < $1.key }) {
            group.message.groups[name] = try Self.group(of: organizations, path: "\(group.path)/\(name)")
        }
        return group.message
    }

    private static func group(
        of organizations: [OrganizationProfile],
        path: String
    ) throws(InvalidProfile) -> Common_ConfigGroup {
        var group = GroupEncoder(path: path)
        group.message.modPolicy = ordererAdministrators
        for organization in organizations {
            try group.add(organization) { () throws(InvalidProfile) in try organization.group(in: path) }
        }
        let creation = Common_Policy.with { $0.type = Int32(Common_Policy.PolicyType.implicitMeta.rawValue) }
        let rule = Common_ImplicitMetaPolicy.with { $0.subPolicy = administrators }
        let value = try group.bytes(rule)
        try group.set(
            ConfigurationKey.channelCreationPolicy,
            Common_Policy.with {
                $0 = creation
                $0.value = value
            },
            modificationPolicy: ordererAdministrators
        )
        return group.message
    }
}
