internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// After how many blocks the private data of each collection expires, read from the contracts' definitions.
struct CollectionLifetimes {
    private static let lifecycle = Bytes(ChaincodeName.lifecycle.utf8)
    private var known: [Bytes: [Bytes: UInt64]] = [:]

    /// The block with whose commit something written in `block` expires; `nil` if it never does.
    ///
    /// The definition is the one in force before the block. Implicit collections, one for each organization, are in no
    /// definition and never expire.
    mutating func expiry(
        _ namespace: Bytes,
        _ collection: Bytes,
        writtenIn block: BlockNumber,
        _ reader: StateReader
    ) throws -> BlockNumber? {
        let lifetimes: [Bytes: UInt64]
        if let found = self.known[namespace] {
            lifetimes = found
        } else {
            lifetimes = try Self.lifetimes(namespace, reader)
            self.known[namespace] = lifetimes
        }
        guard let lifetime = lifetimes[collection], lifetime > 0 else { return nil }
        let (expiring, overflow) = block.addingReportingOverflow(lifetime)
        return overflow || expiring == .max ? nil : expiring + 1
    }

    /// Forgets what was read if `updates` may define contracts anew.
    mutating func invalidate(after updates: UpdateBatch) {
        if updates.namespaces[Self.lifecycle] != nil { self.known = [:] }
    }

    private static func lifetimes(_ namespace: Bytes, _ reader: StateReader) throws -> [Bytes: UInt64] {
        let key = Bytes("namespaces/fields/".utf8) + namespace + Bytes("/Collections".utf8)
        guard let stored = try reader.value(self.lifecycle, key),
            let state = try? Lifecycle_StateData(serializedBytes: stored.value),
            let package = try? Protos_CollectionConfigPackage(serializedBytes: state.bytes)
        else { return [:] }
        var lifetimes: [Bytes: UInt64] = [:]
        for collection in package.config.map(\.staticCollectionConfig) {
            lifetimes[Bytes(collection.name.utf8)] = collection.blockToLive
        }
        return lifetimes
    }
}
