package import Channel
internal import FabricProtos
internal import Foundation

/// Decides which transactions of a block are valid, as far as that doesn't depend on the values they read.
///
/// The answer depends on nothing but the prepared transactions, the configuration in force and the committed
/// state before the block, so all peers agree on it. What transactions read (MVCC and phantom reads) is
/// checked by the ledger afterwards.
///
/// - Source: Fabric v3, packages `core/committer/txvalidator/v20` and `core/handlers/validation/builtin/v20`.
package struct BlockValidator<State: ValidationState> {
    private let configuration: ChannelConfiguration
    private let state: State
    private var rules: NamespaceRulesCache
    private var changedKeys: Set<ChangedKey> = []

    /// A key whose metadata an earlier transaction of the block writes: everything as bytes, since Swift's
    /// `String` takes names for equal that differ in Unicode normalization.
    private struct ChangedKey: Hashable {
        var namespace: Data
        var collection: Data?
        var key: Data

        init(_ key: WrittenKey, in namespace: String) {
            self.namespace = Data(namespace.utf8)
            switch key {
            case .plain(let key):
                self.key = Data(key.utf8)
            case .hashed(let hash, let collection):
                self.key = hash
                self.collection = Data(collection.utf8)
            }
        }
    }

    /// Judges `transactions`, which make up one block.
    ///
    /// - Throws: ``ValidationHalted`` where no verdict is possible, or the error of the state underneath.
    /// - Returns: a verdict for each transaction, in order.
    package static func verdicts(
        on transactions: [PreparedTransaction],
        configuration: ChannelConfiguration,
        state: State,
        rules: inout NamespaceRulesCache
    ) throws -> [TransactionVerdict] {
        var validator = Self(configuration: configuration, state: state, rules: rules)
        defer { rules = validator.rules }
        var verdicts: [TransactionVerdict] = []
        verdicts.reserveCapacity(transactions.count)
        for transaction in transactions {
            verdicts.append(try validator.verdict(on: transaction))
        }
        Self.markDuplicates(of: transactions, in: &verdicts)
        return verdicts
    }

    private init(configuration: ChannelConfiguration, state: State, rules: NamespaceRulesCache) {
        self.configuration = configuration
        self.state = state
        self.rules = rules
    }

    /// One transaction, in the order in which peers check: the first rule that is broken gives the code.
    private mutating func verdict(on transaction: PreparedTransaction) throws -> TransactionVerdict {
        let decoded: DecodedTransaction
        switch transaction.decoded {
        case .success(let success): decoded = success
        case .failure(let invalid): return TransactionVerdict(invalid)
        }
        if let refusal = transaction.creatorRefusal {
            return TransactionVerdict(.badCreatorSignature, refusal)
        }
        if case .failure(let failure) = decoded.body, failure.precedesDuplicateCheck {
            return TransactionVerdict(failure.invalid)
        }
        if case .success(.config) = decoded.body { return .valid }
        if try self.state.containsTransaction(decoded.transactionID) {
            return TransactionVerdict(
                .duplicateTxid,
                "transaction \(decoded.transactionID) is already in the ledger"
            )
        }
        switch decoded.body {
        case .failure(let failure):
            return TransactionVerdict(failure.invalid)
        case .success(.config):
            return .valid
        case .success(.endorser(let body)):
            return try self.endorsementVerdict(on: body, prepared: transaction)
        }
    }

    /// The later ones of valid transactions that share an identifier are duplicates.
    private static func markDuplicates(
        of transactions: [PreparedTransaction],
        in verdicts: inout [TransactionVerdict]
    ) {
        var seen = Set<String>()
        for (index, transaction) in transactions.enumerated() where verdicts[index].isValid {
            guard case .success(let decoded) = transaction.decoded, !decoded.transactionID.isEmpty else {
                continue
            }
            if !seen.insert(decoded.transactionID).inserted {
                verdicts[index] = TransactionVerdict(
                    .duplicateTxid,
                    "transaction \(decoded.transactionID) occurs earlier in the same block"
                )
            }
        }
    }
}

extension TransactionVerdict {
    init(_ invalid: InvalidTransaction) {
        self.init(invalid.code, invalid.reason)
    }
}

// MARK: - Endorsement policies

extension BlockValidator {
    /// Checks the policies of every namespace that the transaction writes to, and of the invoked chaincode
    /// even if it writes nothing.
    private mutating func endorsementVerdict(
        on transaction: EndorserTransaction,
        prepared: PreparedTransaction
    ) throws -> TransactionVerdict {
        let namespaces = transaction.namespacesToEndorse
        for namespace in namespaces {
            let rules = try self.rules.rules(
                of: namespace.name,
                configuration: self.configuration,
                state: self.state
            )
            guard let rules else {
                return TransactionVerdict(
                    .invalidChaincode,
                    "no chaincode \(namespace.name.prefix(80)) is defined on the channel"
                )
            }
            if let failure = try self.failure(of: prepared.endorsers, in: namespace, rules: rules) {
                return TransactionVerdict(
                    .endorsementPolicyFailure,
                    ([failure] + prepared.rejectedEndorsements.map { "\($0)" }).joined(separator: "; ")
                )
            }
        }
        for namespace in namespaces { self.noteChangedKeys(in: namespace) }
        return .valid
    }

    /// Why `endorsers` may not write what they write to one namespace, `nil` if they may.
    private mutating func failure(
        of endorsers: [Identity],
        in namespace: TransactionReadWriteSet.Namespace,
        rules: NamespaceRules
    ) throws -> String? {
        var checks = KeyChecks(endorsers: endorsers, namespace: namespace.name, fallback: rules.chaincode)
        for key in namespace.writtenKeys {
            if let failure = try self.failure(key, &checks) { return failure }
        }
        for collection in namespace.collections where collection.hasWrites {
            checks.use(rules.rule(forCollection: collection.name))
            for key in collection.writtenKeys {
                if let failure = try self.failure(key, &checks) { return failure }
            }
        }
        guard !checks.hasChecked else { return nil }
        return rules.chaincode.failure(of: endorsers, configuration: self.configuration)
    }

    /// What has been checked of one namespace of one transaction.
    private struct KeyChecks {
        let endorsers: [Identity]
        let namespace: String
        /// The policy for keys that have none of their own; it is asked once.
        private(set) var fallback: EndorsementRule
        var isFallbackMet = false
        var hasChecked = false

        init(endorsers: [Identity], namespace: String, fallback: EndorsementRule) {
            self.endorsers = endorsers
            self.namespace = namespace
            self.fallback = fallback
        }

        mutating func use(_ rule: EndorsementRule) {
            self.fallback = rule
            self.isFallbackMet = false
        }
    }

    /// Why one key may not be written, `nil` if it may.
    private mutating func failure(_ key: WrittenKey, _ checks: inout KeyChecks) throws -> String? {
        if !self.changedKeys.isEmpty, self.changedKeys.contains(ChangedKey(key, in: checks.namespace)) {
            return "an earlier transaction of the block changes the policy of a key in \(checks.namespace)"
        }
        checks.hasChecked = true
        if let policy = try self.state.keyPolicy(of: key, in: checks.namespace) {
            return self.rules.keyPolicy(policy, configuration: self.configuration)
                .failure(of: checks.endorsers, configuration: self.configuration)
        }
        if checks.isFallbackMet { return nil }
        if let failure = checks.fallback.failure(of: checks.endorsers, configuration: self.configuration) {
            return failure
        }
        checks.isFallbackMet = true
        return nil
    }

    private mutating func noteChangedKeys(in namespace: TransactionReadWriteSet.Namespace) {
        for write in namespace.kv.metadataWrites {
            self.changedKeys.insert(ChangedKey(.plain(write.key), in: namespace.name))
        }
        for collection in namespace.collections {
            for write in collection.hashed.metadataWrites {
                self.changedKeys.insert(
                    ChangedKey(.hashed(write.keyHash, collection: collection.name), in: namespace.name)
                )
            }
        }
    }
}

extension EndorserTransaction {
    /// The namespaces whose policies have to be met: the invoked chaincode's, even if it writes nothing, then all others
    /// that the transaction writes to.
    var namespacesToEndorse: [TransactionReadWriteSet.Namespace] {
        let namespaces = self.readWriteSet.namespaces
        let isInvoked = { (namespace: TransactionReadWriteSet.Namespace) in
            namespace.name.utf8.elementsEqual(self.chaincode.utf8)
        }
        let invoked =
            namespaces.first(where: isInvoked)
            ?? TransactionReadWriteSet.Namespace(name: self.chaincode, kv: Kvrwset_KVRWSet())
        return [invoked] + namespaces.filter { $0.hasWrites && !isInvoked($0) }
    }
}

extension TransactionReadWriteSet.Namespace {
    fileprivate var hasWrites: Bool {
        !self.kv.writes.isEmpty || !self.kv.metadataWrites.isEmpty
            || self.collections.contains(where: \.hasWrites)
    }

    /// The public keys that are written, then those whose metadata is.
    var writtenKeys: [WrittenKey] {
        self.kv.writes.map { .plain($0.key) } + self.kv.metadataWrites.map { .plain($0.key) }
    }
}

extension TransactionReadWriteSet.Collection {
    var hasWrites: Bool {
        !self.hashed.hashedWrites.isEmpty || !self.hashed.metadataWrites.isEmpty
    }

    /// The hashes of the keys that are written, then of those whose metadata is.
    var writtenKeys: [WrittenKey] {
        (self.hashed.hashedWrites.map(\.keyHash) + self.hashed.metadataWrites.map(\.keyHash))
            .map { WrittenKey.hashed($0, collection: self.name) }
    }
}
