internal import Foundation

/// What can identify an asset: a text, a number, or several of them.
public protocol AssetKey: Sendable {
    /// The parts of the key, from the most general to the most special.
    var parts: [String] { get }
}

extension String: AssetKey {
    /// The text itself.
    public var parts: [String] { [self] }
}

extension Int: AssetKey {
    /// The number; keys are in the order of texts, so 10 comes before 9.
    public var parts: [String] { [String(self)] }
}

/// A kind of asset that a contract keeps: values of one type, found by their key and by indexes.
///
/// ```swift
/// let assets = Assets<String, Asset>("asset", key: \.id).indexed("owner", by: \.owner)
///
/// let mine = assets.in(context).all(by: "owner", "alice")
/// ```
/// Stored under composite keys of the kind's name and the key; each index under keys of its own, which every change of
/// a value keeps in step.
public struct Assets<Key: AssetKey, Value: Codable & Sendable>: Sendable {
    /// The object type of the composite keys.
    public let name: String
    let key: @Sendable (Value) -> Key
    private(set) var indexes: [Index] = []

    /// Values that can be found by what they hold.
    struct Index: Sendable {
        var name: String
        var attributes: [@Sendable (Value) -> String]
    }

    /// A kind of asset.
    ///
    /// - Parameters:
    ///   - name: The object type of the composite keys, unique in the contract.
    ///   - key: What tells one from the other.
    public init(_ name: String, key: @escaping @Sendable (Value) -> Key) {
        self.name = name
        self.key = key
    }

    /// The same assets, which can also be found by `attributes`.
    ///
    /// An index that is added later knows only what was written since.
    public func indexed(_ name: String, by attributes: @Sendable (Value) -> String...) -> Self {
        var copy = self
        copy.indexes.append(Index(name: name, attributes: attributes))
        return copy
    }

    /// These assets in public state.
    public func `in`(_ context: TransactionContext) -> AssetTable<Key, Value, PublicScope> {
        AssetTable(assets: self, state: context.state)
    }

    /// These assets in a private collection.
    public func `in`(_ collection: PrivateState) -> AssetTable<Key, Value, PrivateScope> {
        AssetTable(assets: self, state: collection)
    }

    /// The key in the ledger of the asset with this key.
    ///
    /// - Throws: ``ContractError`` if the key has a part that composite keys can't have.
    public func stateKey(_ key: Key) throws -> String {
        try CompositeKey(self.name, key.parts).text
    }
}

/// The assets of one kind, for the time of a transaction.
///
/// Looking up a single asset shows what this transaction has written; lists show what was committed before it.
public struct AssetTable<Key: AssetKey, Value: Codable & Sendable, Scope>: Sendable {
    let assets: Assets<Key, Value>
    let state: KeyValueState<Scope>

    // MARK: Single assets

    /// The asset with this key; `nil` if there is none.
    public func find(_ key: Key) async throws -> Value? {
        let stateKey = try self.assets.stateKey(key)
        guard let bytes = try await self.bytes(stateKey) else { return nil }
        return try StateRow(key: stateKey, value: bytes).decoded()
    }

    /// The asset with this key.
    ///
    /// - Throws: ``ContractError`` with status 404 if there is none.
    public func get(_ key: Key) async throws -> Value {
        guard let value = try await self.find(key) else { throw self.missing(key) }
        return value
    }

    /// Whether there is an asset with this key.
    public func contains(_ key: Key) async throws -> Bool {
        try await self.bytes(self.assets.stateKey(key)) != nil
    }

    /// Adds an asset.
    ///
    /// - Throws: ``ContractError`` with status 409 if there is one with its key.
    public func create(_ value: Value) async throws {
        let key = self.assets.key(value)
        guard try await self.find(key) == nil else {
            throw ContractError(
                "\(self.assets.name) \(key.parts.joined(separator: "/")) exists already",
                status: 409
            )
        }
        try await self.write(value, replacing: nil)
    }

    /// Changes an asset.
    ///
    /// - Parameters:
    ///   - key: which one.
    ///   - change: gets the asset, to change everything but its key.
    /// - Returns: the asset as it is now.
    /// - Throws: ``ContractError`` with status 404 if there is none; what `change` throws.
    @discardableResult
    public func update(_ key: Key, _ change: (inout Value) throws -> Void) async throws -> Value {
        let old = try await self.get(key)
        var new = old
        try change(&new)
        guard self.assets.key(new).parts == key.parts else {
            throw ContractError(
                "the key of \(self.assets.name) \(key.parts.joined(separator: "/")) can't change; "
                    + "delete the one and create the other"
            )
        }
        try await self.write(new, replacing: old)
        return new
    }

    /// Adds an asset, or replaces the one that has its key.
    public func put(_ value: Value) async throws {
        try await self.write(value, replacing: self.find(self.assets.key(value)))
    }

    /// Deletes an asset.
    ///
    /// - Parameter key: which one.
    /// - Returns: the asset as it was.
    /// - Throws: ``ContractError`` with status 404 if there is none.
    @discardableResult
    public func delete(_ key: Key) async throws -> Value {
        let old = try await self.get(key)
        let stateKey = try self.assets.stateKey(key)
        try await self.state.delete(stateKey)
        self.state.session.noteWritten(self.state.collection, stateKey, nil)
        for index in self.assets.indexes { try await self.state.delete(self.indexKey(index, old)) }
        return old
    }

    // MARK: Lists

    /// All assets, in the order of their keys; with `prefix`, those whose keys begin with these parts.
    public func all(_ prefix: String...) -> AssetSequence<Value> {
        let name = self.assets.name
        let state = self.state
        return AssetSequence {
            state.rows(try CompositeKey(name, prefix))
        } value: { row in
            try row.decoded()
        }
    }

    /// The assets that an index has under these attributes, of which the last ones may be left out.
    public func all(by index: String, _ attributes: String...) -> AssetSequence<Value> {
        let (assets, state) = (self.assets, self.state)
        return AssetSequence {
            guard let found = assets.indexes.first(where: { $0.name == index }) else {
                let names = assets.indexes.map(\.name).joined(separator: ", ")
                throw ContractError("\(assets.name) has no index \(index); it has: \(names)")
            }
            guard attributes.count <= found.attributes.count else {
                throw ContractError(
                    "index \(index) of \(assets.name) has \(found.attributes.count) attributes"
                )
            }
            return state.rows(try CompositeKey(Self.indexName(assets, index), attributes))
        } value: { row in
            guard let count = assets.indexes.first(where: { $0.name == index })?.attributes.count,
                let parts = CompositeKey(parsing: row.key)?.attributes.dropFirst(count)
            else { return nil }
            // Read again: the index says which, not what.
            let key = try CompositeKey(assets.name, Array(parts)).text
            guard let bytes = try await state.get(key) else { return nil }
            return try StateRow(key: key, value: bytes).decoded()
        }
    }

    // MARK: Endorsement of single assets

    /// Says who must endorse the next change of an asset; `nil`: whoever must endorse the contract's other keys.
    ///
    /// Fits assets without indexes best: the index's rows stay under the contract's own policy.
    public func setEndorsementPolicy(of key: Key, _ policy: EndorsementPolicy?) async throws {
        try await self.state.setEndorsementPolicy(of: self.assets.stateKey(key), policy)
    }

    /// Who must endorse the next change of an asset; `nil` if it has no policy of its own.
    public func endorsementPolicy(of key: Key) async throws -> EndorsementPolicy? {
        try await self.state.endorsementPolicy(of: self.assets.stateKey(key))
    }

    private func missing(_ key: Key) -> ContractError {
        ContractError("there is no \(self.assets.name) \(key.parts.joined(separator: "/"))", status: 404)
    }

    private func bytes(_ stateKey: String) async throws -> Data? {
        if let written = self.state.session.written(self.state.collection, stateKey) { return written }
        return try await self.state.get(stateKey)
    }

    private func write(_ value: Value, replacing old: Value?) async throws {
        let stateKey = try self.assets.stateKey(self.assets.key(value))
        let bytes = try ContractValue.encode(value)
        try await self.state.put(stateKey, bytes: bytes)
        self.state.session.noteWritten(self.state.collection, stateKey, bytes)
        for index in self.assets.indexes {
            let new = try self.indexKey(index, value)
            if let old {
                let former = try self.indexKey(index, old)
                guard former != new else { continue }
                try await self.state.delete(former)
            }
            try await self.state.put(new, bytes: Data([0]))
        }
    }

    private static func indexName(_ assets: Assets<Key, Value>, _ index: String) -> String {
        "\(assets.name)~\(index)"
    }

    private func indexKey(_ index: Assets<Key, Value>.Index, _ value: Value) throws -> String {
        let attributes = index.attributes.map { $0(value) } + self.assets.key(value).parts
        return try CompositeKey(Self.indexName(self.assets, index.name), attributes).text
    }
}

/// Assets that are read one after the other.
public struct AssetSequence<Value: Sendable>: AsyncSequence, Sendable {
    /// An asset.
    public typealias Element = Value

    let rows: @Sendable () throws -> StateRows
    let value: @Sendable (StateRow) async throws -> Value?

    init(
        _ rows: @escaping @Sendable () throws -> StateRows,
        value: @escaping @Sendable (StateRow) async throws -> Value?
    ) {
        self.rows = rows
        self.value = value
    }

    /// Goes through the assets once.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let sequence: AssetSequence
        var rows: StateRows.AsyncIterator?

        /// The next asset; `nil` after the last.
        public mutating func next() async throws -> Value? {
            var rows = try self.rows ?? self.sequence.rows().makeAsyncIterator()
            defer { self.rows = rows }
            while let row = try await rows.next() {
                if let value = try await self.sequence.value(row) { return value }
            }
            return nil
        }
    }

    /// Asks the peer anew.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(sequence: self) }

    /// All of them.
    public func collected() async throws -> [Value] {
        var all: [Value] = []
        for try await value in self { all.append(value) }
        return all
    }
}
