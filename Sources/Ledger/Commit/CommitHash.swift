internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation

/// The hash by which peers can tell that their states agree: a chain over the verdicts and updates of every block.
///
/// H(n) = SHA-256( uvarint(count of flags) ‖ flags ‖ updates ‖ H(n−1) ), from block 1 on; the genesis block has none.
///
/// - Source: Fabric v3.1, package `core/ledger/kvledger`, commit hash.
enum CommitHash {
    static func next(flags: Data, updates: [OrderedUpdates], after previous: Data) -> Data {
        var head = Bytes()
        head.appendVarint(UInt64(flags.count))
        return Digest.sha256(Data(head), flags, Self.encode(updates), previous)
    }

    /// The updates as the message `ledger.Updates`.
    ///
    /// Namespace and collection are set on the first write of each only; metadata is not covered. The channel's
    /// configuration, in the namespace without a name, is left out.
    static func encode(_ updates: [OrderedUpdates]) -> Data {
        var message = WireMessage(capacity: 4096)
        for namespace in updates where !namespace.namespace.isEmpty {
            var name = namespace.namespace
            for entry in namespace.keys {
                message.message(1, self.write(name, [], entry))
                name = []
            }
            for collection in namespace.collections {
                var collectionName = collection.name
                for entry in collection.keys {
                    message.message(1, self.write(name, collectionName, entry))
                    name = []
                    collectionName = []
                }
            }
        }
        return Data(message.bytes)
    }

    private static func write(_ namespace: Bytes, _ collection: Bytes, _ entry: OrderedUpdates.Entry) -> Bytes
    {
        var version = Bytes()
        version.appendOrderPreserving(entry.value.version.block)
        version.appendOrderPreserving(entry.value.version.transaction)
        var message = WireMessage(capacity: 96 + (entry.value.value?.count ?? 0))
        message.field(1, namespace)
        message.field(2, collection)
        message.field(3, entry.key)
        message.field(4, entry.value.value == nil)
        if let value = entry.value.value { message.field(5, value) }
        message.field(6, version)
        return message.bytes
    }
}
