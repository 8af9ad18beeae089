internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import RPC
internal import SwiftProtobuf

/// One Broadcast call that the transport serves without tasks: reads ahead, has envelopes checked and ordered, and answers in
/// the order of arrival; ends after the first answer that is not SUCCESS.
final class BroadcastStream: DirectStreamService, @unchecked Sendable {
    // Why `@unchecked`: what is variable belongs to the thread of the call, see `DirectStreamService`.
    private let exchange: BroadcastExchange
    private let checks: EnvelopeChecks
    /// What came in while there was no room.
    private var held: ReceivedEnvelope?
    /// Answers that are being sent, and how many of them are.
    private var answers: [Orderer_BroadcastResponse] = []
    private var sent = 0
    /// The last answer was not SUCCESS.
    private var isRefused = false
    /// Why the input ended early.
    private var failure: RPCError?

    init(_ stream: DirectStream, limits: OrdererLimits, checks: EnvelopeChecks) {
        self.exchange = BroadcastExchange(limits: limits) { stream.wake() }
        self.checks = checks
    }

    func received(_ message: borrowing IncomingMessage) -> Bool {
        var bytes = Data(count: message.count)
        bytes.withUnsafeMutableBytes { message.copy(to: $0) }
        do {
            return self.take(try ReceivedEnvelope(bytes))
        } catch {
            self.failure = RPCError(
                code: .invalidArgument,
                message: "a message is no envelope: \(error)"
            )
            self.exchange.close()
            return false
        }
    }

    func readsOn() -> Bool {
        guard let held = self.held.take() else { return false }
        return self.take(held)
    }

    private func take(_ envelope: ReceivedEnvelope) -> Bool {
        switch self.exchange.takeNow(bytes: envelope.size) {
        case .taken(let number):
            self.checks.add(envelope, number: number, of: self.exchange)
            return true
        case .full:
            self.held = envelope
            return false
        case .closed: return false
        }
    }

    func inputEnded(isComplete: Bool) {
        if !isComplete, self.failure == nil {
            self.failure = RPCError(code: .cancelled, message: "the client is gone")
        }
        self.exchange.close()
    }

    func nextPart() -> DirectStreamPart? {
        if self.sent == self.answers.count {
            if self.isRefused { return .end(nil) }
            let (answers, isDone) = self.exchange.takeAnswers()
            // Everything is answered; what ended the input early, such as bytes that are no envelope, ends the call.
            if answers.isEmpty { return isDone ? .end(self.failure) : nil }
            self.answers = answers
            self.sent = 0
        }
        let answer = self.answers[self.sent]
        self.sent += 1
        if answer.status != .success { self.isRefused = true }
        return .message(Self.bytes(answer), more: self.sent < self.answers.count)
    }

    func ended() {
        self.held = nil
        self.exchange.close()
    }

    private static let acceptedBytes = MessageBytes(encoded(.accepted))

    private static func bytes(_ answer: Orderer_BroadcastResponse) -> MessageBytes {
        answer.status == .success && answer.info.isEmpty ? Self.acceptedBytes : MessageBytes(encoded(answer))
    }

    /// Answers have no required fields and no `Any`: encoding them can't fail.
    private static func encoded(_ answer: Orderer_BroadcastResponse) -> [UInt8] {
        (try? answer.serializedBytes()) ?? []
    }
}
