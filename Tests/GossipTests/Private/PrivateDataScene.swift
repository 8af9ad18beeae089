import Channel
import Cryptography
import FabricProtos
import Foundation
import GossipSimulation
import SwiftProtobuf
import TestSupport

@testable import Gossip

/// One peer's private part, stepped by hand, and the other peers as it knows them: two of each of three organizations.
struct PrivateDataScene {
    let identities: GossipIdentities
    let configuration: ChannelConfiguration
    var part: PrivateDataGossip
    var context: GossipContext
    /// Those that are in the channel, with their heights.
    var members: [PKIID: BlockNumber] = [:]

    static let bytes = set(["k": "1", "other": "2"])

    /// This peer is the first of the first organization.
    init(present: [(organization: Int, peer: Int)] = [(0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]) throws {
        self.identities = try GossipIdentities(organizations: 3, peers: 2)
        self.configuration = try self.identities.channel()
        let local = try self.identities.local(0, of: 0)
        self.part = PrivateDataGossip(channel: self.configuration.channelID)
        var known = Identities(ownOrganization: local.mspID, local: try self.identities.local(0))
        known.wallClock = 1_700_000_000_000_000_000
        _ = known.configure(self.configuration)
        self.context = GossipContext(
            now: .zero,
            wallClock: 1_700_000_000_000_000_000,
            local: local,
            options: GossipOptions(),
            random: SplitMix64(seed: 7),
            identities: known,
            members: [:],
            connections: [:]
        )
        self.part.configure(self.configuration, &self.context)
        for (organization, peer) in present { try self.meet(organization, peer) }
    }

    func id(_ organization: Int, _ peer: Int) throws -> PKIID {
        try self.identities.local(peer, of: organization).pkiID
    }

    /// Makes a peer known: alive, connected, and in the channel.
    mutating func meet(_ organization: Int, _ peer: Int, height: BlockNumber = 5) throws {
        let local = try self.identities.local(peer, of: organization)
        try self.context.identities.learn(local.identity, now: .zero)
        self.members[local.pkiID] = height
        self.context.members[local.pkiID] = AliveMember(
            pkiID: local.pkiID,
            mspID: local.mspID,
            externalEndpoint: local.externalEndpoint,
            internalEndpoint: nil,
            envelope: .init()
        )
        self.context.connections[local.pkiID] = GossipConnection(
            peer: local.pkiID,
            identity: local.identity,
            proof: try Handshake.greeting(of: local, tlsCertificateHash: Data()),
            endpoint: nil
        )
    }

    // MARK: Steps; each returns what is to be done.

    mutating func step(_ input: PrivateDataInput) -> [GossipEffect] {
        self.part.step(input, members: self.members, &self.context)
        return self.take()
    }

    mutating func tick(at now: Duration) -> [GossipEffect] {
        self.context.now = now
        self.part.tick(members: self.members, &self.context)
        return self.take()
    }

    mutating func receive(
        from peer: PKIID,
        _ fill: (inout Gossip_GossipMessage) -> Void
    ) throws -> [GossipEffect] {
        var message = Gossip_GossipMessage()
        message.channel = Data(self.configuration.channelID.description.utf8)
        message.tag = .chanOnly
        fill(&message)
        let received = try ReceivedMessage(Gossip_Envelope(unsigned: message), from: peer)
        self.part.receive(received, members: self.members, &self.context)
        return self.take()
    }

    private mutating func take() -> [GossipEffect] {
        defer { self.context.effects = [] }
        return self.context.effects
    }

    // MARK: Things

    static func set(_ values: [String: String]) -> Data {
        let set = Kvrwset_KVRWSet.with {
            $0.writes = values.sorted { $0.key < $1.key }.map { key, value in
                .with {
                    $0.key = key
                    $0.value = Data(value.utf8)
                }
            }
        }
        return (try? set.serializedData()) ?? Data()
    }

    static func hashes(_ values: [String: String] = ["k": "1", "other": "2"]) -> PrivateWriteHashes {
        var hashed = Kvrwset_HashedRWSet()
        hashed.hashedWrites = values.map { key, value in
            .with {
                $0.keyHash = Digest.sha256(Data(key.utf8))
                $0.valueHash = Digest.sha256(Data(value.utf8))
            }
        }
        return PrivateWriteHashes(
            .init(name: "c", hashed: hashed, privateHash: Digest.sha256(self.set(values)))
        )
    }

    /// A policy that any member of one of these organizations meets.
    func policy(_ organizations: [Int]) throws -> Common_SignaturePolicyEnvelope {
        var policy = Common_SignaturePolicyEnvelope()
        policy.rule.nOutOf.n = 1
        for (index, organization) in organizations.enumerated() {
            let role = Common_MSPRole.with {
                $0.mspIdentifier = self.identities.organizations[organization].mspID.description
                $0.role = .member
            }
            let content = try role.serializedData()
            policy.identities.append(
                .with {
                    $0.principalClassification = .role
                    $0.principal = content
                }
            )
            policy.rule.nOutOf.rules.append(.with { $0.signedBy = Int32(index) })
        }
        return policy
    }

    func payload(
        _ organizations: [Int],
        required: Int32,
        maximum: Int32,
        collection: String = "c"
    ) throws -> Gossip_PrivatePayload {
        let policy = try self.policy(organizations)
        let config = Protos_StaticCollectionConfig.with {
            $0.name = collection
            $0.requiredPeerCount = required
            $0.maximumPeerCount = maximum
            $0.memberOrgsPolicy.signaturePolicy = policy
        }
        return .with {
            $0.collectionName = collection
            $0.namespace = "cc"
            $0.txID = "tx"
            $0.privateRwset = Self.bytes
            $0.privateSimHeight = 3
            $0.collectionConfigs.config = [.with { $0.staticCollectionConfig = config }]
        }
    }

    func wanted(
        _ organizations: [Int],
        endorsers: [PKIID] = [],
        block: UInt64 = 4,
        blockToLive: UInt64 = 0
    ) throws -> WantedPrivateData {
        WantedPrivateData(
            digest: Self.digest(block),
            hashes: Self.hashes(),
            members: try self.policy(organizations),
            endorsers: endorsers,
            blockToLive: blockToLive
        )
    }

    static func digest(_ block: UInt64 = 4) -> Gossip_PvtDataDigest {
        .with {
            $0.txID = "tx"
            $0.namespace = "cc"
            $0.collection = "c"
            $0.blockSeq = block
            $0.seqInBlock = 1
        }
    }
}

extension [GossipEffect] {
    /// The messages that are sent, with their receivers.
    var sent: [(to: PKIID, message: Gossip_GossipMessage)] {
        self.compactMap { effect in
            guard case .send(let envelope, let peer, _) = effect,
                let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload)
            else { return nil }
            return (peer, message)
        }
    }

    var privateEffects: [PrivateDataEffect] {
        self.compactMap { effect in
            guard case .privateData(_, let effect) = effect else { return nil }
            return effect
        }
    }

    /// The end of a push: `nil` if it has not ended, else why it failed, or nothing.
    var pushed: String?? {
        for case .pushed(_, let failure) in self.privateEffects { return .some(failure) }
        return nil
    }

    /// Why a push has failed.
    var pushFailure: String? { self.pushed ?? nil }

    /// The results of a pull, once it has ended.
    var pulled: [PulledPrivateData]? {
        for case .pulled(_, let results) in self.privateEffects { return results }
        return nil
    }

    var notes: [String] {
        self.compactMap { effect in
            guard case .note(let note) = effect else { return nil }
            return note.text
        }
    }
}
