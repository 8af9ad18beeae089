package import FabricProtos
package import Foundation
import SwiftProtobuf

/// The request to create a channel that orderers of Fabric 1 and 2 took over Broadcast.
///
/// Orderers of Fabric 3 have no system channel to create it in; the tools still write and show it.
package enum ChannelCreation {
    /// Makes the request, unsigned.
    ///
    /// - Parameters:
    ///   - channelID: the channel.
    ///   - profile: what the channel is to be; it needs an Application section and a consortium.
    ///   - base: the system channel, where more than the Application section is to differ from it.
    ///   - timestamp: the time, of which whole seconds are written.
    /// - Returns: an envelope of type CONFIG_UPDATE.
    /// - Throws: ``InvalidProfile``, or ``ConfigUpdateError`` if the profile says nothing that the base doesn't.
    /// - Source: Fabric v3.1, `docs/source/commands/configtxgen.md`, `-outputCreateChannelTx`.
    package static func envelope(
        channelID: ChannelID,
        profile: ChannelProfile,
        base: ChannelProfile?,
        timestamp: Date
    ) throws -> Common_Envelope {
        let update = try self.update(channelID: channelID, profile: profile, base: base)
        var channelHeader = Common_ChannelHeader()
        channelHeader.type = Int32(Common_HeaderType.configUpdate.rawValue)
        channelHeader.timestamp.seconds = Int64(timestamp.timeIntervalSince1970.rounded(.down))
        channelHeader.channelID = channelID.description
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        var payload = Common_Payload()
        payload.header.channelHeader = try channelHeader.serializedBytes()
        payload.data = try Common_ConfigUpdateEnvelope.with {
            $0.configUpdate = try update.serializedBytes(options: options)
        }.serializedBytes()
        return try .with { $0.payload = try payload.serializedBytes() }
    }

    private static func update(
        channelID: ChannelID,
        profile: ChannelProfile,
        base: ChannelProfile?
    ) throws -> Common_ConfigUpdate {
        guard let application = profile.application else {
            throw InvalidProfile(
                path: "/Channel/Application",
                reason: "the section Application is missing; a new channel needs one"
            )
        }
        guard let consortium = profile.consortium else {
            throw InvalidProfile(
                path: "/Channel/Consortium",
                reason: "the key Consortium is missing; name the consortium that creates the channel"
            )
        }
        let wanted = try profile.channelGroup()
        var original = wanted
        if let base {
            original = try self.template(base, consortium: consortium, application: application)
        } else {
            original.groups[ConfigurationKey.application]?.values = [:]
            original.groups[ConfigurationKey.application]?.policies = [:]
        }
        var update = try Common_ConfigUpdate.computing(from: original, to: wanted, channelID: channelID)
        update.readSet.values[ConfigurationKey.consortium] = Common_ConfigValue()
        update.writeSet.values[ConfigurationKey.consortium] = try .with {
            $0.value = try Common_Consortium.with { $0.name = consortium }.serializedBytes()
        }
        return update
    }

    /// The system channel as it looks to a new channel: with the consortium's organizations as its application.
    private static func template(
        _ base: ChannelProfile,
        consortium: String,
        application: ChannelProfile.ApplicationProfile
    ) throws -> Common_ConfigGroup {
        var group = try base.channelGroup()
        guard let members = group.groups[ConfigurationKey.consortiums]?.groups[consortium]?.groups else {
            throw InvalidProfile(
                path: "/Channel/Consortiums/\(consortium)",
                reason: "the profile of the system channel has no such consortium"
            )
        }
        var organizations: [String: Common_ConfigGroup] = [:]
        for organization in application.organizations {
            guard let member = members[organization.name] else {
                throw InvalidProfile(
                    path: "/Channel/Consortiums/\(consortium)",
                    reason: "the organization \(organization.name) is not in it"
                )
            }
            organizations[organization.name] = member
        }
        group.groups[ConfigurationKey.application] = .with {
            $0.groups = organizations
            $0.policies[administrators] = Common_ConfigPolicy()
        }
        group.groups[ConfigurationKey.consortiums] = nil
        var value = Common_ConfigValue()
        value.value = try Common_Consortium.with { $0.name = consortium }.serializedBytes()
        value.modPolicy = administrators
        group.values[ConfigurationKey.consortium] = value
        return group
    }
}
