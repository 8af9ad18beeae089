internal import FabricProtos
public import Foundation
internal import SwiftProtobuf

/// State that every peer of the channel holds.
public enum PublicScope: Sendable {}
/// State that the peers of a collection hold, with its hashes on all others.
public enum PrivateScope: Sendable {}

/// The contract's public keys and values.
public typealias WorldState = KeyValueState<PublicScope>
/// The keys and values of a private collection.
///
/// A value reaches the contract best in the transient data of the call: arguments are seen by everybody.
public typealias PrivateState = KeyValueState<PrivateScope>

/// Keys and values of the contract, as they were committed before this transaction.
///
/// What the transaction itself writes is not seen by its reads; it takes effect once the transaction is committed and
/// found valid. What it reads is noted: if another transaction changes it first, this one becomes invalid.
///
/// Texts and bytes are stored as they are, other values as JSON.
///
/// - Source: Fabric v3.1, `fabric-chaincode-go/shim`, interface `ChaincodeStubInterface`.
public struct KeyValueState<Scope>: Sendable {
    let session: TransactionSession
    /// The collection's name; empty for public state.
    let collection: String

    // MARK: Reading

    /// The value of `key`; `nil` if there is none.
    public func get(_ key: String) async throws -> Data? {
        let request = Protos_GetState.with {
            $0.key = key
            $0.collection = self.collection
        }
        let value = try await self.session.ask(.getState, request)
        return value.isEmpty ? nil : value
    }

    /// The value of `key` as something that was put as such; `nil` if there is none.
    public func get<Value: Decodable>(_ key: String, as type: Value.Type) async throws -> Value? {
        try await self.get(key).map { try StateRow(key: key, value: $0).decoded(as: type) }
    }

    /// The values of `keys`, in their order: at once, where the peer can do that.
    public func get(_ keys: [String]) async throws -> [Data?] {
        let limit = self.session.batchedKeys
        guard limit > 0 else {
            var values: [Data?] = []
            for key in keys { values.append(try await self.get(key)) }
            return values
        }
        var values: [Data?] = []
        for start in stride(from: 0, to: keys.count, by: limit) {
            let batch = Array(keys[start..<min(start + limit, keys.count)])
            let request = Protos_GetStateMultiple.with {
                $0.keys = batch
                $0.collection = self.collection
            }
            let reply: Protos_GetStateMultipleResult = try await self.session.ask(.getStateMultiple, request)
            guard reply.values.count == batch.count else {
                throw PeerRefusal(description: "\(reply.values.count) values came for \(batch.count) keys")
            }
            values += reply.values.map { $0.isEmpty ? nil : $0 }
        }
        return values
    }

    /// The rows from `start` up to, not including, `end`; without bounds, all plain keys.
    public func rows(from start: String = "", to end: String = "") -> StateRows {
        self.rows(start: start.isEmpty ? "\u{1}" : start, end: end, check: [start, end])
    }

    /// The rows whose composite key begins with the parts of `prefix`.
    public func rows(_ prefix: CompositeKey) -> StateRows {
        self.rows(start: prefix.text, end: prefix.end, check: [])
    }

    /// The rows from one composite key up to, not including, another one.
    public func rows(from start: CompositeKey, to end: CompositeKey) -> StateRows {
        self.rows(start: start.text, end: end.text, check: [])
    }

    private func rows(start: String, end: String, check: [String]) -> StateRows {
        StateRows(
            begin: {
                for key in check where key.unicodeScalars.first == "\u{0}" {
                    throw ContractError("a range of plain keys can't begin or end at a composite key")
                }
                let request = Protos_GetStateByRange.with {
                    $0.startKey = start
                    $0.endKey = end
                    $0.collection = self.collection
                }
                return try .init(rows: try await self.session.ask(.getStateByRange, request))
            },
            next: { try .init(rows: try await self.session.more($0)) }
        )
    }

    // MARK: Writing

    /// Writes a value; other types than texts and bytes as JSON.
    ///
    /// - Throws: ``ContractError`` if the value is empty, which the ledger takes for a deletion.
    public func put(_ key: String, _ value: some Encodable) async throws {
        try await self.put(key, bytes: ContractValue.encode(value))
    }

    func put(_ key: String, bytes: Data) async throws {
        guard !key.isEmpty else { throw ContractError("a key must not be empty") }
        guard !bytes.isEmpty else {
            throw ContractError(
                "the value of key \"\(key.printableKey)\" is empty, which the ledger takes for a deletion; "
                    + "delete the key if that is meant"
            )
        }
        let request = Protos_PutState.with {
            $0.key = key
            $0.value = bytes
            $0.collection = self.collection
        }
        _ = try await self.session.ask(.putState, request)
    }

    /// Deletes a key; it need not be there.
    public func delete(_ key: String) async throws {
        _ = try await self.session.ask(.delState, self.deletion(of: key))
    }

    fileprivate func deletion(of key: String) -> Protos_DelState {
        .with {
            $0.key = key
            $0.collection = self.collection
        }
    }

    // MARK: Endorsement of single keys

    private static var policyName: String { "VALIDATION_PARAMETER" }

    /// The key's own endorsement policy; `nil` if it has none.
    public func endorsementPolicy(of key: String) async throws -> EndorsementPolicy? {
        let request = Protos_GetStateMetadata.with {
            $0.key = key
            $0.collection = self.collection
        }
        let reply: Protos_StateMetadataResult = try await self.session.ask(.getStateMetadata, request)
        guard let entry = reply.entries.first(where: { $0.metakey == Self.policyName }), !entry.value.isEmpty
        else { return nil }
        return EndorsementPolicy(serialized: entry.value)
    }

    /// Says who must endorse the next change of `key`; `nil`: whoever must endorse the contract's other keys.
    ///
    /// The change of the policy must itself be endorsed as the policy before it asks.
    public func setEndorsementPolicy(of key: String, _ policy: EndorsementPolicy?) async throws {
        let request = Protos_PutStateMetadata.with {
            $0.key = key
            $0.collection = self.collection
            $0.metadata.metakey = Self.policyName
            $0.metadata.value = policy?.serialized ?? Data()
        }
        _ = try await self.session.ask(.putStateMetadata, request)
    }
}

extension KeyValueState where Scope == PublicScope {
    /// Up to `size` rows from `start`, or from a page's bookmark on.
    ///
    /// For transactions that only read.
    public func page(
        from start: String = "",
        to end: String = "",
        size: Int,
        bookmark: String = ""
    ) async throws -> StatePage {
        for key in [start, end] where key.unicodeScalars.first == "\u{0}" {
            throw ContractError("a range of plain keys can't begin or end at a composite key")
        }
        return try await self.page(start: start.isEmpty ? "\u{1}" : start, end: end, size, bookmark)
    }

    /// Up to `size` rows whose composite key begins with the parts of `prefix`.
    ///
    /// For transactions that only read.
    public func page(
        _ prefix: CompositeKey,
        size: Int,
        bookmark: String = ""
    ) async throws -> StatePage {
        try await self.page(start: prefix.text, end: prefix.end, size, bookmark)
    }

    private func page(start: String, end: String, _ size: Int, _ bookmark: String) async throws -> StatePage {
        guard size > 0, let pageSize = Int32(exactly: size) else {
            throw ContractError("a page has at least 1 row; \(size) were asked for")
        }
        let request = try Protos_GetStateByRange.with {
            $0.startKey = start
            $0.endKey = end
            $0.metadata = try Protos_QueryMetadata.with {
                $0.pageSize = pageSize
                $0.bookmark = bookmark
            }.serializedBytes()
        }
        let response: Protos_QueryResponse = try await self.session.ask(.getStateByRange, request)
        let metadata = try Protos_QueryResponseMetadata(serializedBytes: response.metadata)
        return StatePage(rows: try StateRows.Batch(rows: response).elements, bookmark: metadata.bookmark)
    }

    /// Every change of `key`, newest first.
    ///
    /// What is read here is not noted: the transaction stays valid if the history grows.
    public func history(of key: String) -> KeyHistory {
        KeyHistory(
            begin: {
                let request = Protos_GetHistoryForKey.with { $0.key = key }
                return try .init(changes: try await self.session.ask(.getHistoryForKey, request))
            },
            next: { try .init(changes: try await self.session.more($0)) }
        )
    }
}

extension KeyValueState where Scope == PrivateScope {
    /// SHA-256 of the key's value, which every peer knows; `nil` if there is none.
    public func hash(of key: String) async throws -> Data? {
        let request = Protos_GetState.with {
            $0.key = key
            $0.collection = self.collection
        }
        let hash = try await self.session.ask(.getPrivateDataHash, request)
        return hash.isEmpty ? nil : hash
    }

    /// Deletes a key and, once committed, all earlier values of it from the disks of every peer.
    public func purge(_ key: String) async throws {
        _ = try await self.session.ask(.purgePrivateData, self.deletion(of: key))
    }
}

extension LedgerSequence.Batch where Element == StateRow {
    init(rows response: Protos_QueryResponse) throws {
        self.elements = try response.results.map { result in
            let row = try Queryresult_KV(serializedBytes: result.resultBytes)
            return StateRow(key: row.key, value: row.value)
        }
        self.continuation = response.hasMore_p ? response.id : nil
    }
}

extension LedgerSequence.Batch where Element == HistoryEntry {
    init(changes response: Protos_QueryResponse) throws {
        self.elements = try response.results.map { result in
            let change = try Queryresult_KeyModification(serializedBytes: result.resultBytes)
            return HistoryEntry(
                transactionID: change.txID,
                timestamp: change.timestamp.date,
                value: change.isDelete ? nil : change.value
            )
        }
        self.continuation = response.hasMore_p ? response.id : nil
    }
}
