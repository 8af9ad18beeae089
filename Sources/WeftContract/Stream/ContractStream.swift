package import FabricProtos
internal import Foundation
internal import SwiftProtobuf
internal import Synchronization

/// The contract's end of a chaincode stream: registers, and executes the transactions that the peer sends.
///
/// - Source: Fabric v3.1, `fabric-chaincode-go/shim/handler.go`; the rules are in `docs/flows/chaincode.md`.
package final class ContractStream: Sendable {
    private struct Key: Hashable {
        var channel: String
        var transaction: String
    }

    private enum Phase { case created, established, ready }

    private struct State {
        var phase = Phase.created
        var batchedKeys = 0
        var sessions: [Key: TransactionSession] = [:]
    }

    /// More than a peer of Weft or Fabric has running at once on one stream.
    private static let mostTransactions = 50_000

    private let packageID: String
    private let contracts: ContractSet
    private let send: @Sendable (Protos_ChaincodeMessage) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - packageID: what it registers as.
    ///   - contracts: what it executes.
    ///   - send: takes what goes to the peer, in order.
    package init(
        packageID: String,
        contracts: ContractSet,
        send: @escaping @Sendable (Protos_ChaincodeMessage) -> Void
    ) {
        self.packageID = packageID
        self.contracts = contracts
        self.send = send
    }

    /// Serves until `messages`, which come from the peer, end; what runs then is given up.
    ///
    /// - Throws: ``StreamFault`` if the peer breaks the protocol; the error of `messages`.
    package func run<Messages: AsyncSequence & Sendable>(
        _ messages: Messages
    ) async throws where Messages.Element == Protos_ChaincodeMessage {
        let name = Protos_ChaincodeID.with { $0.name = self.packageID }
        let payload: Data = try name.serializedBytes()
        self.send(
            .with {
                $0.type = .register
                $0.payload = payload
            }
        )
        defer { self.endSessions() }
        try await withThrowingDiscardingTaskGroup { group in
            for try await message in messages {
                if let work = try self.received(message) { group.addTask { await work() } }
            }
            self.endSessions()
            group.cancelAll()
        }
    }

    private func endSessions() {
        let sessions = self.state.withLock { state in
            defer { state.sessions = [:] }
            return Array(state.sessions.values)
        }
        for session in sessions { session.end(StreamFault(description: "the stream to the peer has ended")) }
    }

    /// What a message makes to be done.
    private func received(_ message: Protos_ChaincodeMessage) throws -> (@Sendable () async -> Void)? {
        if message.type == .keepalive {
            self.send(message)
            return nil
        }
        switch (self.state.withLock { $0.phase }, message.type) {
        case (.created, .registered):
            self.state.withLock { $0.phase = .established }
        case (.created, .error):
            throw StreamFault(
                description: "the peer refused: \(String(decoding: message.payload, as: UTF8.self))"
            )
        case (.established, .ready):
            self.state.withLock { state in
                state.phase = .ready
                state.batchedKeys = Self.batchedKeys(message.payload)
            }
        case (.ready, .transaction), (.ready, .init_):
            return self.begin(message)
        case (.ready, .response), (.ready, .error):
            let key = Key(channel: message.channelID, transaction: message.txid)
            self.state.withLock { $0.sessions[key] }?.received(message)
        case (let phase, let type):
            self.send(message.ended(.error, Data("[\(message.txid)] message \(type) while \(phase)".utf8)))
            throw StreamFault(description: "the peer sent \(type) while the stream was \(phase)")
        }
        return nil
    }

    /// Peers before version 3.1 send an empty READY: they don't know the messages for several keys.
    private static func batchedKeys(_ payload: Data) -> Int {
        guard let parameters = try? Protos_ChaincodeAdditionalParams(serializedBytes: payload),
            parameters.useGetMultipleKeys
        else { return 0 }
        return Int(parameters.maxSizeGetMultipleKeys)
    }

    private func begin(_ message: Protos_ChaincodeMessage) -> (@Sendable () async -> Void)? {
        let key = Key(channel: message.channelID, transaction: message.txid)
        let session = self.state.withLock { state -> TransactionSession? in
            guard state.sessions[key] == nil, state.sessions.count < Self.mostTransactions else { return nil }
            let session = TransactionSession(
                channel: message.channelID,
                transactionID: message.txid,
                batchedKeys: state.batchedKeys,
                send: self.send
            )
            state.sessions[key] = session
            return session
        }
        guard let session else {
            self.send(
                message.ended(.error, Data("transaction \(message.txid) runs already, or too many do".utf8))
            )
            return nil
        }
        return {
            let ended = await self.execute(message, session)
            session.end(ContractError.transactionHasEnded)
            _ = self.state.withLock { $0.sessions.removeValue(forKey: key) }
            self.send(ended)
        }
    }

    /// The message with which a transaction ends.
    private func execute(
        _ message: Protos_ChaincodeMessage,
        _ session: TransactionSession
    ) async -> Protos_ChaincodeMessage {
        do {
            let context = try TransactionContext(message, session)
            let response = await self.contracts.respond(to: context)
            // As the shim for Go: an initialization that fails has no response.
            guard !context.isInit || response.status < 500 else {
                return message.ended(.error, Data(response.message.utf8))
            }
            var ended = message.ended(.completed, try response.serializedBytes())
            if response.status < 400, let event = context.chaincodeEvent { ended.chaincodeEvent = event }
            return ended
        } catch {
            return message.ended(.error, Data("\(error)".utf8))
        }
    }
}

extension ContractError {
    /// For tasks that outlive their transaction.
    static let transactionHasEnded = ContractError(
        "the transaction has ended; what it does must be awaited before it returns"
    )
}

/// Why a stream to a peer has ended.
package struct StreamFault: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String
}

extension Protos_ChaincodeMessage {
    /// A message that ends the transaction which this one began.
    fileprivate func ended(_ type: TypeEnum, _ payload: Data) -> Self {
        .with {
            $0.type = type
            $0.payload = payload
            $0.txid = self.txid
            $0.channelID = self.channelID
        }
    }
}
