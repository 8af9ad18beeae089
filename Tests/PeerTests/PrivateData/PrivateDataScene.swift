import Channel
import Cryptography
import FabricProtos
import Foundation
import Gossip
import Ledger
import Logging
import SwiftProtobuf

@testable import Peer

/// A channel of Alpha's peer in which private data is written.
struct PrivateDataScene {
    let registry = VectorNetwork.registry()
    let channel: PeerChannel
    let link = PrivateDataLink()
    /// The private writes of each transaction that ``commit(to:logger:)`` orders.
    let bytes: Data
    /// The first block that a test commits; some private data of the recorded blocks before it is missing.
    let start: BlockNumber

    static let contract = "othercc"
    /// The collections of Alpha, whose peer it is, and of Bravo.
    static let own = "_implicit_org_AlphaMSP"
    static let foreign = "_implicit_org_BravoMSP"

    init() async throws {
        self.channel = try await VectorNetwork.sideChannel(in: self.registry)
        self.start = self.channel.ledger.height
        self.bytes = try TransactionFactory.write("secret", "42").serializedBytes()
    }

    func connect(
        _ exchange: ScriptedExchange,
        threshold: Duration = .zero,
        aliveInterval: Duration = .seconds(5)
    ) {
        var options = GossipOptions()
        options.pullRetryThreshold = threshold
        options.aliveInterval = aliveInterval
        self.link.connect(exchange, options: options)
    }

    /// Orders a transaction that writes `secret` to a collection; returns its block and identifier.
    @discardableResult
    func commit(
        to collection: String = Self.own,
        logger: Logger = VectorNetwork.logger
    ) async throws -> (block: BlockNumber, transaction: String) {
        var hashed = Kvrwset_HashedRWSet()
        hashed.hashedWrites = [
            .with {
                $0.keyHash = Digest.sha256(Data("secret".utf8))
                $0.valueHash = Digest.sha256(Data("42".utf8))
            }
        ]
        let organizations = collection == Self.own ? ["alpha"] : ["alpha", "bravo"]
        let factory = TransactionFactory(
            creator: try VectorNetwork.user("alpha"),
            endorsers: try organizations.map { try VectorNetwork.peer($0) }
        )
        let envelope = try factory.transaction(
            TransactionFactory.set(
                Self.contract,
                collections: [collection: hashed],
                privateHash: Digest.sha256(self.bytes)
            )
        )
        let block = try VectorNetwork.nextBlock(
            of: self.channel,
            [envelope],
            signer: VectorNetwork.orderer()
        )
        try await VectorNetwork.pipeline(self.channel, privateData: self.link, logger: logger)
            .run(AsyncStream([block]))
        return (block.header.number, try EnvelopeHeaders(envelope).channel.txID)
    }

    func value(_ collection: String = Self.own) throws -> Data? {
        try self.channel.ledger.snapshot()
            .privateValue(namespace: Self.contract, collection: collection, key: "secret")?.value
    }

    /// Fetches what is missing, as the peer of an organization.
    func reconciler(
        of organization: String = "alpha",
        logger: Logger = VectorNetwork.logger
    ) throws -> PrivateDataReconciler {
        PrivateDataReconciler(
            channel: self.channel,
            identity: RenewableIdentity(try VectorNetwork.peer(organization)),
            link: self.link,
            disk: BlockingExecutor(name: "test-disk", threads: 1),
            logger: logger
        )
    }
}
