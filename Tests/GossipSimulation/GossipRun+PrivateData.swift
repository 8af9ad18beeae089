import Channel
import Cryptography
import FabricProtos
import Foundation
import Gossip
import Simulation
import SwiftProtobuf

/// A collection of private data that two organizations share.
struct SimulatedCollection {
    let name: String
    /// The numbers of its organizations.
    let members: Set<Int>
    let policy: Common_SignaturePolicyEnvelope
    let configs: Protos_CollectionConfigPackage

    static func all(_ identities: GossipIdentities) throws -> [Self] {
        let count = identities.organizations.count
        return try (0..<count).map { first in
            let members: Set = [first, (first + 1) % count]
            // With two organizations there is a collection that one of them has alone.
            return try Self(
                "c\(first)",
                count == 2 && first == 1 ? [1] : members,
                identities,
                mostPeers: 1 + first
            )
        }
    }

    private init(_ name: String, _ members: Set<Int>, _ identities: GossipIdentities, mostPeers: Int) throws {
        self.name = name
        self.members = members
        let names = members.sorted().map { "'\(identities.organizations[$0].mspID).member'" }
        let policy = try PolicyExpression.parse("OR(\(names.joined(separator: ", ")))")
        self.policy = policy
        self.configs = Self.configs(name, policy, mostPeers)
    }

    static func configs(
        _ name: String,
        _ policy: Common_SignaturePolicyEnvelope,
        _ mostPeers: Int
    ) -> Protos_CollectionConfigPackage {
        var config = Protos_StaticCollectionConfig()
        config.name = name
        config.memberOrgsPolicy.signaturePolicy = policy
        config.maximumPeerCount = Int32(mostPeers)
        return .with { $0.config = [.with { $0.staticCollectionConfig = config }] }
    }

    /// What is in every private value of this collection, and in nothing else.
    var mark: Data { Data("secret of \(self.name):".utf8) }
}

/// A private value that a transaction writes.
struct SimulatedValue {
    let id: Int
    let collection: Int
    let endorser: PKIID
    /// A `kvrwset.KVRWSet`.
    let bytes: Data
    /// Block and transaction, once it is ordered.
    var place: (block: BlockNumber, transaction: UInt64)?

    init(id: Int, collection: Int, mark: Data, endorser: PKIID) throws {
        self.id = id
        self.collection = collection
        self.endorser = endorser
        let set = Kvrwset_KVRWSet.with {
            $0.writes = [
                .with {
                    $0.key = "key \(id)"
                    $0.value = mark + Data("\(id)".utf8)
                }
            ]
        }
        self.bytes = try set.serializedData()
    }

    var transactionID: String { "transaction \(self.id)" }

    func digest(_ name: String) -> Gossip_PvtDataDigest {
        .with {
            $0.txID = self.transactionID
            $0.namespace = "sim"
            $0.collection = name
            $0.blockSeq = self.place?.block ?? 0
            $0.seqInBlock = self.place?.transaction ?? 0
        }
    }

    /// What everybody is told of it.
    func hashes(_ name: String) -> PrivateWriteHashes {
        var hashed = Kvrwset_HashedRWSet()
        if let set = try? Kvrwset_KVRWSet(serializedBytes: self.bytes) {
            hashed.hashedWrites = set.writes.map { write in
                .with {
                    $0.keyHash = Digest.sha256(Data(write.key.utf8))
                    $0.valueHash = Digest.sha256(write.value)
                }
            }
        }
        return PrivateWriteHashes(.init(name: name, hashed: hashed, privateHash: Digest.sha256(self.bytes)))
    }
}

/// What endorsers, transient stores and reconciliation do.
extension GossipRun {
    /// Somebody who may have a collection's data.
    func isEntitled(_ number: Int, to collection: Int) -> Bool {
        self.collections[collection].members.contains(self.organization(of: number))
    }

    private func nextRequest() -> UInt64 {
        self.lastRequest += 1
        return self.lastRequest
    }

    /// A client has an honest peer endorse a transaction with a private value.
    func endorse() {
        let collection = self.dice.below(self.collections.count)
        let endorsers = self.storages.indices.filter {
            self.isEntitled($0, to: collection) && self.world.peers[$0].isUp && !self.liars.contains($0)
                && $0 != self.revoked
        }
        guard let endorser = self.dice.pick(endorsers) else { return }
        do {
            let value = try SimulatedValue(
                id: self.values.count,
                collection: collection,
                mark: self.collections[collection].mark,
                endorser: self.name(of: endorser)
            )
            self.values.append(value)
            self.storages[endorser].values.insert(value.id)
            let request = self.nextRequest()
            self.pushes[request] = value.id
            var payload = Gossip_PrivatePayload()
            payload.collectionName = self.collections[collection].name
            payload.namespace = "sim"
            payload.txID = value.transactionID
            payload.privateRwset = value.bytes
            payload.privateSimHeight = UInt64(self.storages[endorser].height)
            payload.collectionConfigs = self.collections[collection].configs
            if self.mutation == .pushToAnybody {
                payload.collectionConfigs = SimulatedCollection.configs(
                    payload.collectionName,
                    try self.everybody(),
                    4
                )
            }
            self.world.give(.privateData(self.channel, .push([payload], request: request)), to: endorser)
        } catch {
            self.violated("no private value: \(error)")
        }
    }

    private func everybody() throws -> Common_SignaturePolicyEnvelope {
        let names = self.identities.organizations.map { "'\($0.mspID).member'" }
        return try PolicyExpression.parse("OR(\(names.joined(separator: ", ")))")
    }

    func perform(_ effect: PrivateDataEffect, of number: Int) {
        switch effect {
        case .pushed(let request, let failure):
            guard let id = self.pushes.removeValue(forKey: request) else {
                return self.violated("peer \(number) answers a push twice, or one that nobody wanted")
            }
            if failure == nil { self.endorsed.append(id) }
        case .keep(let payload, let sender, let nonce):
            if let id = self.values.first(where: { $0.transactionID == payload.txID })?.id {
                guard self.isEntitled(number, to: self.values[id].collection) else {
                    return self.violated("peer \(number) is to keep private data that is not for it")
                }
                self.storages[number].values.insert(id)
            }
            self.world.give(
                .privateData(self.channel, .kept(error: "", from: sender, nonce: nonce)),
                to: number
            )
        case .read(let digests, let requester, let nonce): self.read(digests, requester, nonce, at: number)
        case .pulled(let request, let results): self.pulled(results, request, at: number)
        }
    }

    private func read(
        _ digests: [Gossip_PvtDataDigest],
        _ requester: GossipConnection,
        _ nonce: UInt64,
        at number: Int
    ) {
        let held = self.storages[number].values.sorted().map { self.values[$0] }.filter { value in
            digests.contains { $0 == value.digest(self.collections[value.collection].name) }
        }
        let found = held.map { value -> HeldPrivateData in
            let collection = self.collections[value.collection]
            let isOpen = self.mutation == .answerAnybody
            return HeldPrivateData(
                element: .with {
                    $0.digest = value.digest(collection.name)
                    $0.payload = [value.bytes]
                },
                members: isOpen ? (try? self.everybody()) ?? collection.policy : collection.policy
            )
        }
        self.world.give(
            .privateData(self.channel, .read(found, for: requester.peer, nonce: nonce)),
            to: number
        )
    }

    /// A block is committed: a peer asks for the values that it lacks, and may have.
    func wantValues(of block: BlockNumber, at number: Int) {
        self.want(self.lacking(number) { $0 == block }, at: number)
    }

    /// The values that a peer should have, and lacks, of some blocks that it has.
    func lacking(_ number: Int, _ isWanted: (BlockNumber) -> Bool = { _ in true }) -> [Int] {
        let storage = self.storages[number]
        return self.values.filter { value in
            guard let place = value.place, Int(place.block) < storage.height, isWanted(place.block) else {
                return false
            }
            return self.isEntitled(number, to: value.collection) && !storage.values.contains(value.id)
        }.map(\.id)
    }

    private func want(_ ids: [Int], at number: Int) {
        guard !ids.isEmpty else { return }
        let request = self.nextRequest()
        self.pulls[request] = ids
        let wanted = ids.map { id -> WantedPrivateData in
            let value = self.values[id]
            let collection = self.collections[value.collection]
            return WantedPrivateData(
                digest: value.digest(collection.name),
                hashes: value.hashes(collection.name),
                members: collection.policy,
                endorsers: [value.endorser],
                blockToLive: 0
            )
        }
        self.world.give(.privateData(self.channel, .pull(wanted, request: request)), to: number)
    }

    private func pulled(_ results: [PulledPrivateData], _ request: UInt64, at number: Int) {
        guard let ids = self.pulls.removeValue(forKey: request), ids.count == results.count else {
            return self.violated("peer \(number) answers a pull twice, or not in full")
        }
        for (id, result) in zip(ids, results) {
            guard let bytes = result.bytes else { continue }
            guard bytes == self.values[id].bytes else {
                return self.violated("peer \(number) took private data that nobody endorsed")
            }
            if self.storages[number].values.insert(id).inserted { self.delivered += 1 }
        }
    }

    /// Peers ask again for what is still missing.
    func reconcile() {
        for number in self.storages.indices
        where self.world.peers[number].isUp && !self.liars.contains(number) {
            self.want(Array(self.lacking(number).prefix(50)), at: number)
        }
    }
}
