package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// The rules of one chaincode stream, as the peer keeps them: what may come when, and what follows.
///
/// Decides only: whoever owns it sends, delivers and logs what it says. Times are counted from the stream's beginning.
///
/// - Source: Fabric v3.1, `core/chaincode/handler.go`; the protocol is described in `docs/flows/chaincode.md`.
package struct ChaincodeStreamRules: Sendable {
    /// What a stream carries at once is told apart by channel and transaction.
    package struct Transaction: Hashable, Sendable {
        package var channel: String
        package var id: String

        package init(channel: String, id: String) {
            self.channel = channel
            self.id = id
        }

        init(_ message: Protos_ChaincodeMessage) {
            self.init(channel: message.channelID, id: message.txid)
        }
    }

    package struct Options: Equatable, Sendable {
        /// How long a contract may take for one transaction (`chaincode.executetimeout`).
        package var executeTimeout: Duration = .seconds(30)
        /// How long a connection may take until the contract has registered (`chaincode.startuptimeout`).
        package var startTimeout: Duration = .seconds(10)
        /// Transactions that may run at once on one stream.
        package var transactions = 10_000
        /// Open iterators of one transaction.
        package var iterators = 1_000
        /// Records of one WRITE_BATCH_STATE and keys of one GET_STATE_MULTIPLE, as READY tells the contract.
        package var batch: UInt32 = 1_000
        /// Bytes of all requests of one transaction: what it reads and writes is kept until it ends.
        package var transactionBytes = 256 << 20
        /// Messages out of turn on one stream, for transactions that don't run or while another request is answered.
        package var strays = 10_000
        /// Messages that wait for the contract to read them, beyond one for each transaction.
        package var waitingMessages = 20_000

        package init() {}
    }

    /// How a transaction ended.
    package enum Outcome: Equatable, Sendable {
        /// The message COMPLETED.
        case completed(Protos_ChaincodeMessage)
        /// The contract's ERROR.
        case failed(String)
        case timedOut
        case streamLost
        /// Nobody waits for the answer any more.
        case cancelled
    }

    package enum Command: Equatable, Sendable {
        /// Goes to the contract.
        case send(Protos_ChaincodeMessage)
        /// A request of a running transaction, to be answered with ``ChaincodeStreamRules/answered(_:with:)``.
        case answer(Protos_ChaincodeMessage, Transaction)
        case finish(Transaction, Outcome)
        /// The contract has registered; transactions may begin.
        case ready
        /// Something that an operator should know about the contract.
        case note(String)
        /// The contract broke the protocol: the stream must be closed.
        case close(String)
    }

    private enum Phase { case created, ready, closed }

    private struct Running {
        var deadline: Duration
        /// A request is being answered; there may be one at a time.
        var isAsking = false
    }

    private let packageID: String
    private let options: Options
    private var phase = Phase.created
    private var running: [Transaction: Running] = [:]
    private var strays = 0
    /// Strays that are named in the log; a contract that goes on with them must not fill it.
    private static let notedStrays = 100

    /// - Parameters:
    ///   - packageID: the package that the contract at the other end must say it runs.
    ///   - options: bounds and timeouts.
    package init(packageID: String, options: Options = Options()) {
        self.packageID = packageID
        self.options = options
    }

    package var isReady: Bool { self.phase == .ready }
    package var transactions: Int { self.running.count }

    // MARK: - What the peer does

    /// Begins a transaction with its message TRANSACTION or INIT.
    ///
    /// - Throws: ``ContractError`` if the same transaction runs already, too many do, or the contract isn't there.
    package mutating func begin(
        _ message: Protos_ChaincodeMessage,
        at now: Duration
    ) throws(ContractError) -> [Command] {
        guard self.phase == .ready else { throw ContractError("chaincode stream terminated") }
        let transaction = Transaction(message)
        guard self.running[transaction] == nil else {
            throw ContractError("txid: \(transaction.id)(\(transaction.channel)) exists")
        }
        guard self.running.count < self.options.transactions else {
            throw ContractError(
                "\(self.options.transactions) transactions run at contract \(self.packageID) already; try again later"
            )
        }
        self.running[transaction] = Running(deadline: now + self.options.executeTimeout)
        return [.send(message)]
    }

    /// A request has its answer, which is sent unless the transaction has ended meanwhile.
    package mutating func answered(
        _ transaction: Transaction,
        with answer: Protos_ChaincodeMessage
    ) -> [Command] {
        guard self.running[transaction]?.isAsking == true else { return [] }
        self.running[transaction]?.isAsking = false
        return [.send(answer)]
    }

    /// Forgets a transaction that nobody waits for any more.
    package mutating func abandon(_ transaction: Transaction) {
        self.running[transaction] = nil
    }

    /// Ends what has taken too long.
    package mutating func passed(_ now: Duration) -> [Command] {
        guard self.phase != .created || now < self.options.startTimeout else {
            return self.close("did not register within \(self.options.startTimeout)")
        }
        return self.running.filter { $0.value.deadline <= now }.keys.sorted().map { transaction in
            self.running[transaction] = nil
            return .finish(transaction, .timedOut)
        }
    }

    /// The stream has ended, whoever ended it.
    package mutating func lost() -> [Command] {
        self.phase = .closed
        defer { self.running = [:] }
        return self.running.keys.sorted().map { .finish($0, .streamLost) }
    }

    // MARK: - What the contract does

    package mutating func received(_ message: Protos_ChaincodeMessage) -> [Command] {
        guard message.type != .keepalive else { return [] }
        switch self.phase {
        case .created: return self.register(message)
        case .ready: return self.dispatch(message)
        case .closed: return []
        }
    }

    private mutating func register(_ message: Protos_ChaincodeMessage) -> [Command] {
        guard message.type == .register else {
            return self.close("sent \(message.type.name) before it registered")
        }
        guard let name = try? Protos_ChaincodeID(serializedBytes: message.payload).name, !name.isEmpty else {
            return self.close(
                "registered without a name: its environment must have CHAINCODE_ID=\(self.packageID)"
            )
        }
        guard name == self.packageID else {
            return self.close(
                """
                registered as "\(name.prefix(200))", but the package is \(self.packageID): start it with that name \
                (CHAINCODE_ID or CORE_CHAINCODE_ID_NAME), or install the package that it belongs to
                """
            )
        }
        self.phase = .ready
        let parameters = Protos_ChaincodeAdditionalParams.with {
            $0.useWriteBatch = true
            $0.maxSizeWriteBatch = self.options.batch
            $0.useGetMultipleKeys = true
            $0.maxSizeGetMultipleKeys = self.options.batch
        }
        var ready = Protos_ChaincodeMessage.with { $0.type = .ready }
        // A message of numbers can't fail to encode; without it the contract sends its requests one by one.
        ready.payload = (try? parameters.serializedData()) ?? Data()
        return [.send(.with { $0.type = .registered }), .send(ready), .ready]
    }

    private mutating func dispatch(_ message: Protos_ChaincodeMessage) -> [Command] {
        let transaction = Transaction(message)
        switch message.type {
        case .completed, .error: return self.end(transaction, message)
        case let type where type.isRequest: return self.request(transaction, message)
        default: return self.close("sent \(message.type.name), which only peers send")
        }
    }

    private mutating func end(_ transaction: Transaction, _ message: Protos_ChaincodeMessage) -> [Command] {
        guard self.running.removeValue(forKey: transaction) != nil else {
            return self.stray(
                "sent \(message.type.name) for \(transaction), which doesn't run here (any more)"
            )
        }
        guard message.type == .completed else {
            return [.finish(transaction, .failed(String(decoding: message.payload, as: UTF8.self)))]
        }
        return [.finish(transaction, .completed(message))]
    }

    private mutating func request(
        _ transaction: Transaction,
        _ message: Protos_ChaincodeMessage
    ) -> [Command] {
        guard let running = self.running[transaction] else {
            let reason =
                message.type == .invokeChaincode ? "could not get valid transaction" : "no ledger context"
            return self.stray(
                "sent \(message.type.name) for \(transaction), which doesn't run here (any more)",
                answer: message.failure(reason)
            )
        }
        guard !running.isAsking else {
            // As in Fabric: an answer could be taken for that of the first request.
            return self.stray(
                "sent \(message.type.name) for \(transaction) while it waits for an answer; it is left out"
            )
        }
        self.running[transaction]?.isAsking = true
        return [.answer(message, transaction)]
    }

    /// A message out of turn.
    private mutating func stray(_ text: String, answer: Protos_ChaincodeMessage? = nil) -> [Command] {
        self.strays += 1
        guard self.strays <= self.options.strays else {
            return self.close("sent more than \(self.options.strays) messages out of turn")
        }
        let last = self.strays == Self.notedStrays ? "; further ones are not noted" : ""
        let note: [Command] = self.strays <= Self.notedStrays ? [.note(text + last)] : []
        return note + (answer.map { [.send($0)] } ?? [])
    }

    private mutating func close(_ reason: String) -> [Command] {
        [.note(reason), .close(reason)] + self.lost()
    }
}

extension ChaincodeStreamRules.Transaction: Comparable, CustomStringConvertible {
    package static func < (left: Self, right: Self) -> Bool {
        (left.channel, left.id) < (right.channel, right.id)
    }

    package var description: String {
        "transaction \(self.id.prefix(100)) of channel \(self.channel.prefix(260))"
    }
}

extension Protos_ChaincodeMessage.TypeEnum {
    /// The name in the protocol, as error texts have it.
    package var name: String {
        switch self {
        case .undefined: "UNDEFINED"
        case .register: "REGISTER"
        case .registered: "REGISTERED"
        case .init_: "INIT"
        case .ready: "READY"
        case .transaction: "TRANSACTION"
        case .completed: "COMPLETED"
        case .error: "ERROR"
        case .getState: "GET_STATE"
        case .putState: "PUT_STATE"
        case .delState: "DEL_STATE"
        case .invokeChaincode: "INVOKE_CHAINCODE"
        case .response: "RESPONSE"
        case .getStateByRange: "GET_STATE_BY_RANGE"
        case .getQueryResult: "GET_QUERY_RESULT"
        case .queryStateNext: "QUERY_STATE_NEXT"
        case .queryStateClose: "QUERY_STATE_CLOSE"
        case .keepalive: "KEEPALIVE"
        case .getHistoryForKey: "GET_HISTORY_FOR_KEY"
        case .getStateMetadata: "GET_STATE_METADATA"
        case .putStateMetadata: "PUT_STATE_METADATA"
        case .getPrivateDataHash: "GET_PRIVATE_DATA_HASH"
        case .purgePrivateData: "PURGE_PRIVATE_DATA"
        case .writeBatchState: "WRITE_BATCH_STATE"
        case .getStateMultiple: "GET_STATE_MULTIPLE"
        case .UNRECOGNIZED(let number): "type \(number)"
        }
    }

    /// Whether a contract asks the peer for something with it.
    fileprivate var isRequest: Bool {
        switch self {
        case .getState, .putState, .delState, .invokeChaincode, .getStateByRange, .getQueryResult,
            .queryStateNext,
            .queryStateClose, .getHistoryForKey, .getStateMetadata, .putStateMetadata, .getPrivateDataHash,
            .purgePrivateData, .writeBatchState, .getStateMultiple:
            true
        default: false
        }
    }
}

extension Protos_ChaincodeMessage {
    /// The answer to this request: `payload`.
    package func response(_ payload: Data = Data()) -> Self {
        .with {
            $0.type = .response
            $0.payload = payload
            $0.txid = self.txid
            $0.channelID = self.channelID
        }
    }

    /// The answer to this request: that it failed.
    package func failure(_ reason: String) -> Self {
        .with {
            $0.type = .error
            $0.payload = Data("\(self.type.name) failed: transaction ID: \(self.txid): \(reason)".utf8)
            $0.txid = self.txid
            $0.channelID = self.channelID
        }
    }
}
