import FabricProtos
import Foundation

/// The members of a message as Go's `encoding/json` writes them: fields in the order of their declaration, those with
/// no value left out, bytes in base64, and the choices of a `oneof` in a member with the name of the choice.
///
/// - Source: Go's package `encoding/json`; compared with the output of Fabric v3.1.5's `peer`.
struct GoJSON {
    private(set) var members: [(String, JSONValue)] = []

    var value: JSONValue { .members(self.members) }

    func text(_ name: String, _ text: String) -> Self {
        self.adding(name, text.isEmpty ? nil : .string(text))
    }

    func integer(_ name: String, _ number: Int64) -> Self {
        self.adding(name, number == 0 ? nil : .integer(number))
    }

    func unsigned(_ name: String, _ number: UInt64) -> Self {
        self.adding(name, number == 0 ? nil : .unsigned(number))
    }

    func flag(_ name: String, _ flag: Bool) -> Self { self.adding(name, flag ? true : nil) }

    func bytes(_ name: String, _ bytes: Data) -> Self {
        self.adding(name, bytes.isEmpty ? nil : .string(bytes.base64EncodedString()))
    }

    func list(_ name: String, _ values: [JSONValue]) -> Self {
        self.adding(name, values.isEmpty ? nil : .array(values))
    }

    /// A map, by its keys.
    func map(_ name: String, _ values: [String: JSONValue]) -> Self {
        let members = values.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        return self.adding(name, members.isEmpty ? nil : .members(members))
    }

    func adding(_ name: String, _ value: JSONValue?) -> Self {
        guard let value else { return self }
        var copy = self
        copy.members.append((name, value))
        return copy
    }

    /// The choice of a `oneof`.
    static func choice(_ name: String, _ value: JSONValue) -> JSONValue { .members([(name, value)]) }
}

// MARK: - Answers of the lifecycle contract

extension Lifecycle_CheckCommitReadinessResult {
    var goJSON: JSONValue {
        GoJSON().map("approvals", self.approvals.mapValues { .boolean($0) })
            .map(
                "mismatches",
                self.mismatches.mapValues { GoJSON().list("items", $0.items.map { .string($0) }).value }
            ).value
    }
}

extension Lifecycle_QueryChaincodeDefinitionResult {
    var goJSON: JSONValue {
        DefinitionJSON(
            sequence: self.sequence,
            version: self.version,
            endorsementPlugin: self.endorsementPlugin,
            validationPlugin: self.validationPlugin,
            validationParameter: self.validationParameter,
            collections: self.hasCollections ? self.collections : nil,
            initRequired: self.initRequired
        ).members(name: nil).map("approvals", self.approvals.mapValues { .boolean($0) }).value
    }
}

extension Lifecycle_QueryChaincodeDefinitionsResult {
    var goJSON: JSONValue {
        GoJSON().list(
            "chaincode_definitions",
            self.chaincodeDefinitions.map { definition in
                DefinitionJSON(
                    sequence: definition.sequence,
                    version: definition.version,
                    endorsementPlugin: definition.endorsementPlugin,
                    validationPlugin: definition.validationPlugin,
                    validationParameter: definition.validationParameter,
                    collections: definition.hasCollections ? definition.collections : nil,
                    initRequired: definition.initRequired
                ).members(name: definition.name).value
            }
        ).value
    }
}

extension Lifecycle_QueryApprovedChaincodeDefinitionResult {
    var goJSON: JSONValue {
        DefinitionJSON(
            sequence: self.sequence,
            version: self.version,
            endorsementPlugin: self.endorsementPlugin,
            validationPlugin: self.validationPlugin,
            validationParameter: self.validationParameter,
            collections: self.hasCollections ? self.collections : nil,
            initRequired: self.initRequired
        ).members(name: nil).adding("source", self.hasSource ? self.source.goJSON : nil).value
    }
}

extension Lifecycle_QueryApprovedChaincodeDefinitionsResult {
    var goJSON: JSONValue {
        GoJSON().list(
            "approved_chaincode_definitions",
            self.approvedChaincodeDefinitions.map { definition in
                DefinitionJSON(
                    sequence: definition.sequence,
                    version: definition.version,
                    endorsementPlugin: definition.endorsementPlugin,
                    validationPlugin: definition.validationPlugin,
                    validationParameter: definition.validationParameter,
                    collections: definition.hasCollections ? definition.collections : nil,
                    initRequired: definition.initRequired
                ).members(name: definition.name)
                    .adding("source", definition.hasSource ? definition.source.goJSON : nil).value
            }
        ).value
    }
}

/// What all definitions of contracts have in common.
private struct DefinitionJSON {
    var sequence: Int64
    var version: String
    var endorsementPlugin: String
    var validationPlugin: String
    var validationParameter: Data
    var collections: Protos_CollectionConfigPackage?
    var initRequired: Bool

    func members(name: String?) -> GoJSON {
        GoJSON().text("name", name ?? "").integer("sequence", self.sequence).text("version", self.version)
            .text("endorsement_plugin", self.endorsementPlugin)
            .text("validation_plugin", self.validationPlugin)
            .bytes("validation_parameter", self.validationParameter)
            .adding("collections", self.collections?.goJSON).flag("init_required", self.initRequired)
    }
}

extension Lifecycle_ChaincodeSource {
    fileprivate var goJSON: JSONValue {
        switch self.type {
        case .localPackage(let local):
            GoJSON.choice(
                "Type",
                GoJSON.choice("LocalPackage", GoJSON().text("package_id", local.packageID).value)
            )
        case .unavailable: GoJSON.choice("Type", GoJSON.choice("Unavailable", .members([])))
        case nil: GoJSON.choice("Type", .null)
        }
    }
}

// MARK: - Collections and policies

extension Protos_CollectionConfigPackage {
    fileprivate var goJSON: JSONValue {
        GoJSON().list(
            "config",
            self.config.map { config in
                guard case .staticCollectionConfig(let collection) = config.payload else {
                    return GoJSON.choice("Payload", .null)
                }
                return GoJSON.choice("Payload", GoJSON.choice("StaticCollectionConfig", collection.goJSON))
            }
        ).value
    }
}

extension Protos_StaticCollectionConfig {
    fileprivate var goJSON: JSONValue {
        let members: JSONValue =
            if case .signaturePolicy(let policy) = self.memberOrgsPolicy.payload {
                GoJSON.choice("Payload", GoJSON.choice("SignaturePolicy", policy.goJSON))
            } else {
                GoJSON.choice("Payload", .null)
            }
        return GoJSON().text("name", self.name)
            .adding("member_orgs_policy", self.hasMemberOrgsPolicy ? members : nil)
            .integer("required_peer_count", Int64(self.requiredPeerCount))
            .integer("maximum_peer_count", Int64(self.maximumPeerCount))
            .unsigned("block_to_live", self.blockToLive).flag("member_only_read", self.memberOnlyRead)
            .flag("member_only_write", self.memberOnlyWrite)
            .adding("endorsement_policy", self.hasEndorsementPolicy ? self.endorsementPolicy.goJSON : nil)
            .value
    }
}

extension Protos_ApplicationPolicy {
    fileprivate var goJSON: JSONValue {
        switch self.type {
        case .signaturePolicy(let policy):
            GoJSON.choice("Type", GoJSON.choice("SignaturePolicy", policy.goJSON))
        case .channelConfigPolicyReference(let reference):
            GoJSON.choice("Type", GoJSON.choice("ChannelConfigPolicyReference", .string(reference)))
        case nil: GoJSON.choice("Type", .null)
        }
    }
}

extension Common_SignaturePolicyEnvelope {
    fileprivate var goJSON: JSONValue {
        GoJSON().integer("version", Int64(self.version)).adding("rule", self.hasRule ? self.rule.goJSON : nil)
            .list(
                "identities",
                self.identities.map { principal in
                    GoJSON().integer(
                        "principal_classification",
                        Int64(principal.principalClassification.rawValue)
                    )
                    .bytes("principal", principal.principal).value
                }
            ).value
    }
}

extension Common_SignaturePolicy {
    fileprivate var goJSON: JSONValue {
        switch self.type {
        case .signedBy(let index): GoJSON.choice("Type", GoJSON.choice("SignedBy", .integer(Int64(index))))
        case .nOutOf(let rules):
            GoJSON.choice(
                "Type",
                GoJSON.choice(
                    "NOutOf",
                    GoJSON().integer("n", Int64(rules.n)).list("rules", rules.rules.map(\.goJSON)).value
                )
            )
        case nil: GoJSON.choice("Type", .null)
        }
    }
}

extension Common_BlockchainInfo {
    var goJSON: JSONValue {
        let snapshot = self.bootstrappingSnapshotInfo
        return GoJSON().unsigned("height", self.height).bytes("currentBlockHash", self.currentBlockHash)
            .bytes("previousBlockHash", self.previousBlockHash)
            .adding(
                "bootstrappingSnapshotInfo",
                self.hasBootstrappingSnapshotInfo
                    ? GoJSON().unsigned("lastBlockInSnapshot", snapshot.lastBlockInSnapshot).value : nil
            ).value
    }
}
