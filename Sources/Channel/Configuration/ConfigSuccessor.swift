package import FabricProtos
import FoundationEssentials
import SwiftProtobuf

extension ChannelConfiguration {
    /// The configuration that a CONFIG transaction carries, checked as every receiver of its block checks it.
    ///
    /// The update inside the transaction is authorized again, here, and must lead to the very configuration
    /// that the orderer wrote down; nobody is trusted to have done so.
    ///
    /// - Throws: ``ConfigurationError``; an update whose signatures do not suffice is one.
    /// - Source: Fabric v3.1, package `common/configtx`, validation of a configuration envelope.
    package func successor(
        _ envelope: Common_ConfigEnvelope
    ) throws(ConfigurationError) -> ChannelConfiguration {
        guard self.sequence < .max, envelope.config.sequence == self.sequence + 1 else {
            throw ConfigurationError(
                path: PolicyTree.root,
                reason: "its sequence is \(envelope.config.sequence), after \(self.sequence) comes "
                    + "\(self.sequence &+ 1)"
            )
        }
        guard envelope.hasLastUpdate else {
            throw ConfigurationError(path: PolicyTree.root, reason: "it lacks the update that led to it")
        }
        let result: Common_Config
        do {
            let headers = try EnvelopeHeaders(envelope.lastUpdate)
            guard headers.channel.type == Int32(Common_HeaderType.configUpdate.rawValue) else {
                throw ConfigUpdateError(
                    reason: "its header type is \(headers.channel.type), not CONFIG_UPDATE"
                )
            }
            result = try self.applying(Common_ConfigUpdateEnvelope(serializedBytes: headers.payload.data))
        } catch {
            throw ConfigurationError(path: PolicyTree.root, reason: "\(error)")
        }
        guard result.channelGroup == envelope.config.channelGroup else {
            throw ConfigurationError(
                path: PolicyTree.root,
                reason: "the update that it carries leads to another configuration than the one it carries"
            )
        }
        let next = try ChannelConfiguration(channelID: self.channelID, config: envelope.config)
        try self.checkTransition(to: next)
        return next
    }
}
