import Foundation
import WeftContract

/// Does everything that a contract can ask of a peer, for the suite that contracts in every language pass
/// (`Tests/EndToEndTests/behaviour.py`), and `put` for benchmarks.
@main
struct BehaviourContract: Contract, ContractService {
    var transactions: [Transaction] {
        Submit("put", "key", "value", run: put)
        Submit("delete", "key", run: delete)
        Submit("increment", "key", run: increment)
        Submit("fill", "prefix", "count", run: fill)
        Submit("batch", "pairs", run: batch)
        Submit("composite", "kind", "attributes", run: composite)
        Evaluate("get", "key", run: get)
        Evaluate("many", "keys", run: many)
        Evaluate("range", "start", "end", run: range)
        Evaluate("page", "start", "end", "size", "bookmark", run: page)
        Evaluate("bookmark", "start", "end", "size", "bookmark", run: bookmark)
        Evaluate("history", "key", run: history)
        Evaluate("partial", "kind", "attributes", run: partial)
        Evaluate("who", run: who)
        Submit("refuse", "text", run: refuse)
        Submit("put_private", "collection", "key", run: putPrivate)
        Evaluate("get_private", "collection", "key", run: getPrivate)
        Evaluate("hash_private", "collection", "key", run: hashPrivate)
        Submit("purge_private", "collection", "key", run: purgePrivate)
        Submit("set_policy", "key", "policy", run: setPolicy)
        Evaluate("get_policy", "key", run: getPolicy)
        Submit("emit", "name", "payload", run: emit)
        Submit("call", "contract", "function", "key", "value", run: call)
    }

    // MARK: State

    func put(_ context: TransactionContext, key: String, value: Data) async throws {
        try await context.state.put(key, value)
    }

    func get(_ context: TransactionContext, key: String) async throws -> Data {
        try await context.state.get(key) ?? Data()
    }

    func delete(_ context: TransactionContext, key: String) async throws {
        try await context.state.delete(key)
    }

    func increment(_ context: TransactionContext, key: String) async throws -> Int {
        let value = (try await context.state.get(key, as: Int.self) ?? 0) + 1
        try await context.state.put(key, value)
        return value
    }

    func fill(_ context: TransactionContext, prefix: String, count: Int) async throws {
        for number in 0..<count {
            let digits = String(number)
            let zeros = String(repeating: "0", count: max(0, 5 - digits.count))
            try await context.state.put(prefix + zeros + digits, digits)
        }
    }

    func batch(_ context: TransactionContext, pairs: [[String]]) async throws {
        for pair in pairs {
            guard pair.count == 2 else { throw ContractError("\(pair) is no key and value", status: 400) }
            try await context.state.put(pair[0], pair[1])
        }
    }

    func many(_ context: TransactionContext, keys: [String]) async throws -> [String] {
        try await context.state.get(keys).map { String(decoding: $0 ?? Data(), as: UTF8.self) }
    }

    // MARK: Queries

    func range(_ context: TransactionContext, start: String, end: String) async throws -> [[String]] {
        try await context.state.rows(from: start, to: end).collected().map { row in
            [row.key, String(decoding: row.value, as: UTF8.self)]
        }
    }

    func page(_ context: TransactionContext, start: String, end: String, size: Int, bookmark: String)
        async throws -> [String]
    {
        try await context.state.page(from: start, to: end, size: size, bookmark: bookmark).rows.map(\.key)
    }

    func bookmark(_ context: TransactionContext, start: String, end: String, size: Int, bookmark: String)
        async throws -> String
    {
        try await context.state.page(from: start, to: end, size: size, bookmark: bookmark).bookmark
    }

    /// The values, newest first; `nil` where the key was deleted.
    func history(_ context: TransactionContext, key: String) async throws -> [String?] {
        try await context.state.history(of: key).collected().map { change in
            change.value.map { String(decoding: $0, as: UTF8.self) }
        }
    }

    func composite(_ context: TransactionContext, kind: String, attributes: [String]) async throws {
        try await context.state.put(CompositeKey(kind, attributes).text, "1")
    }

    func partial(_ context: TransactionContext, kind: String, attributes: [String]) async throws -> [[String]]
    {
        try await context.state.rows(CompositeKey(kind, attributes)).collected().compactMap { row in
            CompositeKey(parsing: row.key).map { [$0.objectType] + $0.attributes }
        }
    }

    // MARK: The transaction, and its end

    func who(_ context: TransactionContext) async throws -> [String] {
        [context.creator.mspID, context.channel, context.transactionID]
    }

    func refuse(_ context: TransactionContext, text: String) async throws {
        throw ContractError(text)
    }

    // MARK: Private data

    func putPrivate(_ context: TransactionContext, collection: String, key: String) async throws {
        try await context.privateData(collection).put(key, context.transient("value", as: Data.self))
    }

    func getPrivate(_ context: TransactionContext, collection: String, key: String) async throws -> Data {
        try await context.privateData(collection).get(key) ?? Data()
    }

    func hashPrivate(_ context: TransactionContext, collection: String, key: String) async throws -> Data {
        try await context.privateData(collection).hash(of: key) ?? Data()
    }

    func purgePrivate(_ context: TransactionContext, collection: String, key: String) async throws {
        try await context.privateData(collection).purge(key)
    }

    // MARK: Key-level endorsement, events, other contracts

    /// The policy is Fabric's message, in base64.
    func setPolicy(_ context: TransactionContext, key: String, policy: String) async throws {
        guard let bytes = Data(base64Encoded: policy) else {
            throw ContractError("the policy is no base64", status: 400)
        }
        try await context.state.setEndorsementPolicy(of: key, EndorsementPolicy(serialized: bytes))
    }

    func getPolicy(_ context: TransactionContext, key: String) async throws -> Data {
        try await context.state.endorsementPolicy(of: key)?.serialized ?? Data()
    }

    func emit(_ context: TransactionContext, name: String, payload: String) async throws {
        try await context.state.put("emitted", name)
        try context.emit(name, payload)
    }

    func call(
        _ context: TransactionContext,
        contract: String,
        function: String,
        key: String,
        value: String
    ) async throws -> Data {
        try await context.invoke(contract, function, key, value)
    }
}
