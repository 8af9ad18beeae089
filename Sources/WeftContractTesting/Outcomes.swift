internal import Channel
internal import FabricProtos
public import Foundation
internal import WeftContract

/// What is wrong with a test's set-up.
public struct HarnessError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var description: String

    init(_ description: String) { self.description = description }
}

/// A peer did not endorse a transaction.
public struct TransactionRefused: Error, Equatable, Sendable, CustomStringConvertible {
    /// The contract's status; 500 if the peer refused.
    public var status: Int
    /// The contract's text, or the peer's.
    public var message: String
    /// The organization whose peer refused.
    public var organization: String

    /// All of it.
    public var description: String {
        "the peer of \(self.organization) answered \(self.status): \(self.message)"
    }
}

/// Peers came to different results: the contract is not deterministic, or one of them lacks private data.
public struct EndorsementsDiffer: Error, Equatable, Sendable, CustomStringConvertible {
    /// The organizations whose results differ.
    public var organizations: [String]

    /// What to look for.
    public var description: String {
        "the peers of \(self.organizations.joined(separator: " and ")) came to different results; a contract must not "
            + "depend on time, random numbers, the order of a Set or Dictionary, or anything outside the ledger"
    }
}

/// A transaction is in a block, and has no effect.
public struct TransactionInvalid: Error, Sendable, CustomStringConvertible {
    /// What became of it.
    public var outcome: TransactionOutcome

    /// The code, and what it clashed with.
    public var description: String {
        let reasons = self.outcome.conflicts.map(\.description) + [self.outcome.reason].filter { !$0.isEmpty }
        return ([self.outcome.code] + reasons).joined(separator: ": ")
    }
}

/// What a contract answered.
public struct CallResult: Equatable, Sendable {
    /// The transaction's identifier.
    public var transactionID: String
    /// The result's bytes; empty if the transaction has none.
    public var payload: Data
    /// The event that will be told once the transaction is committed.
    public var event: ContractEvent?

    /// The result as text.
    public var text: String { String(decoding: self.payload, as: UTF8.self) }

    /// The result as the type that the transaction returns.
    public func decoded<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        if let text = self.text as? Value { return text }
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(type, from: self.payload)
    }
}

/// An event of a contract.
public struct ContractEvent: Equatable, Sendable {
    /// The event's name.
    public var name: String
    /// What comes with it.
    public var payload: Data

    /// The payload as what the contract emitted.
    public func decoded<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        try CallResult(transactionID: "", payload: self.payload).decoded()
    }
}

/// A transaction that is endorsed and not committed yet.
public struct EndorsedTransaction: Sendable {
    /// What the contract answered.
    public let result: CallResult
    /// What the contract read and wrote, in the order of namespaces and keys.
    public let readWriteSet: [StateAccess]

    let envelope: Data
    let set: TransactionReadWriteSet
}

/// Something that a transaction read or wrote.
public struct StateAccess: Equatable, Sendable, CustomStringConvertible {
    /// What was done with the key.
    public enum Kind: Equatable, Sendable {
        /// Read, in the version that a block and a transaction in it wrote; `nil`: there was no value.
        case read(version: String?)
        /// A value was written.
        case write(Data)
        /// The key was deleted.
        case delete
        /// The key's own endorsement policy was set or removed.
        case policy
        /// A range of keys was read, up to, not including, this one.
        case range(to: String)
    }

    /// The chaincode whose state it is.
    public var contract: String
    /// The private collection; empty for public state.
    ///
    /// Of private data only hashes are known here.
    public var collection: String
    /// The key for people: composite keys with slashes, hashes of private keys in hexadecimal.
    public var key: String
    /// What was done with it.
    public var kind: Kind

    /// One line of a read-write set.
    public var description: String {
        let place =
            self.collection.isEmpty
            ? "\(self.contract) \(self.key)" : "\(self.contract)/\(self.collection) \(self.key)"
        return switch self.kind {
        case .read(let version): "read \(place) at \(version ?? "no version")"
        case .write(let value): "write \(place) = \(String(decoding: value.prefix(200), as: UTF8.self))"
        case .delete: "delete \(place)"
        case .policy: "policy of \(place)"
        case .range(let end): "range \(place) to \(end)"
        }
    }
}

/// Why a transaction lost against another one.
public struct Conflict: Equatable, Sendable, CustomStringConvertible {
    /// The chaincode whose state it is about.
    public var contract: String
    /// The private collection; empty for public state.
    public var collection: String
    /// The key, as in ``StateAccess/key``.
    public var key: String
    /// The transaction that changed the key first.
    public var winner: String?

    /// In words.
    public var description: String {
        let place = self.collection.isEmpty ? self.contract : "\(self.contract)/\(self.collection)"
        return
            "key \(self.key) of \(place) was changed by \(self.winner.map { "transaction \($0)" } ?? "another transaction") "
            + "after this one had read it"
    }
}

/// What became of a transaction that was ordered.
public struct TransactionOutcome: Equatable, Sendable {
    /// What the contract had answered.
    public var result: CallResult
    /// The number of its block.
    public var block: UInt64
    /// The validation code as Fabric names it, such as `VALID` or `MVCC_READ_CONFLICT`.
    public var code: String
    /// The keys that other transactions had changed meanwhile.
    public var conflicts: [Conflict]
    /// For other reasons than conflicts: which rule was broken by what.
    public var reason: String

    /// Whether the transaction has taken effect.
    public var isValid: Bool { self.code == "VALID" }
}
