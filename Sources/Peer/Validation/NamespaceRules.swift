internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// A policy that endorsers have to meet, in the form in which it is asked.
struct EndorsementRule: Sendable {
    private enum Form: Sendable {
        case compiled(CompiledPolicy)
        case path(String)
        case refused(String)
    }

    /// What the policy belongs to, for the reason of a failure.
    let subject: String
    private let form: Form

    /// The policy at `path` in the channel's configuration.
    init(subject: String, path: String) {
        self.subject = subject
        self.form = .path(path)
    }

    /// A signature policy; one that is malformed is met by nobody.
    init(subject: String, policy: Common_SignaturePolicyEnvelope, directory: MembershipDirectory) {
        self.subject = subject
        do {
            self.form = .compiled(try CompiledPolicy(signaturePolicy: policy, directory: directory))
        } catch {
            self.form = .refused("the policy is malformed: \(error)")
        }
    }

    /// A serialized `SignaturePolicyEnvelope`, as key-level policies are stored.
    init(subject: String, signaturePolicy bytes: Data, directory: MembershipDirectory) {
        guard let policy = try? Common_SignaturePolicyEnvelope(policyBytes: bytes) else {
            self.init(subject: subject, refused: "the policy can't be decoded")
            return
        }
        self.init(subject: subject, policy: policy, directory: directory)
    }

    /// A serialized `ApplicationPolicy`, as chaincode definitions and collections hold it.
    init(subject: String, applicationPolicy bytes: Data, directory: MembershipDirectory) {
        guard let policy = try? Protos_ApplicationPolicy(policyBytes: bytes) else {
            self.init(subject: subject, refused: "the policy can't be decoded")
            return
        }
        self.init(subject: subject, policy: policy, directory: directory)
    }

    init(subject: String, policy: Protos_ApplicationPolicy, directory: MembershipDirectory) {
        switch policy.type {
        case .signaturePolicy(let policy):
            self.init(subject: subject, policy: policy, directory: directory)
        case .channelConfigPolicyReference(let path):
            self.init(subject: subject, path: path)
        case nil:
            self.init(subject: subject, refused: "the policy is of no known type")
        }
    }

    init(subject: String, refused reason: String) {
        self.subject = subject
        self.form = .refused(reason)
    }

    /// The policy itself; `nil`, with the reason, if it can't be met by anybody.
    func policy(under configuration: ChannelConfiguration) -> (policy: CompiledPolicy?, refusal: String?) {
        switch self.form {
        case .compiled(let policy): (policy, nil)
        case .path(let path):
            (
                configuration.policies.policy(at: path),
                configuration.policies.policy(at: path) == nil ? "the channel has no policy \(path)" : nil
            )
        case .refused(let reason): (nil, reason)
        }
    }

    /// Why `endorsers` don't meet the policy, `nil` if they do.
    func failure(of endorsers: [Identity], configuration: ChannelConfiguration) -> String? {
        do {
            switch self.form {
            case .compiled(let policy):
                try policy.evaluate(endorsers)
            case .path(let path):
                try configuration.policies.evaluate(path, identities: endorsers)
            case .refused(let reason):
                return "\(self.subject): \(reason)"
            }
            return nil
        } catch {
            return "\(self.subject): \(error)"
        }
    }
}

/// The endorsement policies of one namespace: its chaincode's and its collections'.
///
/// - Source: Fabric v3, packages `core/chaincode/lifecycle` and `core/common/validation/statebased`.
package struct NamespaceRules: Sendable {
    let name: String
    /// The policy of the chaincode, which holds wherever no key or collection has its own.
    let chaincode: EndorsementRule
    /// The collections of the definition, by the bytes of their names: Swift's `String` takes names for equal
    /// that differ in Unicode normalization.
    private let collections: [Data: Collection]
    private let configuration: ChannelConfiguration

    private struct Collection: Sendable {
        /// Its own endorsement policy, `nil` if it has none.
        var endorsement: EndorsementRule?
        /// Who may have its data.
        var members: EndorsementRule
    }

    /// The rules of a chaincode that `definition` defines.
    ///
    /// - Throws: ``ValidationHalted`` if it names a validation plugin that this peer doesn't have.
    init(
        _ name: String,
        definition: ChaincodeDefinition,
        configuration: ChannelConfiguration
    ) throws(ValidationHalted) {
        guard definition.validationPlugin == Self.builtInPlugin else {
            throw ValidationHalted(
                "chaincode \(name) wants validation plugin \"\(definition.validationPlugin)\", "
                    + "but only \"\(Self.builtInPlugin)\" is available; commit a definition that uses it"
            )
        }
        self.name = name
        self.configuration = configuration
        self.chaincode = EndorsementRule(
            subject: "chaincode \(name)",
            applicationPolicy: definition.validationParameter,
            directory: configuration.directory
        )
        var collections: [Data: Collection] = [:]
        for case .staticCollectionConfig(let collection)? in definition.collections.config.map(\.payload) {
            let subject = "collection \(collection.name) of chaincode \(name)"
            collections[Data(collection.name.utf8)] = Collection(
                endorsement: collection.hasEndorsementPolicy
                    ? EndorsementRule(
                        subject: subject,
                        policy: collection.endorsementPolicy,
                        directory: configuration.directory
                    ) : nil,
                members: EndorsementRule(
                    subject: "members of \(subject)",
                    policy: collection.memberOrgsPolicy.signaturePolicy,
                    directory: configuration.directory
                )
            )
        }
        self.collections = collections
    }

    /// The rules of the namespace `_lifecycle`, which the configuration defines.
    init(lifecycleUnder configuration: ChannelConfiguration) {
        self.name = ChaincodeName.lifecycle
        self.configuration = configuration
        self.collections = [:]
        let path = "/Channel/Application/LifecycleEndorsement"
        let subject = "namespace \(ChaincodeName.lifecycle)"
        if configuration.policies.policy(at: path) != nil {
            self.chaincode = EndorsementRule(subject: subject, path: path)
        } else {
            let organizations = configuration.application?.organizations ?? []
            self.chaincode = EndorsementRule(
                subject: subject,
                policy: .members(of: organizations.map(\.mspID), atLeast: organizations.count / 2 + 1),
                directory: configuration.directory
            )
        }
    }

    /// The one validation plugin there is.
    private static let builtInPlugin = "vscc"

    /// The policy that writes to `collection` have to meet, where its keys have none.
    func rule(forCollection collection: String) -> EndorsementRule {
        if let defined = self.collections[Data(collection.utf8)] {
            return defined.endorsement ?? self.chaincode
        }
        let subject = "collection \(collection) of chaincode \(self.name)"
        guard let owner = Self.owner(ofImplicitCollection: collection) else {
            return EndorsementRule(subject: subject, refused: "the collection is not defined")
        }
        let organizations = self.configuration.application?.organizations ?? []
        let organization = organizations.first { $0.mspID.description.utf8.elementsEqual(owner) }
        guard let organization else {
            return EndorsementRule(subject: subject, refused: "no organization of the channel owns it")
        }
        let path = "/Channel/Application/\(organization.name)/Endorsement"
        if self.configuration.policies.policy(at: path) != nil {
            return EndorsementRule(subject: subject, path: path)
        }
        return EndorsementRule(
            subject: subject,
            policy: .members(of: [organization.mspID], atLeast: 1),
            directory: self.configuration.directory
        )
    }

    /// Whether `identity` may have the data of `collection`.
    func isMember(_ identity: Identity, ofCollection collection: String) -> Bool {
        if let defined = self.collections[Data(collection.utf8)] {
            return defined.members.failure(of: [identity], configuration: self.configuration) == nil
        }
        return Self.owner(ofImplicitCollection: collection)?.elementsEqual(identity.mspID.description.utf8)
            == true
    }

    /// The MSP identifier in the name of an organization's implicit collection, `nil` for any other name.
    private static func owner(ofImplicitCollection collection: String) -> Substring.UTF8View? {
        let prefix = "_implicit_org_"
        guard collection.utf8.starts(with: prefix.utf8) else { return nil }
        return collection.utf8.dropFirst(prefix.utf8.count)
    }
}

extension Common_SignaturePolicyEnvelope {
    /// A policy that members of at least `count` of `organizations` meet together.
    static func members(of organizations: [MSPID], atLeast count: Int) -> Self {
        var policy = Self()
        policy.identities = organizations.map { organization in
            var role = Common_MSPRole()
            role.mspIdentifier = organization.description
            role.role = .member
            var principal = Common_MSPPrincipal()
            principal.principalClassification = .role
            principal.principal = (try? role.serializedData()) ?? Data()
            return principal
        }
        policy.rule.nOutOf.n = Int32(clamping: count)
        policy.rule.nOutOf.rules = organizations.indices.map { index in
            var rule = Common_SignaturePolicy()
            rule.signedBy = Int32(clamping: index)
            return rule
        }
        return policy
    }
}

/// The rules of the namespaces seen so far, compiled once.
///
/// They hold for one configuration and until a transaction writes to `_lifecycle`: see ``forget()``.
package struct NamespaceRulesCache: Sendable {
    private var rules: [Data: NamespaceRules] = [:]
    private var keyPolicies: [Data: EndorsementRule] = [:]
    private var configuration: ChannelConfiguration?

    /// What a key-level policy is called in messages.
    static let keyPolicySubject = "the key's own policy"

    /// Key-level policies that are kept compiled; when there are more, all are dropped and compiled again.
    private static let keyPolicyLimit = 1_000

    private static let lifecycle = Data(ChaincodeName.lifecycle.utf8)

    package init() {}

    /// Drops everything: a definition has changed.
    package mutating func forget() {
        self = Self()
    }

    /// The rules of `namespace`, `nil` if no chaincode of that name is defined.
    mutating func rules(
        of namespace: String,
        configuration: ChannelConfiguration,
        state: some ValidationState
    ) throws -> NamespaceRules? {
        self.use(configuration)
        let key = Data(namespace.utf8)
        if let known = self.rules[key] { return known }
        let rules: NamespaceRules
        if key == Self.lifecycle {
            rules = NamespaceRules(lifecycleUnder: configuration)
        } else {
            guard let definition = try state.definition(of: namespace) else { return nil }
            rules = try NamespaceRules(namespace, definition: definition, configuration: configuration)
        }
        self.rules[key] = rules
        return rules
    }

    /// The key-level policy that `bytes` hold.
    mutating func keyPolicy(_ bytes: Data, configuration: ChannelConfiguration) -> EndorsementRule {
        self.use(configuration)
        if let known = self.keyPolicies[bytes] { return known }
        if self.keyPolicies.count >= Self.keyPolicyLimit { self.keyPolicies = [:] }
        let rule = EndorsementRule(
            subject: Self.keyPolicySubject,
            signaturePolicy: bytes,
            directory: configuration.directory
        )
        self.keyPolicies[bytes] = rule
        return rule
    }

    private mutating func use(_ configuration: ChannelConfiguration) {
        if self.configuration === configuration { return }
        self.forget()
        self.configuration = configuration
    }
}
