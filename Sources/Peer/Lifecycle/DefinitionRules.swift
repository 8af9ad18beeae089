internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// A definition as somebody proposes it, before defaults are filled in.
struct ProposedDefinition {
    var sequence: Int64
    var name: String
    var version: String
    var endorsementPlugin: String
    var validationPlugin: String
    var validationParameter: Data
    var collections: Protos_CollectionConfigPackage
    var initRequired: Bool

    init(_ arguments: Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs) {
        self.sequence = arguments.sequence
        self.name = arguments.name
        self.version = arguments.version
        self.endorsementPlugin = arguments.endorsementPlugin
        self.validationPlugin = arguments.validationPlugin
        self.validationParameter = arguments.validationParameter
        self.collections = arguments.collections
        self.initRequired = arguments.initRequired
    }

    init(_ arguments: Lifecycle_CommitChaincodeDefinitionArgs) {
        self.sequence = arguments.sequence
        self.name = arguments.name
        self.version = arguments.version
        self.endorsementPlugin = arguments.endorsementPlugin
        self.validationPlugin = arguments.validationPlugin
        self.validationParameter = arguments.validationParameter
        self.collections = arguments.collections
        self.initRequired = arguments.initRequired
    }

    init(_ arguments: Lifecycle_CheckCommitReadinessArgs) {
        self.sequence = arguments.sequence
        self.name = arguments.name
        self.version = arguments.version
        self.endorsementPlugin = arguments.endorsementPlugin
        self.validationPlugin = arguments.validationPlugin
        self.validationParameter = arguments.validationParameter
        self.collections = arguments.collections
        self.initRequired = arguments.initRequired
    }
}

extension ChaincodeParameters {
    /// The first respect in which `other` differs, `nil` if it doesn't.
    func difference(from other: ChaincodeParameters) -> String? {
        func differs(_ field: String, _ own: String, _ others: String) -> String? {
            own == others ? nil : "expected \(field) '\(own)' does not match passed \(field) '\(others)'"
        }
        return differs("Version", self.version, other.version)
            ?? differs("EndorsementPlugin", self.endorsementPlugin, other.endorsementPlugin)
            ?? differs("InitRequired", "\(self.initRequired)", "\(other.initRequired)")
            ?? differs("ValidationPlugin", self.validationPlugin, other.validationPlugin)
            ?? differs(
                "ValidationParameter",
                self.validationParameter.hexadecimal,
                other.validationParameter.hexadecimal
            )
            ?? (self.collections == other.collections ? nil : "Collections do not match")
    }
}

/// The rules for what may be approved and committed.
///
/// - Source: Fabric v3.1, `core/chaincode/lifecycle/scc.go`, `validateInput` and the functions it calls.
extension LifecycleLedger {
    /// Fills in what was left empty.
    func withDefaults(_ proposed: ProposedDefinition) throws -> ChaincodeParameters {
        var parameter = proposed.validationParameter
        if parameter.isEmpty {
            let reference = ChaincodeParameters.standardPolicyReference
            guard self.configuration.policies.policy(at: reference) != nil else {
                throw ContractError(
                    """
                    could not set defaults for chaincode definition in channel \
                    \(self.configuration.channelID): policy '\(reference)' must be defined for the channel \
                    before chaincode operations can be attempted
                    """
                )
            }
            parameter = ChaincodeParameters.standardValidationParameter
        }
        return ChaincodeParameters(
            version: proposed.version,
            initRequired: proposed.initRequired,
            endorsementPlugin: proposed.endorsementPlugin.isEmpty
                ? ChaincodeParameters.standardEndorsementPlugin : proposed.endorsementPlugin,
            validationPlugin: proposed.validationPlugin.isEmpty
                ? ChaincodeParameters.standardValidationPlugin : proposed.validationPlugin,
            validationParameter: parameter,
            collections: proposed.collections
        )
    }

    /// Checks name, version and collections.
    func checkForm(of proposed: ProposedDefinition) throws {
        do {
            try self.checkNames(of: proposed)
            let collections = try proposed.collections.config.map(Self.staticCollection)
            try self.checkCollections(collections)
            try self.checkAgainstCommitted(proposed.name, collections)
        } catch {
            throw ContractError("error validating chaincode definition: \(error)")
        }
    }

    private func checkNames(of proposed: ProposedDefinition) throws {
        guard Self.isWellFormed(chaincodeName: proposed.name) else {
            throw ContractError(
                """
                invalid chaincode name '\(proposed.name)'. Names can only consist of alphanumerics, '_', \
                and '-' and can only begin with alphanumerics
                """
            )
        }
        guard (try? ChaincodeName.validate(proposed.name)) != nil else {
            throw ContractError("chaincode name '\(proposed.name)' is the name of a system chaincode")
        }
        guard (try? ChaincodeName.validate(version: proposed.version)) != nil else {
            throw ContractError(
                """
                invalid chaincode version '\(proposed.version)'. Versions can only consist of alphanumerics, \
                '_', '-', '+', and '.'
                """
            )
        }
    }

    /// Alphanumerics with single '-' or '_' between them.
    private static func isWellFormed(chaincodeName name: String) -> Bool {
        var afterSeparator = true
        for byte in name.utf8 {
            if Self.isAlphanumeric(byte) {
                afterSeparator = false
            } else {
                guard [UInt8(ascii: "-"), UInt8(ascii: "_")].contains(byte), !afterSeparator else {
                    return false
                }
                afterSeparator = true
            }
        }
        return !afterSeparator
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private static func staticCollection(
        _ config: Protos_CollectionConfig
    ) throws -> Protos_StaticCollectionConfig {
        guard case .staticCollectionConfig(let collection)? = config.payload else {
            throw ContractError("collection configuration is empty")
        }
        return collection
    }

    private func checkCollections(_ collections: [Protos_StaticCollectionConfig]) throws {
        var names: Set<String> = []
        for collection in collections {
            let name = collection.name
            let allowed = name.utf8.allSatisfy {
                Self.isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
            }
            guard allowed, !name.isEmpty, !name.hasPrefix("_") else {
                throw ContractError(
                    """
                    invalid collection name '\(name)'. Names can only consist of alphanumerics, '_', and '-' \
                    and cannot begin with '_'
                    """
                )
            }
            guard names.insert(name).inserted else {
                throw ContractError("collection-name: \(name) -- found duplicate in collection configuration")
            }
            guard collection.maximumPeerCount >= collection.requiredPeerCount else {
                throw ContractError(
                    """
                    collection-name: \(name) -- maximum peer count (\(collection.maximumPeerCount)) cannot be \
                    less than the required peer count (\(collection.requiredPeerCount))
                    """
                )
            }
            guard collection.requiredPeerCount >= 0 else {
                throw ContractError(
                    """
                    collection-name: \(name) -- requiredPeerCount (\(collection.requiredPeerCount)) cannot be \
                    less than zero
                    """
                )
            }
            try self.checkMembers(of: collection)
        }
    }

    private func checkMembers(of collection: Protos_StaticCollectionConfig) throws {
        let name = collection.name
        guard collection.hasMemberOrgsPolicy else {
            throw ContractError("collection member policy is not set for collection '\(name)'")
        }
        guard case .signaturePolicy(let policy)? = collection.memberOrgsPolicy.payload else {
            throw ContractError("collection member org policy is empty for collection '\(name)'")
        }
        do {
            _ = try CompiledPolicy(signaturePolicy: policy, directory: self.configuration.directory)
        } catch {
            throw ContractError("invalid member org policy for collection '\(name)': \(error)")
        }
        guard Self.isDisjunction(policy.rule, depth: 0) else {
            throw ContractError(
                """
                collection-name: \(name) -- error in member org policy: signature policy is not an OR \
                concatenation
                """
            )
        }
        for principal in policy.identities { try self.checkPrincipal(principal, of: name) }
    }

    /// Whether `rule` needs only ever one signature.
    ///
    /// Deeper nesting than a compiled policy allows is refused.
    private static func isDisjunction(_ rule: Common_SignaturePolicy, depth: Int) -> Bool {
        guard depth < 64 else { return false }
        switch rule.type {
        case .signedBy: return true
        case .nOutOf(let choice):
            return choice.n == 1 && choice.rules.allSatisfy { Self.isDisjunction($0, depth: depth + 1) }
        case nil: return false
        }
    }

    private func checkPrincipal(_ principal: Common_MSPPrincipal, of collection: String) throws {
        let organization: String
        switch principal.principalClassification {
        case .role:
            organization = try Common_MSPRole(serializedBytes: principal.principal).mspIdentifier
        case .organizationUnit:
            organization = try Common_OrganizationUnit(serializedBytes: principal.principal).mspIdentifier
        case .identity:
            guard (try? self.configuration.directory.identity(from: principal.principal)) != nil else {
                throw ContractError(
                    "collection-name: \(collection) -- contains an identity that is not part of the channel"
                )
            }
            return
        default:
            throw ContractError(
                """
                collection-name: \(collection) -- principal type \(principal.principalClassification) is not \
                supported
                """
            )
        }
        guard let identifier = try? MSPID(organization), self.configuration.directory[identifier] != nil
        else {
            throw ContractError(
                """
                collection-name: \(collection) -- collection member '\(organization)' is not part of the \
                channel
                """
            )
        }
    }

    /// Every collection of the committed definition must still be there, with the same lifetime.
    private func checkAgainstCommitted(
        _ name: String,
        _ collections: [Protos_StaticCollectionConfig]
    ) throws {
        guard let committed = try self.committed(name) else {
            // The old lifecycle's definitions are looked up too, although none can exist here.
            _ = try self.state.value(namespace: ChaincodeName.legacyLifecycle, key: name)
            return
        }
        let existing = try committed.collections.config.map(Self.staticCollection)
        guard existing.isEmpty || !collections.isEmpty else {
            throw ContractError(
                "the proposed collection config does not contain previously defined collections"
            )
        }
        for old in existing {
            guard let new = collections.first(where: { $0.name == old.name }) else {
                throw ContractError(
                    "existing collection [\(old.name)] missing in the proposed collection configuration"
                )
            }
            guard new.blockToLive == old.blockToLive else {
                throw ContractError(
                    """
                    the BlockToLive in an existing collection [\(old.name)] modified. \
                    Existing value [\(old.blockToLive)]
                    """
                )
            }
        }
    }
}
