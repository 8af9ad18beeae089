/// Where a message stands, as far as that decides what its opaque fields hold.
enum MessagePlace: Sendable {
    /// The type of the message says all.
    case anywhere
    /// Below a choice (`oneof`), where Fabric's tools leave bytes as they are.
    case inChoice
    /// A group of a configuration.
    case group(ConfigurationLevel)
    /// A value in a group of a configuration, under this name.
    case value(ConfigurationLevel, name: String)
    /// Below a read-write set of keys and values.
    case keyValueSet
}

/// A level of a channel configuration: which values and groups stand in its groups.
///
/// - Source: Fabric v3.1, `fabric-config/protolator/protoext`.
package enum ConfigurationLevel: String, Sendable {
    case channel = "the channel"
    case orderer = "Orderer"
    case ordererOrganization = "an organization of Orderer"
    case application = "Application"
    case applicationOrganization = "an organization of Application"
    case consortiums = "Consortiums"
    case consortium = "a consortium"
    case consortiumOrganization = "an organization of a consortium"

    /// The level of the group with this name.
    func group(named name: String) throws(TranslationError) -> ConfigurationLevel {
        switch (self, name) {
        case (.channel, "Orderer"): .orderer
        case (.channel, "Application"): .application
        case (.channel, "Consortiums"): .consortiums
        case (.channel, _):
            throw TranslationError(
                "there is no such group in the channel; groups are Orderer, Application and Consortiums"
            )
        case (.orderer, _): .ordererOrganization
        case (.application, _): .applicationOrganization
        case (.consortiums, _): .consortium
        case (.consortium, _): .consortiumOrganization
        case (.ordererOrganization, _), (.applicationOrganization, _), (.consortiumOrganization, _):
            throw TranslationError("there are no groups in \(self.rawValue)")
        }
    }

    /// The type of the value with this name.
    func type(ofValue name: String) throws(TranslationError) -> String {
        guard let type = self.valueTypes[name] else {
            let known = self.valueTypes.keys.sorted().joined(separator: ", ")
            throw TranslationError(
                "there is no value \(name) in \(self.rawValue); values are: \(known.isEmpty ? "none" : known)"
            )
        }
        return type
    }

    private var valueTypes: [String: String] {
        switch self {
        case .channel:
            [
                "HashingAlgorithm": "common.HashingAlgorithm",
                "BlockDataHashingStructure": "common.BlockDataHashingStructure",
                "OrdererAddresses": "common.OrdererAddresses",
                "Consortium": "common.Consortium",
                "Capabilities": "common.Capabilities",
            ]
        case .orderer:
            [
                "ConsensusType": "orderer.ConsensusType",
                "BatchSize": "orderer.BatchSize",
                "BatchTimeout": "orderer.BatchTimeout",
                "KafkaBrokers": "orderer.KafkaBrokers",
                "ChannelRestrictions": "orderer.ChannelRestrictions",
                "Capabilities": "common.Capabilities",
                "Orderers": "common.Orderers",
            ]
        case .ordererOrganization: ["MSP": "msp.MSPConfig", "Endpoints": "common.OrdererAddresses"]
        case .application: ["Capabilities": "common.Capabilities", "ACLs": "protos.ACLs"]
        case .applicationOrganization: ["MSP": "msp.MSPConfig", "AnchorPeers": "protos.AnchorPeers"]
        case .consortiums: [:]
        case .consortium: ["ChannelCreationPolicy": "common.Policy"]
        case .consortiumOrganization: ["MSP": "msp.MSPConfig"]
        }
    }
}
