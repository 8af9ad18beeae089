internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf
internal import Synchronization

/// One transaction's way to the peer, over its share of a stream or within the peer: asks one thing after the other.
///
/// A peer drops a second request of a transaction that waits for an answer, so requests of tasks that run at the same
/// time wait for one another here.
///
/// - Source: Fabric v3.1, `fabric-chaincode-go/shim/handler.go`.
final class TransactionSession: Sendable {
    private typealias Answer = CheckedContinuation<Protos_ChaincodeMessage, any Error>

    private struct State {
        var isAsking = false
        var turns: [CheckedContinuation<Void, Never>] = []
        var answer: Answer?
        /// Why nothing can be asked any more.
        var ended: (any Error)?
        /// What typed collections have written in this transaction, by collection and key; `nil` for deletions.
        var written: [String: Data?] = [:]

        mutating func takeTurnIfFree() -> Bool {
            defer { self.isAsking = true }
            return !self.isAsking
        }
    }

    let channel: String
    let transactionID: String
    /// Whether the transaction must not write.
    let isReadOnly: Mutex<Bool>
    /// The most keys of one GET_STATE_MULTIPLE; 0 if the peer doesn't know that message.
    let batchedKeys: Int
    private let peer: Peer
    private let state = Mutex(State())

    /// How the peer is reached.
    private enum Peer {
        /// It answers through ``TransactionSession/received(_:)``.
        case stream(send: @Sendable (Protos_ChaincodeMessage) -> Void)
        case local(answer: @Sendable (Protos_ChaincodeMessage) async -> Protos_ChaincodeMessage)
    }

    init(
        channel: String,
        transactionID: String,
        batchedKeys: Int,
        send: @escaping @Sendable (Protos_ChaincodeMessage) -> Void
    ) {
        self.channel = channel
        self.transactionID = transactionID
        self.batchedKeys = batchedKeys
        self.isReadOnly = Mutex(false)
        self.peer = .stream(send: send)
    }

    /// A transaction of a contract that runs within the peer, which answers each request at once.
    init(
        channel: String,
        transactionID: String,
        batchedKeys: Int,
        answer: @escaping @Sendable (Protos_ChaincodeMessage) async -> Protos_ChaincodeMessage
    ) {
        self.channel = channel
        self.transactionID = transactionID
        self.batchedKeys = batchedKeys
        self.isReadOnly = Mutex(false)
        self.peer = .local(answer: answer)
    }

    // MARK: Asking

    func ask<Reply: Message>(
        _ type: Protos_ChaincodeMessage.TypeEnum,
        _ request: some Message
    ) async throws -> Reply {
        try Reply(serializedBytes: try await self.ask(type, request))
    }

    /// The payload of the peer's answer.
    ///
    /// - Throws: ``PeerRefusal`` with the peer's words, or why nothing can be asked.
    func ask(_ type: Protos_ChaincodeMessage.TypeEnum, _ request: some Message) async throws -> Data {
        if type.writes, self.isReadOnly.withLock({ $0 }) {
            throw ContractError(
                "the transaction is declared with Evaluate, so it must not write; declare it with Submit"
            )
        }
        let payload: Data = try request.serializedBytes()
        let message = Protos_ChaincodeMessage.with {
            $0.type = type
            $0.payload = payload
            $0.txid = self.transactionID
            $0.channelID = self.channel
        }
        await self.takeTurn()
        defer { self.passTurn() }
        let answer = try await self.answer(to: message)
        guard answer.type == .response else {
            throw PeerRefusal(description: String(decoding: answer.payload, as: UTF8.self))
        }
        return answer.payload
    }

    private func answer(to message: Protos_ChaincodeMessage) async throws -> Protos_ChaincodeMessage {
        switch self.peer {
        case .stream(let send):
            return try await withCheckedThrowingContinuation { (answer: Answer) in
                let ended = self.state.withLock { state -> (any Error)? in
                    if state.ended == nil { state.answer = answer }
                    return state.ended
                }
                if let ended { return answer.resume(throwing: ended) }
                send(message)
            }
        case .local(let answer):
            if let ended = self.state.withLock({ $0.ended }) { throw ended }
            return await answer(message)
        }
    }

    /// The next rows of a query.
    func more(_ identifier: String) async throws -> Protos_QueryResponse {
        try await self.ask(.queryStateNext, Protos_QueryStateNext.with { $0.id = identifier })
    }

    private func takeTurn() async {
        guard !self.state.withLock({ $0.takeTurnIfFree() }) else { return }
        await withCheckedContinuation { turn in
            let isFree = self.state.withLock { state in
                if state.takeTurnIfFree() { return true }
                state.turns.append(turn)
                return false
            }
            if isFree { turn.resume() }
        }
    }

    private func passTurn() {
        let next = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.turns.isEmpty else {
                state.isAsking = false
                return nil
            }
            return state.turns.removeFirst()
        }
        next?.resume()
    }

    // MARK: For the stream

    /// Hands the peer's answer to whoever asked.
    func received(_ message: Protos_ChaincodeMessage) {
        self.state.withLock { $0.answer.take() }?.resume(returning: message)
    }

    /// Nothing can be asked any more.
    func end(_ reason: any Error) {
        let answer = self.state.withLock { state in
            if state.ended == nil { state.ended = reason }
            return state.answer.take()
        }
        answer?.resume(throwing: reason)
    }

    /// Nothing can be asked any more, once what is being asked has been answered.
    func endAfterAnswer(_ reason: any Error) async {
        await self.takeTurn()
        self.end(reason)
        self.passTurn()
    }

    // MARK: For typed collections

    /// What this transaction has written to a key; `nil` if nothing, `.some(nil)` if it deleted it.
    func written(_ collection: String, _ key: String) -> Data?? {
        self.state.withLock { $0.written["\(collection)\u{0}\(key)"] }
    }

    func noteWritten(_ collection: String, _ key: String, _ value: Data?) {
        self.state.withLock { $0.written["\(collection)\u{0}\(key)"] = .some(value) }
    }
}

extension Protos_ChaincodeMessage.TypeEnum {
    /// Whether a request of this type changes something.
    fileprivate var writes: Bool {
        switch self {
        case .putState, .delState, .putStateMetadata, .purgePrivateData, .writeBatchState: true
        default: false
        }
    }
}
