import Channel
import Cryptography
import FabricProtos
import Foundation
import Gossip
import Ledger
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

@testable import Peer

/// Private data between a peer's ledger and other peers.
@Suite struct PrivateDataExchangeTests {
    private let scene: PrivateDataScene
    private var channel: PeerChannel { self.scene.channel }
    private var link: PrivateDataLink { self.scene.link }
    private var bytes: Data { self.scene.bytes }
    private static let collection = PrivateDataScene.own

    init() async throws {
        self.scene = try await PrivateDataScene()
    }

    // MARK: At the commit

    @Test func whatIsMissingIsFetchedBeforeTheCommit() async throws {
        let bytes = self.bytes
        let exchange = ScriptedExchange { _ in PulledPrivateData(bytes: bytes) }
        self.scene.connect(exchange)
        let (block, transaction) = try await self.scene.commit()
        #expect(try self.scene.value() == Data("42".utf8))
        #expect(try self.channel.ledger.privateStore.missing(block: block).isEmpty)
        let wanted = try #require(exchange.pulled.first)
        #expect(wanted.digest.txID == transaction && wanted.digest.blockSeq == block)
        #expect(wanted.digest.namespace == "othercc" && wanted.digest.collection == Self.collection)
        #expect(wanted.endorsers == [try PKIID(identity: VectorNetwork.peer("alpha").serialized)])
        #expect(wanted.blockToLive == 0)
    }

    @Test func falseDataIsNotCommitted() async throws {
        let other: Data = try TransactionFactory.write("secret", "43").serializedBytes()
        self.scene.connect(ScriptedExchange { _ in PulledPrivateData(bytes: other) })
        let (block, _) = try await self.scene.commit()
        #expect(try self.scene.value() == nil)
        #expect(try self.channel.ledger.privateStore.missing(block: block).count == 1)
    }

    @Test func aBlockWaitsForACollectionInVainOnlyOnce() async throws {
        let exchange = ScriptedExchange()
        self.scene.connect(exchange)
        let (first, _) = try await self.scene.commit()
        // With an hour of patience the next block would not come in this test's time.
        self.scene.connect(exchange, threshold: .seconds(3_600))
        let (second, _) = try await self.scene.commit()
        #expect(second == first + 1)
        #expect(exchange.pulled.count == 2)
        let key = try #require(
            try self.channel.ledger.privateStore.missing(block: second).first.map {
                PrivateDataKey(block: second, $0)
            }
        )
        #expect(self.channel.missingPrivateData.trial(key)?.reason == "nobody has it")
    }

    @Test func aBlockDoesNotWaitWhereNobodyCanBeAsked() async throws {
        let exchange = ScriptedExchange()
        // With an hour of patience the block would not come in this test's time.
        self.scene.connect(exchange, threshold: .seconds(3_600), aliveInterval: .zero)
        let (block, _) = try await self.scene.commit()
        #expect(try self.channel.ledger.privateStore.missing(block: block).count == 1)
        #expect(exchange.pulled.count == 1)
    }

    @Test func aBlockWaitsWhereSomebodyWasAsked() async throws {
        let bytes = self.bytes
        let isFirst = Mutex(true)
        let exchange = ScriptedExchange { _ in
            let isFirst = isFirst.withLock { first in
                defer { first = false }
                return first
            }
            guard isFirst else { return PulledPrivateData(bytes: bytes) }
            return PulledPrivateData(
                bytes: nil,
                attempts: [.init(mspID: nil, peer: "peer1", reason: "does not have it")]
            )
        }
        self.scene.connect(exchange, threshold: .seconds(3_600), aliveInterval: .zero)
        let log = RecordedLog()
        let (block, _) = try await self.scene.commit(logger: log.logger)
        #expect(try self.scene.value() == Data("42".utf8))
        #expect(exchange.pulled.count == 2)
        let told = log.lines.filter { $0.contains("waits for private data") }
        #expect(told.count == 1)
        for part in ["side", "\(block)", "\(Self.collection) of othercc", "peer1", "3600 s"] {
            #expect(told.first?.contains(part) == true)
        }
        #expect(
            log.lines.count { $0.contains("info the private data that a block waited for has come") } == 1
        )
    }

    @Test func aBlockThatWaitedInVainSaysSoOnce() async throws {
        let exchange = ScriptedExchange()
        self.scene.connect(exchange, threshold: .milliseconds(2_500))
        let log = RecordedLog()
        try await self.scene.commit(logger: log.logger)
        #expect(exchange.pulled.count > 2)
        let told = log.lines.filter { $0.hasPrefix("warning") }
        #expect(told.count == 2, "\(log.text)")
        #expect(told.first?.contains("nobody: nobody has it") == true && told[0].contains("2.5 s"))
        #expect(told.last?.contains("waited in vain") == true && told[1].contains(Self.collection))
        try await self.scene.commit(logger: log.logger)
        #expect(log.lines.count { $0.hasPrefix("warning") } == 2, "the next one doesn't wait")
    }

    @Test func itIsWaitedForAgainOnceSomethingHasCome() async throws {
        self.scene.connect(ScriptedExchange())
        let (block, _) = try await self.scene.commit()
        let key = try #require(
            try self.channel.ledger.privateStore.missing(block: block).first.map {
                PrivateDataKey(block: block, $0)
            }
        )
        #expect(!self.channel.missingPrivateData.isWorthWaiting(key))
        let bytes = self.bytes
        self.scene.connect(ScriptedExchange { _ in PulledPrivateData(bytes: bytes) })
        try await self.scene.commit()
        #expect(self.channel.missingPrivateData.isWorthWaiting(key))
    }

    @Test func withoutGossipNothingIsWaitedFor() async throws {
        let (block, _) = try await self.scene.commit()
        #expect(try self.channel.ledger.privateStore.missing(block: block).count == 1)
    }

    // MARK: Afterwards

    @Test func whatWasMissingIsFetchedAfterwards() async throws {
        let (block, _) = try await self.scene.commit()
        let bytes = self.bytes
        let exchange = ScriptedExchange { _ in PulledPrivateData(bytes: bytes) }
        self.scene.connect(exchange)
        var reconciler = try self.scene.reconciler()
        #expect(try await reconciler.run() == 1)
        #expect(try self.scene.value() == Data("42".utf8))
        #expect(try self.channel.ledger.privateStore.missing(block: block).isEmpty)
        #expect(exchange.pulled.contains { $0.digest.blockSeq == block && $0.endorsers.count == 1 })
        #expect(try await reconciler.run() == 0)
        #expect(exchange.pulls(ofBlock: block) == 1)
    }

    @Test func whatOthersLackIsTriedLaterAndWhatNobodyAnsweredEachTime() async throws {
        let (block, _) = try await self.scene.commit()
        let place = try #require(try self.channel.ledger.privateStore.missing(block: block).first)
        let lacking = ScriptedExchange { _ in
            PulledPrivateData(
                bytes: nil,
                attempts: [.init(mspID: nil, peer: "peer:7051", reason: "does not have it")],
                reason: "every peer that may have it was asked"
            )
        }
        self.scene.connect(lacking)
        var reconciler = try self.scene.reconciler()
        let start = ContinuousClock.now
        #expect(try await reconciler.run(now: start) == 0)
        let trial = try #require(
            self.channel.missingPrivateData.trial(PrivateDataKey(block: block, place))
        )
        #expect(trial.attempts.map(\.peer) == ["peer:7051"])
        #expect(try await reconciler.run(now: start + .seconds(59)) == 0)
        #expect(lacking.pulls(ofBlock: block) == 1, "it is not due yet")
        _ = try await reconciler.run(now: start + .seconds(60))
        #expect(lacking.pulls(ofBlock: block) == 2)
        _ = try await reconciler.run(now: start + .seconds(179))
        #expect(lacking.pulls(ofBlock: block) == 2, "the pause has doubled")

        let silent = ScriptedExchange()
        self.scene.connect(silent)
        var other = try self.scene.reconciler()
        _ = try await other.run(now: start)
        _ = try await other.run(now: start)
        #expect(silent.pulls(ofBlock: block) == 2)
    }

    @Test func dataThatTheLedgerRefusesIsSaidToBeRefused() async throws {
        let (block, _) = try await self.scene.commit()
        let place = try #require(try self.channel.ledger.privateStore.missing(block: block).first)
        // As if the key had been purged, which it was not.
        self.scene.connect(ScriptedExchange { _ in PulledPrivateData(bytes: Data()) })
        var reconciler = try self.scene.reconciler()
        #expect(try await reconciler.run() == 0)
        let trial = self.channel.missingPrivateData.trial(PrivateDataKey(block: block, place))
        #expect(trial?.reason.contains("what came is refused") == true)
    }

    @Test func dataOfBeforeTheMembershipIsFetchedOnceThePeerIsAMember() async throws {
        let bytes = self.bytes
        let exchange = ScriptedExchange { _ in PulledPrivateData(bytes: bytes) }
        let (block, _) = try await self.scene.commit(to: PrivateDataScene.foreign)
        self.scene.connect(exchange)
        var reconciler = try self.scene.reconciler()
        #expect(try await reconciler.run() == 0)
        #expect(exchange.pulls(ofBlock: block) == 0, "Alpha is no member")

        let log = RecordedLog()
        var member = try self.scene.reconciler(of: "bravo", logger: log.logger)
        #expect(try await member.run() == 1)
        #expect(exchange.pulls(ofBlock: block) == 1)
        #expect(try self.scene.value(PrivateDataScene.foreign) == Data("42".utf8))
        #expect(log.text.contains("has become a member of private collections"))
    }

    @Test func whatThePeerIsNoMemberForAnyMoreIsNotAskedForAndHidesNothing() async throws {
        let (block, _) = try await self.scene.commit()
        for _ in 0...GossipOptions().reconcileBatchSize {
            try await self.scene.commit(to: PrivateDataScene.foreign)
        }
        try self.channel.ledger.claimPrivateData { _, _ in true }
        let exchange = ScriptedExchange()
        self.scene.connect(exchange)
        var reconciler = try self.scene.reconciler()
        #expect(try await reconciler.run() == 0)
        #expect(exchange.pulled.map(\.digest.blockSeq).filter { $0 >= self.scene.start } == [block])
    }

    // MARK: What other peers get, and bring

    private func payload(_ transaction: String, height: UInt64 = 4) throws -> Gossip_PrivatePayload {
        let config = try #require(CollectionDefinitions.config(Self.collection, of: nil))
        return .with {
            $0.collectionName = Self.collection
            $0.namespace = "othercc"
            $0.txID = transaction
            $0.privateRwset = self.bytes
            $0.privateSimHeight = height
            $0.collectionConfigs.config = [.with { $0.staticCollectionConfig = config }]
        }
    }

    private func digest(_ block: UInt64, _ transaction: String) -> Gossip_PvtDataDigest {
        .with {
            $0.txID = transaction
            $0.namespace = "othercc"
            $0.collection = Self.collection
            $0.blockSeq = block
        }
    }

    private func organizations(_ held: HeldPrivateData) throws -> [String] {
        try held.members.identities.map { try Common_MSPRole(serializedBytes: $0.principal).mspIdentifier }
    }

    @Test func whatIsPushedIsKeptGivenAndCommitted() async throws {
        let stores = PrivateDataStores(channel: self.channel, link: self.link)
        #expect(stores.keep(try self.payload("tx")) == "")
        #expect(stores.keep(try self.payload("tx")) == "", "again")
        #expect(try self.channel.ledger.transient.entries(transaction: "tx").count == 1)
        let held = stores.held([self.digest(99, "tx"), self.digest(99, "other")])
        #expect(held.map(\.element.payload) == [[self.bytes]])
        #expect(try self.organizations(#require(held.first)) == ["AlphaMSP"])
        #expect(held.first?.element.digest == self.digest(99, "tx"))
    }

    @Test func aHeightFarAheadIsNoReasonToKeepSomethingForEver() async throws {
        let stores = PrivateDataStores(channel: self.channel, link: self.link)
        #expect(stores.keep(try self.payload("tx", height: .max)) == "")
        let kept = try #require(try self.channel.ledger.transient.entries(transaction: "tx").first)
        #expect(kept.height == self.channel.ledger.height + 1_000)
    }

    @Test func setsOfOneTransactionAreBounded() async throws {
        let stores = PrivateDataStores(channel: self.channel, link: self.link)
        for height in 0..<PrivateDataStores.maximumSets {
            #expect(stores.keep(try self.payload("tx", height: UInt64(height))) == "")
        }
        #expect(stores.keep(try self.payload("tx", height: 10_000)).contains("already"))
    }

    @Test func committedDataIsGivenWithItsMembers() async throws {
        let bytes = self.bytes
        self.scene.connect(ScriptedExchange { _ in PulledPrivateData(bytes: bytes) })
        let (block, transaction) = try await self.scene.commit()
        let stores = PrivateDataStores(channel: self.channel, link: self.link)
        let held = stores.held([self.digest(block, ""), self.digest(block - 1, "")])
        #expect(held.map(\.element.payload) == [[bytes]])
        #expect(try self.organizations(#require(held.first)) == ["AlphaMSP"])
        #expect(stores.keep(try self.payload(transaction)) == "")
        #expect(try self.channel.ledger.transient.entries(transaction: transaction).isEmpty, "too late")
    }

    @Test func besideABlockAPeerGetsWhatItMayHave() async throws {
        let bytes = self.bytes
        self.scene.connect(ScriptedExchange { _ in PulledPrivateData(bytes: bytes) })
        let (block, _) = try await self.scene.commit()
        let stores = PrivateDataStores(channel: self.channel, link: self.link)
        let own = stores.payloads(ofBlock: block, for: try VectorNetwork.peer("alpha").serialized)
        let payload = try Gossip_PvtDataPayload(serializedBytes: #require(own.first))
        let set = try Rwset_TxPvtReadWriteSet(serializedBytes: payload.payload)
        #expect(payload.txSeqInBlock == 0)
        #expect(set.nsPvtRwset.first?.collectionPvtRwset.first?.rwset == bytes)
        #expect(stores.payloads(ofBlock: block, for: try VectorNetwork.peer("bravo").serialized).isEmpty)
        #expect(stores.payloads(ofBlock: 99, for: try VectorNetwork.peer("alpha").serialized).isEmpty)
    }
}
