import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import SwiftProtobuf
import Synchronization

@testable import Ledger

/// A ledger under test, with blocks made from simulated transactions.
///
/// Nobody signs anything: signatures are checked before the ledger sees a block.
struct TestChain {
    var stores: LedgerStores
    var ledger: Ledger
    private var nonce = 0

    init(_ stores: LedgerStores = .inMemory()) throws {
        self.stores = stores
        self.ledger = try Ledger(channelID: ChannelID("test"), stores: stores)
    }

    /// A transaction that can be committed.
    struct Transaction {
        var id: String
        var envelope: Data
        var results: SimulationResults

        /// Its private writes, as they are handed over with block and place.
        func privateWriteSets(at index: Int) -> [PrivateWriteSet] {
            (self.results.privateWrites?.nsPvtRwset ?? []).flatMap { namespace in
                namespace.collectionPvtRwset.map {
                    PrivateWriteSet(
                        transaction: index,
                        namespace: namespace.namespace,
                        collection: $0.collectionName,
                        bytes: $0.rwset
                    )
                }
            }
        }
    }

    /// Simulates `body` on the present state.
    mutating func transaction(_ body: (TransactionSimulator) throws -> Void) throws -> Transaction {
        self.nonce += 1
        let simulator = TransactionSimulator(
            snapshot: self.ledger.snapshot(),
            transactionID: "tx \(self.nonce)"
        )
        try body(simulator)
        let results = try simulator.results()
        let (id, envelope) = try Self.envelope(nonce: "nonce \(self.nonce)", results: results.publicBytes)
        return Transaction(id: id, envelope: envelope, results: results)
    }

    func block(_ transactions: [Transaction]) -> Common_Block {
        Common_Block.next(after: self.ledger.lastHeader, envelopes: transactions.map(\.envelope))
    }

    func input(_ transactions: [Transaction], withPrivateData: Bool = true) -> BlockToCommit {
        BlockToCommit(
            block: self.block(transactions),
            transactions: transactions.map {
                TransactionToCommit(code: .valid, id: $0.id, readWriteSet: $0.results.publicSet)
            },
            privateWriteSets: withPrivateData
                ? transactions.enumerated().flatMap { $1.privateWriteSets(at: $0) } : []
        )
    }

    /// Commits a block of these transactions and returns the verdicts.
    @discardableResult
    func commit(_ transactions: [Transaction], withPrivateData: Bool = true) throws
        -> [Protos_TxValidationCode]
    {
        try self.ledger.commit(self.input(transactions, withPrivateData: withPrivateData)).codes
    }

    /// Simulates and commits one transaction in a block of its own.
    @discardableResult
    mutating func run(_ body: (TransactionSimulator) throws -> Void) throws -> Protos_TxValidationCode? {
        try self.commit([self.transaction(body)]).first
    }

    mutating func reopen() throws {
        self.ledger = try Ledger(channelID: ChannelID("test"), stores: self.stores)
    }

    private static func envelope(nonce: String, results: Data) throws -> (id: String, envelope: Data) {
        var signatureHeader = Common_SignatureHeader()
        signatureHeader.creator = Data("creator".utf8)
        signatureHeader.nonce = Data(nonce.utf8)
        let id = TransactionID(nonce: signatureHeader.nonce, creator: signatureHeader.creator).description
        var chaincode = Protos_ChaincodeID()
        chaincode.name = "cc"
        chaincode.version = "1"
        var headerExtension = Protos_ChaincodeHeaderExtension()
        headerExtension.chaincodeID = chaincode
        var channelHeader = Common_ChannelHeader()
        channelHeader.type = Int32(Common_HeaderType.endorserTransaction.rawValue)
        channelHeader.channelID = "test"
        channelHeader.txID = id
        channelHeader.timestamp.seconds = Int64(nonce.utf8.count)
        channelHeader.extension = try headerExtension.serializedBytes()
        var payload = Common_Payload()
        payload.header.channelHeader = try channelHeader.serializedBytes()
        payload.header.signatureHeader = try signatureHeader.serializedBytes()

        var action = Protos_ChaincodeAction()
        action.results = results
        action.response.status = 200
        action.chaincodeID = chaincode
        var actionPayload = Protos_ChaincodeActionPayload()
        actionPayload.chaincodeProposalPayload = Data("input".utf8)
        var response = Protos_ProposalResponsePayload()
        response.proposalHash = Digest.sha256(
            payload.header.channelHeader,
            payload.header.signatureHeader,
            actionPayload.chaincodeProposalPayload
        )
        response.extension = try action.serializedBytes()
        actionPayload.action.proposalResponsePayload = try response.serializedBytes()
        var transactionAction = Protos_TransactionAction()
        transactionAction.header = payload.header.signatureHeader
        transactionAction.payload = try actionPayload.serializedBytes()
        var transaction = Protos_Transaction()
        transaction.actions = [transactionAction]
        payload.data = try transaction.serializedBytes()
        var envelope = Common_Envelope()
        envelope.payload = try payload.serializedBytes()
        envelope.signature = Data("signature".utf8)
        return (id, try envelope.serializedBytes())
    }
}

/// A store whose writes fail on demand, as on a full disk.
final class FailingStore: KeyValueStore {
    enum Failure: CaseIterable, Sendable {
        /// Nothing was written.
        case before
        /// Everything was written, but the caller never hears of it: as in a crash.
        case after
    }

    private let store: any KeyValueStore
    private let plan: Mutex<(writes: Int, failure: Failure)?>

    init(_ store: any KeyValueStore) {
        self.store = store
        self.plan = Mutex(nil)
    }

    /// Lets writes succeed again, once the store has been opened again.
    func repair() { self.plan.withLock { $0 = nil } }

    /// Opens as long as writes don't fail.
    func reopen() throws(KeyValueStoreError) {
        guard self.plan.withLock({ $0 == nil }) else { throw Self.diskFull }
        try self.store.reopen()
    }

    private static let diskFull = KeyValueStoreError(
        code: .diskFull,
        folder: "/test",
        operation: "write",
        reason: "No space left on device"
    )

    /// Lets the write after the next `writes` fail, and every later one.
    func fail(after writes: Int, _ failure: Failure) { self.plan.withLock { $0 = (writes, failure) } }

    func write(_ batch: WriteBatch, durably: Bool) throws(KeyValueStoreError) {
        let failure: Failure? = self.plan.withLock { plan in
            guard let current = plan else { return nil }
            guard current.writes == 0 else {
                plan = (current.writes - 1, current.failure)
                return nil
            }
            plan = (0, .before)
            return current.failure
        }
        guard let failure else { return try self.store.write(batch, durably: durably) }
        if failure == .after { try self.store.write(batch, durably: durably) }
        throw Self.diskFull
    }

    func value(forKey key: Data) throws(KeyValueStoreError) -> Data? { try self.store.value(forKey: key) }
    func makeCursor() -> any KeyValueCursor { self.store.makeCursor() }
    func snapshot() -> any KeyValueReader { self.store.snapshot() }
    func approximateSize(from start: Data, to end: Data) -> UInt64 {
        self.store.approximateSize(from: start, to: end)
    }
    func compact(from start: Data?, to end: Data?) { self.store.compact(from: start, to: end) }
}
