import FabricProtos
import SwiftProtobuf

/// One group of a configuration, read with an eye on what belongs there.
struct ConfigurationGroup {
    let path: String
    let message: Common_ConfigGroup

    /// Refuses values and groups that do not belong here.
    ///
    /// `nil` for the groups allows any name.
    func expect(values: Set<String>, groups: Set<String>?) throws(ConfigurationError) {
        for name in self.message.values.keys.sorted() where !values.contains(name) {
            throw self.error(
                at: name,
                "no such value belongs here; values are \(values.sorted().joined(separator: ", "))"
            )
        }
        guard let groups else { return }
        for name in self.message.groups.keys.sorted() where !groups.contains(name) {
            throw self.error(
                at: name,
                groups.isEmpty
                    ? "no groups belong here"
                    : "no such group belongs here; groups are \(groups.sorted().joined(separator: ", "))"
            )
        }
    }

    /// The value under a key; a missing one reads as empty, as in Fabric.
    func value<Value: Message>(_ key: String, _ type: Value.Type = Value.self) throws(ConfigurationError)
        -> Value
    {
        guard let entry = self.message.values[key] else { return Value() }
        do {
            return try Value(serializedBytes: entry.value)
        } catch {
            throw self.error(at: key, "its bytes are no \(Value.protoMessageName): \(error)")
        }
    }

    /// The groups directly below, by name.
    var groups: [(name: String, group: ConfigurationGroup)] {
        self.message.groups.sorted { $0.key < $1.key }.map { name, message in
            (name, ConfigurationGroup(path: "\(self.path)/\(name)", message: message))
        }
    }

    /// The group directly below with this name.
    func group(_ name: String) -> ConfigurationGroup? {
        self.message.groups[name].map { ConfigurationGroup(path: "\(self.path)/\(name)", message: $0) }
    }

    func error(at key: String? = nil, _ reason: String) -> ConfigurationError {
        ConfigurationError(path: key.map { "\(self.path)/\($0)" } ?? self.path, reason: reason)
    }

    /// Checks the names of everything in the group and below it.
    func checkNames() throws(ConfigurationError) {
        let names =
            self.message.values.keys.sorted() + self.message.policies.keys.sorted()
            + self.message.groups.keys.sorted()
        for name in names {
            if let fault = ConfigurationName.fault(of: name) { throw self.error(fault) }
        }
        for (_, group) in self.groups { try group.checkNames() }
    }
}

/// Keys of values and groups.
///
/// - Source: Fabric v3, package `common/channelconfig`.
enum ConfigurationKey {
    static let orderer = "Orderer"
    static let application = "Application"
    static let consortiums = "Consortiums"

    static let hashingAlgorithm = "HashingAlgorithm"
    static let blockDataHashingStructure = "BlockDataHashingStructure"
    static let ordererAddresses = "OrdererAddresses"
    static let consortium = "Consortium"
    static let capabilities = "Capabilities"
    static let orderers = "Orderers"
    static let consensusType = "ConsensusType"
    static let batchSize = "BatchSize"
    static let batchTimeout = "BatchTimeout"
    static let channelRestrictions = "ChannelRestrictions"
    static let kafkaBrokers = "KafkaBrokers"
    static let accessControlLists = "ACLs"
    static let msp = "MSP"
    static let endpoints = "Endpoints"
    static let anchorPeers = "AnchorPeers"
    static let channelCreationPolicy = "ChannelCreationPolicy"
}
