internal import Channel
internal import FabricProtos
internal import SwiftProtobuf

extension ChannelConfiguration {
    /// The configuration that follows this one, as a configuration block carries it.
    ///
    /// The orderers have authorized the update already; a peer does it again by its own configuration, and
    /// accepts nothing but what comes out of that.
    ///
    /// - Throws: ``ValidationHalted`` if it does not follow; `ConfigUpdateError` if the update is not
    ///   authorized; `ConfigurationError` if it breaks a rule.
    /// - Source: Fabric v3, packages `common/configtx` and `core/peer`.
    func successor(_ envelope: Common_ConfigEnvelope) throws -> ChannelConfiguration {
        let config = envelope.config
        guard config.sequence == self.sequence &+ 1 else {
            throw ValidationHalted(
                "the configuration block brings sequence \(config.sequence), \(self.sequence &+ 1) comes next"
            )
        }
        guard envelope.hasLastUpdate else {
            throw ValidationHalted(
                "the configuration block doesn't carry the update that it is the result of"
            )
        }
        let headers = try EnvelopeHeaders(envelope.lastUpdate)
        let update = try Common_ConfigUpdateEnvelope(serializedBytes: headers.payload.data)
        guard try self.applying(update) == config else {
            throw ValidationHalted(
                "the configuration of the block is not the result of the update that it carries"
            )
        }
        let next = try ChannelConfiguration(channelID: self.channelID, config: config)
        try self.checkTransition(to: next)
        return next
    }

    /// Checks that this peer can do all that the channel requires of peers.
    ///
    /// - Throws: ``ValidationHalted`` that names what it can't do.
    /// - Source: Fabric v3, package `common/capabilities`; a real peer process stops.
    func checkPeerCanFollow() throws(ValidationHalted) {
        for level in [Capabilities.Level.channel, .application] {
            let unknown = self.capabilities.unsupported(at: level)
            guard unknown.isEmpty else {
                throw ValidationHalted(
                    "the configuration requires \(level.rawValue) capability \(unknown.joined(separator: ", ")), "
                        + "which this version of Weft doesn't have; install one that has it"
                )
            }
        }
        guard self.application == nil || self.capabilities.hasContractLifecycle else {
            throw ValidationHalted(
                "the configuration doesn't require Application capability V2_0, and the rules of older channels "
                    + "are not supported; update the channel's capabilities"
            )
        }
    }
}
