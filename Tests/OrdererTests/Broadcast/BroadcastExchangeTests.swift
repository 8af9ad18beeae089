import FabricProtos
import Synchronization
import Testing

@testable import Orderer

@Suite struct BroadcastExchangeTests {
    private func limits(envelopes: Int, bytes: Int) -> OrdererLimits {
        var limits = OrdererLimits()
        limits.readAheadEnvelopes = envelopes
        limits.readAheadBytes = bytes
        return limits
    }

    @Test("envelopes go to their channel in order, however their checks end")
    func submitsInOrder() async throws {
        let exchange = BroadcastExchange(limits: self.limits(envelopes: 10, bytes: 1000))
        let submitted = Mutex<[Int]>([])
        for _ in 0..<4 { _ = await exchange.take(bytes: 1) }
        for number in [2, 0, 3, 1] {
            exchange.checked([
                (
                    number,
                    .accepted { _ in
                        submitted.withLock { $0.append(number) }
                        return .accepted
                    }
                )
            ])
        }
        exchange.close()
        #expect(submitted.withLock { $0 } == [0, 1, 2, 3])
        #expect(await exchange.nextAnswers().count == 4)
        #expect(await exchange.nextAnswers().isEmpty)
    }

    @Test("nothing behind a refused envelope is submitted")
    func stopsAtRefusal() async throws {
        let exchange = BroadcastExchange(limits: self.limits(envelopes: 10, bytes: 1000))
        let submitted = Mutex<[Int]>([])
        for _ in 0..<3 { _ = await exchange.take(bytes: 1) }
        for number in [0, 2] {
            exchange.checked([
                (
                    number,
                    .accepted { _ in
                        submitted.withLock { $0.append(number) }
                        return .accepted
                    }
                )
            ])
        }
        exchange.checked([(1, .refused(.badRequest("no")))])
        #expect(submitted.withLock { $0 } == [0])
        #expect(await exchange.nextAnswers().map(\.status) == [.success, .badRequest])
        #expect(await exchange.nextAnswers().isEmpty)
        #expect(await exchange.take(bytes: 1) == nil)
    }

    @Test("reading ahead stops at the bound of envelopes or bytes, and goes on with an answer")
    func bounds() async throws {
        for limits in [self.limits(envelopes: 2, bytes: 1000), self.limits(envelopes: 100, bytes: 20)] {
            let exchange = BroadcastExchange(limits: limits)
            _ = await exchange.take(bytes: 10)
            _ = await exchange.take(bytes: 10)
            let third = Task { await exchange.take(bytes: 10) }
            exchange.checked([(0, .accepted { _ in .accepted })])
            #expect(await exchange.nextAnswers() == [.accepted])
            #expect(await third.value == 2)
        }
    }

    @Test("an envelope larger than the bound is read when nothing else is unanswered")
    func takesOneLarge() async {
        let exchange = BroadcastExchange(limits: self.limits(envelopes: 2, bytes: 10))
        #expect(await exchange.take(bytes: 1000) == 0)
    }

    @Test("whoever doesn't wait is told of answers, of room after there was none, and of the end")
    func tells() {
        let calls = Mutex(0)
        let exchange = BroadcastExchange(limits: self.limits(envelopes: 1, bytes: 10)) {
            calls.withLock { $0 += 1 }
        }
        guard case .taken(0) = exchange.takeNow(bytes: 10) else {
            Issue.record("there is room")
            return
        }
        guard case .full = exchange.takeNow(bytes: 1) else {
            Issue.record("there is no room")
            return
        }
        #expect(calls.withLock { $0 } == 0)
        exchange.checked([(0, .accepted { _ in .accepted })])
        #expect(calls.withLock { $0 } == 1, "an answer is there")
        #expect(exchange.takeAnswers().answers == [.accepted])
        #expect(calls.withLock { $0 } == 2, "there is room")
        guard case .taken(1) = exchange.takeNow(bytes: 1) else {
            Issue.record("there is room")
            return
        }
        exchange.close()
        #expect(calls.withLock { $0 } == 2, "an envelope is unanswered")
        guard case .closed = exchange.takeNow(bytes: 1) else {
            Issue.record("it is closed")
            return
        }
        exchange.checked([(1, .refused(.badRequest("no")))])
        #expect(calls.withLock { $0 } == 3)
        let (answers, isDone) = exchange.takeAnswers()
        #expect(answers.map(\.status) == [.badRequest] && isDone)
    }

    @Test("cancelling ends the wait for an answer")
    func cancels() async {
        let exchange = BroadcastExchange(limits: self.limits(envelopes: 2, bytes: 10))
        _ = await exchange.take(bytes: 1)
        let writer = Task { await exchange.nextAnswers() }
        writer.cancel()
        #expect(await writer.value.isEmpty)
    }
}
