/// What a channel requires of its nodes, and what that switches on.
///
/// Names are kept as they are in the configuration; whether a node knows them all is asked with
/// ``unsupported(at:)``, since a peer and an orderer answer for different levels.
///
/// - Source: Fabric v3.1, package `common/capabilities`.
package struct Capabilities: Equatable, Sendable {
    /// A place in the configuration where capabilities are listed.
    package enum Level: String, CaseIterable, Sendable {
        case channel = "Channel", orderer = "Orderer", application = "Application"
    }

    package var channel: Set<String>
    package var orderer: Set<String>
    package var application: Set<String>

    package init(channel: Set<String> = [], orderer: Set<String> = [], application: Set<String> = []) {
        self.channel = channel
        self.orderer = orderer
        self.application = application
    }

    /// The names Weft knows at a level.
    package static func known(at level: Level) -> Set<String> {
        switch level {
        case .channel: ["V1_1", "V1_3", "V1_4_2", "V1_4_3", "V2_0", "V3_0"]
        case .orderer: ["V1_1", "V1_4_2", "V2_0"]
        case .application:
            [
                "V1_1", "V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5",
                "V1_1_PVTDATA_EXPERIMENTAL", "V1_1_RESOURCETREE_EXPERIMENTAL",
            ]
        }
    }

    /// The names required at a level that Weft does not know, in order.
    package func unsupported(at level: Level) -> [String] {
        self.required(at: level).subtracting(Self.known(at: level)).sorted()
    }

    private func required(at level: Level) -> Set<String> {
        switch level {
        case .channel: self.channel
        case .orderer: self.orderer
        case .application: self.application
        }
    }

    /// Whether any of the names, each of which brings the same, is required.
    private static func any(_ names: String..., in required: Set<String>) -> Bool {
        !required.isDisjoint(with: names)
    }
}

// MARK: - Channel level

extension Capabilities {
    /// The rules for certificates and identities; the highest name decides.
    package var mspVersion: MSPVersion {
        if self.channel.contains("V3_0") { return .v3_0 }
        if Self.any("V2_0", "V1_4_3", in: self.channel) { return .v1_4_3 }
        if Self.any("V1_4_2", "V1_3", in: self.channel) { return .v1_3 }
        if self.channel.contains("V1_1") { return .v1_1 }
        return .v1_0
    }

    /// Organizations of orderers list their own endpoints.
    package var hasOrganizationEndpoints: Bool {
        Self.any("V1_4_2", "V1_4_3", "V2_0", "V3_0", in: self.channel)
    }

    /// The channel may change its consensus type, in maintenance mode.
    package var allowsConsensusMigration: Bool {
        Self.any("V1_4_2", "V1_4_3", "V2_0", "V3_0", in: self.channel)
    }

    /// Block signatures may name consenters by number, global orderer addresses are gone, and every
    /// organization of orderers lists endpoints.
    package var identifiesBlockSignersByConsenter: Bool { self.channel.contains("V3_0") }
}

// MARK: - Orderer level

extension Capabilities {
    /// Envelopes are checked again when the configuration changed since they were checked.
    package var revalidatesResubmissions: Bool { Self.any("V1_1", "V1_4_2", "V2_0", in: self.orderer) }

    /// Envelopes of expired identities are refused.
    package var checksExpiration: Bool { Self.any("V1_1", "V1_4_2", "V2_0", in: self.orderer) }

    /// Consensus migration, as far as the orderer level has a say.
    package var ordererAllowsConsensusMigration: Bool { Self.any("V1_4_2", "V2_0", in: self.orderer) }
}

// MARK: - Application level

extension Capabilities {
    private func application(since names: String...) -> Bool { !self.application.isDisjoint(with: names) }

    /// A transaction identifier that occurs twice in a block is valid once at most.
    package var forbidsDuplicateIdentifiersInBlock: Bool {
        self.application(since: "V1_1", "V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5")
    }

    /// The Application group may hold access control lists.
    package var allowsAccessControlLists: Bool {
        self.application(since: "V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5")
    }

    /// Collections of private data.
    package var hasPrivateData: Bool {
        self.application(since: "V1_1_PVTDATA_EXPERIMENTAL", "V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5")
    }

    /// Endorsement policies of single keys.
    package var hasKeyLevelEndorsement: Bool { self.application(since: "V1_3", "V1_4_2", "V2_0", "V2_5") }

    /// Private data of invalid transactions is kept.
    package var keepsPrivateDataOfInvalidTransactions: Bool {
        self.application(since: "V1_4_2", "V2_0", "V2_5")
    }

    /// Contracts are defined by their organizations (the lifecycle of Fabric 2).
    package var hasContractLifecycle: Bool { self.application(since: "V2_0", "V2_5") }

    /// Private data can be purged.
    package var hasPrivateDataPurge: Bool { self.application(since: "V2_5") }
}
