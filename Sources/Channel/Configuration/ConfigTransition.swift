extension ChannelConfiguration {
    /// Checks the rules that bind a configuration to the one before it.
    ///
    /// - Throws: ``ConfigurationError`` naming what may not change.
    /// - Source: Fabric v3.1, package `common/channelconfig`, validation of a new configuration.
    package func checkTransition(to next: ChannelConfiguration) throws(ConfigurationError) {
        try Self.check("Orderer", from: self.orderer != nil, to: next.orderer != nil)
        try Self.check("Application", from: self.application != nil, to: next.application != nil)
        try Self.check("Consortiums", from: self.isSystemChannel, to: next.isSystemChannel)
        guard self.isSystemChannel || !next.isSystemChannel else {
            throw ConfigurationError(path: "/Channel/Consortiums", reason: "it cannot be added to a channel")
        }
        if let old = self.orderer, let new = next.orderer {
            for organization in new.organizations {
                let before = old.organizations.first { $0.name == organization.name }
                try Self.check(organization.name, "Orderer", from: before?.mspID, to: organization.mspID)
            }
            guard old.consensusType == new.consensusType || self.capabilities.allowsConsensusMigration else {
                throw ConfigurationError(
                    path: "/Channel/Orderer/ConsensusType",
                    reason: "changing it from \(old.consensusType) to \(new.consensusType) requires channel "
                        + "capability V1_4_2 or higher"
                )
            }
        }
        if let old = self.application, let new = next.application {
            for organization in new.organizations {
                let before = old.organizations.first { $0.name == organization.name }
                try Self.check(organization.name, "Application", from: before?.mspID, to: organization.mspID)
            }
        }
    }

    private static func check(_ group: String, from old: Bool, to new: Bool) throws(ConfigurationError) {
        guard !old || new else {
            throw ConfigurationError(path: "/Channel/\(group)", reason: "it cannot be removed from a channel")
        }
    }

    private static func check(
        _ name: String,
        _ group: String,
        from old: MSPID?,
        to new: MSPID
    ) throws(ConfigurationError) {
        guard let old, old != new else { return }
        throw ConfigurationError(
            path: "/Channel/\(group)/\(name)/MSP",
            reason:
                "the MSP identifier of an organization cannot change from \(old) to \(new); add another organization"
        )
    }
}
