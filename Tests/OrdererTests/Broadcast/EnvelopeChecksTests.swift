import FabricProtos
import Foundation
import SwiftProtobuf
import Synchronization
import Testing

@testable import Orderer

@Suite struct EnvelopeChecksTests {
    @Test("every envelope is checked once and submitted in the order of arrival", arguments: [1, 3])
    func checksAll(threads: Int) async {
        let submitted = Mutex<[String]>([])
        let exchange = BroadcastExchange(limits: OrdererLimits())
        let checks = EnvelopeChecks(on: WorkerThreads(name: "check", count: threads)) { received in
            .accepted { _ in
                submitted.withLock { $0.append(String(decoding: received.envelope.payload, as: UTF8.self)) }
                return .accepted
            }
        }
        let names = (0..<200).map { "envelope \($0)" }
        for name in names {
            guard let number = await exchange.take(bytes: 1) else { break }
            let envelope = Common_Envelope.with { $0.payload = Data(name.utf8) }
            checks.add(ReceivedEnvelope(envelope), number: number, of: exchange)
        }
        exchange.close()
        var answers = 0
        while case let some = await exchange.nextAnswers(), !some.isEmpty { answers += some.count }
        #expect(answers == 200)
        #expect(submitted.withLock { $0 } == names)
    }
}
