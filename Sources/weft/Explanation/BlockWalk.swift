import Channel
import Cryptography
import FabricProtos
import Foundation
import Ledger

/// A key of a channel's state, in public or, as a hash, in a private collection.
///
/// Everything is bytes, since Swift's `String` takes names for equal that differ in Unicode normalization.
struct StateKey: Hashable, Sendable {
    var namespace: Data
    var collection: Data?
    /// The key's bytes; in a collection SHA-256 of them.
    var key: Data

    init(_ namespace: String, _ key: String) {
        self.namespace = Data(namespace.utf8)
        self.key = Data(key.utf8)
    }

    init(_ namespace: String, _ collection: String, hash: Data) {
        self.namespace = Data(namespace.utf8)
        self.collection = Data(collection.utf8)
        self.key = hash
    }

    /// The key for people; private ones by their hash, which is all that is known of them.
    var text: String {
        guard self.collection != nil else { return KeyText.key(String(decoding: self.key, as: UTF8.self)) }
        return "with the hash \(self.key.hexadecimal)"
    }

    /// Where the key is: a contract's name, with that of the collection.
    var place: String {
        let namespace = String(decoding: self.namespace, as: UTF8.self)
        guard let collection else { return namespace }
        return "\(namespace), collection \(String(decoding: collection, as: UTF8.self))"
    }

    var json: [(String, JSONValue)] {
        let collection = self.collection.map { JSONValue.string(String(decoding: $0, as: UTF8.self)) }
        return [
            ("namespace", .string(String(decoding: self.namespace, as: UTF8.self))),
            ("collection", collection ?? .null),
            (self.collection == nil ? "key" : "keyHash", .string(self.rawText)),
        ]
    }

    private var rawText: String {
        self.collection == nil ? String(decoding: self.key, as: UTF8.self) : self.key.hexadecimal
    }
}

/// What a transaction did to a key.
enum KeyChange: Equatable, Sendable {
    case value
    case removal
    /// Only the key's metadata was written: its endorsement policy, `nil` if the metadata holds none.
    case metadata(policy: Data?)
}

/// A transaction that takes part in an explanation.
struct TransactionPlace: Equatable, Sendable {
    var version: Version
    var id: String
    var contract = ""
    var creator = ""

    var text: String {
        let who = self.creator.isEmpty ? "" : " by \(self.creator)"
        let what = self.contract.isEmpty ? "" : ", a call of \(self.contract)\(who)"
        return
            "transaction \(self.id) (block \(self.version.block), position \(self.version.transaction)\(what))"
    }

    var json: JSONValue {
        .object([
            "transaction": .string(self.id), "block": .unsigned(self.version.block),
            "index": .unsigned(self.version.transaction), "contract": .string(self.contract),
            "creator": .string(self.creator),
        ])
    }
}

/// One transaction of a block and what it changed, with the policy that it gave to keys together with a value.
struct WrittenTransaction: Sendable {
    var place: TransactionPlace
    var code: Protos_TxValidationCode
    var changes: [(key: StateKey, change: KeyChange)]
    /// Metadata that is written beside a value: by key, the endorsement policy or `nil`.
    var policies: [StateKey: Data?]
    /// The definition of a contract that it commits.
    var definition: Lifecycle_CommitChaincodeDefinitionArgs?
}

extension Common_Block {
    /// The endorser transactions of the block whose code is one of `codes`, the last one first.
    ///
    /// - Parameters:
    ///   - end: Only transactions before this position; `nil` for all.
    ///   - codes: The codes wanted.
    /// - Returns: What they wrote, whether it took effect or not.
    func writes(
        before end: Int? = nil,
        judged codes: Set<Protos_TxValidationCode> = [.valid]
    ) -> [WrittenTransaction] {
        let stored = BlockSummary(self).codes
        var found: [WrittenTransaction] = []
        for (index, envelope) in self.data.data.enumerated().prefix(end ?? self.data.data.count).reversed() {
            guard stored.indices.contains(index), codes.contains(stored[index]),
                let decoded = try? DecodedTransaction.decode(envelope),
                case .success(.endorser(let body)) = decoded.body
            else { continue }
            let place = TransactionPlace(
                version: Version(block: self.header.number, transaction: UInt64(index)),
                id: decoded.transactionID,
                contract: body.chaincode,
                creator: TransactionPicture.name(of: decoded.headers.signature.creator)
            )
            found.append(WrittenTransaction(place, stored[index], body))
        }
        return found
    }
}

extension WrittenTransaction {
    /// The metadata entry that holds a key's endorsement policy.
    private static let policyEntry = "VALIDATION_PARAMETER"
    private static let emptyHash = Digest.sha256(Data())

    init(_ place: TransactionPlace, _ code: Protos_TxValidationCode, _ body: EndorserTransaction) {
        self.place = place
        self.code = code
        self.definition = body.committedDefinition
        self.changes = []
        self.policies = [:]
        for namespace in body.readWriteSet.namespaces {
            var metadata: [StateKey: Data?] = [:]
            for write in namespace.kv.metadataWrites {
                metadata[StateKey(namespace.name, write.key)] = .some(Self.policy(write.entries))
            }
            for write in namespace.kv.writes {
                let isRemoval = write.isDelete || write.value.isEmpty
                self.add(StateKey(namespace.name, write.key), isRemoval, &metadata)
            }
            for collection in namespace.collections {
                for write in collection.hashed.metadataWrites {
                    let key = StateKey(namespace.name, collection.name, hash: write.keyHash)
                    metadata[key] = .some(Self.policy(write.entries))
                }
                for write in collection.hashed.hashedWrites {
                    let isRemoval =
                        write.isDelete || write.valueHash.isEmpty || write.valueHash == Self.emptyHash
                    let key = StateKey(namespace.name, collection.name, hash: write.keyHash)
                    self.add(key, isRemoval, &metadata)
                }
            }
            for (key, policy) in metadata { self.changes.append((key, .metadata(policy: policy))) }
        }
    }

    private mutating func add(_ key: StateKey, _ isRemoval: Bool, _ metadata: inout [StateKey: Data?]) {
        self.changes.append((key, isRemoval ? .removal : .value))
        if let policy = metadata.removeValue(forKey: key), !isRemoval { self.policies[key] = policy }
    }

    private static func policy(_ entries: [Kvrwset_KVMetadataEntry]) -> Data? {
        let entry = entries.first { $0.name.utf8.elementsEqual(Self.policyEntry.utf8) }
        return entry.flatMap { $0.value.isEmpty ? nil : $0.value }
    }
}

/// Goes through a chain from a transaction towards its beginning, some blocks at a time.
struct BlockWalk {
    let source: any ChainSource
    /// How many blocks before the transaction's own are looked at.
    let depth: UInt64

    /// The largest number of blocks that are read at once.
    private static let batch: UInt64 = 16

    /// Gives each transaction before `place` whose code is `VALID` to `take`, the newest first.
    ///
    /// - Parameters:
    ///   - block: The transaction's own block.
    ///   - index: Its position there.
    ///   - take: Takes the transactions of one block; returns whether to go on.
    /// - Returns: The number of the oldest block that was looked at.
    /// - Throws: What the source and `take` throw.
    @discardableResult
    func run(
        from block: Common_Block,
        before index: Int,
        _ take: (_ block: BlockNumber, [WrittenTransaction]) throws -> Bool
    ) async throws -> BlockNumber {
        let start = block.header.number
        guard try take(start, block.writes(before: index)), start > 0 else { return start }
        let last = start > self.depth ? start - self.depth : 0
        var next = start - 1
        var count: UInt64 = 1
        while next >= last {
            let first = next - last >= count ? next - count + 1 : last
            for block in try await self.source.blocks(first...next).reversed() {
                guard try take(block.header.number, block.writes()) else { return block.header.number }
            }
            guard first > last else { break }
            next = first - 1
            count = min(count * 2, Self.batch)
        }
        return last
    }
}
