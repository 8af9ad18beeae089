package import Channel
internal import FabricProtos
internal import Foundation

/// The endorsement policies that a transaction has to meet, each with what its endorsements are good for: for people who
/// want to know why a verdict is what it is.
///
/// It asks the same rules as ``BlockValidator``, but goes on where one isn't met.
package struct EndorsementReview: Sendable {
    /// One policy, and the keys that it guards.
    package struct Part: Sendable {
        package var namespace: String
        /// What the policy belongs to, such as `chaincode kv`.
        package var subject: String
        /// The written keys for which it is asked; empty for a transaction that writes nothing.
        package var keys: [WrittenKey]
        /// `nil` if it can't be asked: see ``refusal``.
        package var policy: CompiledPolicy?
        /// Why nobody can meet it.
        package var refusal: String?
        package var isMet: Bool
    }

    package private(set) var parts: [Part] = []
    /// The endorsers whose signatures hold.
    package let endorsers: [Identity]
    /// The endorsements that don't count, and why.
    package let rejected: [RejectedSignature]
    private let configuration: ChannelConfiguration

    /// Reviews an endorser transaction.
    ///
    /// - Parameters:
    ///   - transaction: The transaction, with its signatures checked under `configuration`.
    ///   - body: Its decoded body.
    ///   - configuration: The configuration that was in force.
    ///   - state: The definitions and key-level policies that were in force.
    /// - Throws: ``ValidationHalted``, or the error of `state`.
    package init(
        _ transaction: PreparedTransaction,
        _ body: EndorserTransaction,
        configuration: ChannelConfiguration,
        state: some ValidationState
    ) throws {
        self.endorsers = transaction.endorsers
        self.rejected = transaction.rejectedEndorsements
        self.configuration = configuration
        var cache = NamespaceRulesCache()
        for namespace in body.namespacesToEndorse {
            let rules = try cache.rules(of: namespace.name, configuration: configuration, state: state)
            guard let rules else {
                self.add(
                    EndorsementRule(
                        subject: "chaincode \(namespace.name)",
                        refused: "no chaincode of that name is defined on the channel"
                    ),
                    namespace.name,
                    nil
                )
                continue
            }
            try self.review(namespace, rules, &cache, state)
        }
    }

    private mutating func review(
        _ namespace: TransactionReadWriteSet.Namespace,
        _ rules: NamespaceRules,
        _ cache: inout NamespaceRulesCache,
        _ state: some ValidationState
    ) throws {
        var hasKeys = false
        func rule(_ key: WrittenKey, otherwise fallback: EndorsementRule) throws -> EndorsementRule {
            guard let bytes = try state.keyPolicy(of: key, in: namespace.name) else { return fallback }
            return cache.keyPolicy(bytes, configuration: self.configuration)
        }
        for key in namespace.writtenKeys {
            hasKeys = true
            self.add(try rule(key, otherwise: rules.chaincode), namespace.name, key)
        }
        for collection in namespace.collections where collection.hasWrites {
            let fallback = rules.rule(forCollection: collection.name)
            for key in collection.writtenKeys {
                hasKeys = true
                self.add(try rule(key, otherwise: fallback), namespace.name, key)
            }
        }
        if !hasKeys { self.add(rules.chaincode, namespace.name, nil) }
    }

    /// Adds a key to the part of its policy, or a new part.
    ///
    /// Key-level policies are a part each, since two keys' policies may differ.
    private mutating func add(_ rule: EndorsementRule, _ namespace: String, _ key: WrittenKey?) {
        let keys = key.map { [$0] } ?? []
        let isShared = rule.subject != NamespaceRulesCache.keyPolicySubject
        if isShared,
            let index = self.parts.firstIndex(where: {
                $0.subject == rule.subject && $0.namespace == namespace
            })
        {
            self.parts[index].keys += keys
            return
        }
        let (policy, refusal) = rule.policy(under: self.configuration)
        self.parts.append(
            Part(
                namespace: namespace,
                subject: rule.subject,
                keys: keys,
                policy: policy,
                refusal: refusal,
                isMet: policy?.isSatisfied(by: self.endorsers) ?? false
            )
        )
    }

    /// Whether a part's policy is a key's own.
    package static func isKeyPolicy(_ part: Part) -> Bool {
        part.subject == NamespaceRulesCache.keyPolicySubject
    }

    /// The keys that a transaction writes, in the namespaces whose policies it has to meet.
    package static func writtenKeys(
        of body: EndorserTransaction
    ) -> [(namespace: String, key: WrittenKey)] {
        body.namespacesToEndorse.flatMap { namespace in
            (namespace.writtenKeys + namespace.collections.flatMap(\.writtenKeys)).map {
                (namespace.name, $0)
            }
        }
    }
}
