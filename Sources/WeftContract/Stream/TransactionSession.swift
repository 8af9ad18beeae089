internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf
internal import Synchronization

/// One transaction's share of the stream to the peer: asks one thing after the other.
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
    }

    let channel: String
    let transactionID: String
    /// Whether the transaction must not write.
    let isReadOnly: Mutex<Bool>
    /// The most keys of one GET_STATE_MULTIPLE; 0 if the peer doesn't know that message.
    let batchedKeys: Int
    private let send: @Sendable (Protos_ChaincodeMessage) -> Void
    private let state = Mutex(State())

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
        self.send = send
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
        await self.takeTurn()
        defer { self.passTurn() }
        let answer = try await withCheckedThrowingContinuation { (answer: Answer) in
            let ended = self.state.withLock { state -> (any Error)? in
                if state.ended == nil { state.answer = answer }
                return state.ended
            }
            if let ended { return answer.resume(throwing: ended) }
            self.send(
                .with {
                    $0.type = type
                    $0.payload = payload
                    $0.txid = self.transactionID
                    $0.channelID = self.channel
                }
            )
        }
        guard answer.type == .response else {
            throw PeerRefusal(description: String(decoding: answer.payload, as: UTF8.self))
        }
        return answer.payload
    }

    /// The next rows of a query.
    func more(_ identifier: String) async throws -> Protos_QueryResponse {
        try await self.ask(.queryStateNext, Protos_QueryStateNext.with { $0.id = identifier })
    }

    private func takeTurn() async {
        await withCheckedContinuation { turn in
            let isFree = self.state.withLock { state in
                guard state.isAsking else {
                    state.isAsking = true
                    return true
                }
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
