import Channel
import FabricProtos
import Foundation
import GRPCCore
import GRPCInProcessTransport
import Synchronization
import Testing

@testable import Peer

@Suite struct DeliverServiceTests {
    /// What came back: block numbers, then a status.
    private struct Answer: Equatable {
        var blocks: [UInt64] = []
        var status: Common_Status?
    }

    /// A peer with the chain "side" (blocks 0 to 3), answering in process.
    private struct Network: Sendable {
        let registry = VectorNetwork.registry()
        let channel: PeerChannel
        let service: DeliverService
        let records = Records()

        init(certificateHash: ClientCertificateHash = .notRequired) async throws {
            let registry = self.registry
            let records = self.records
            self.channel = try await VectorNetwork.sideChannel(in: registry)
            let msp = try #require(self.channel.configuration.directory[MSPID("AlphaMSP")])
            self.service = DeliverService(
                channels: registry,
                access: AccessGate(
                    localMSP: msp,
                    configuration: { registry[$0]?.configuration },
                    record: { records.add($0) }
                ),
                readers: BlockingExecutor(name: "test", threads: 1),
                clientCertificateHash: { _ in certificateHash },
                logger: VectorNetwork.logger
            )
        }

        func ask<Value: Sendable>(
            _ body:
                @Sendable @escaping (Protos_Deliver.Client<InProcessTransport.Client>) async throws -> Value
        ) async throws -> Value {
            let transport = InProcessTransport()
            return try await withGRPCServer(transport: transport.server, services: [self.service]) { _ in
                try await withGRPCClient(transport: transport.client) { client in
                    try await body(Protos_Deliver.Client(wrapping: client))
                }
            }
        }

        func deliver(_ envelope: Common_Envelope) async throws -> Answer {
            try await self.ask { client in
                try await client.deliver(request: StreamingClientRequest { try await $0.write(envelope) }) {
                    var answer = Answer()
                    for try await message in $0.messages {
                        if case .block(let block)? = message.type {
                            answer.blocks.append(block.header.number)
                        }
                        if case .status(let status)? = message.type { answer.status = status }
                    }
                    return answer
                }
            }
        }
    }

    private final class Records: Sendable {
        private let records = Mutex<[AccessRecord]>([])
        func add(_ record: AccessRecord) { self.records.withLock { $0.append(record) } }
        var all: [AccessRecord] { self.records.withLock { $0 } }
    }

    private func seek(
        _ start: Orderer_SeekPosition,
        _ stop: Orderer_SeekPosition,
        _ behavior: Orderer_SeekInfo.SeekBehavior = .blockUntilReady
    ) throws -> Common_Envelope {
        try VectorNetwork.seek(
            "vecside",
            Orderer_SeekInfo(from: start, to: stop, behavior: behavior),
            signer: VectorNetwork.user("alpha")
        )
    }

    @Test func deliversTheBlocksThatAreAskedForAndThenAStatus() async throws {
        let network = try await Network()
        #expect(
            try await network.deliver(self.seek(.block(1), .block(2)))
                == Answer(blocks: [1, 2], status: .success)
        )
        #expect(
            try await network.deliver(self.seek(.oldestBlock, .newestBlock))
                == Answer(blocks: [0, 1, 2, 3], status: .success)
        )
        #expect(
            try await network.deliver(self.seek(.newestBlock, .newestBlock))
                == Answer(blocks: [3], status: .success)
        )
        #expect(network.records.all.count == 3)
        #expect(network.records.all.allSatisfy { $0.isGranted && $0.request.resource == "event/Block" })
    }

    @Test func answersWhatIsNotThereAsFabricDoes() async throws {
        let network = try await Network()
        #expect(try await network.deliver(self.seek(.block(5), .block(9))) == Answer(status: .notFound))
        #expect(
            try await network.deliver(self.seek(.block(2), .block(.max), .failIfNotReady))
                == Answer(blocks: [2, 3], status: .notFound)
        )
        #expect(try await network.deliver(self.seek(.block(3), .block(2))) == Answer(status: .badRequest))
        #expect(
            try await network.deliver(self.seek(Orderer_SeekPosition(), .block(2)))
                == Answer(status: .notFound)
        )
        let incomplete = try VectorNetwork.seek(
            "vecside",
            Orderer_SeekInfo(),
            signer: VectorNetwork.user("alpha")
        )
        #expect(try await network.deliver(incomplete) == Answer(status: .badRequest))
        let elsewhere = try VectorNetwork.seek(
            "elsewhere",
            Orderer_SeekInfo(from: .oldestBlock, to: .newestBlock),
            signer: VectorNetwork.user("alpha")
        )
        #expect(try await network.deliver(elsewhere) == Answer(status: .notFound))
    }

    @Test func refusesOldTimestampsWrongSignaturesStrangersAndOtherTLSCertificates() async throws {
        let network = try await Network()
        let seek = Orderer_SeekInfo(from: .oldestBlock, to: .newestBlock)
        let late = try VectorNetwork.seek(
            "vecside",
            seek,
            signer: VectorNetwork.user("alpha"),
            timestamp: Date(timeIntervalSinceNow: -3_600)
        )
        #expect(try await network.deliver(late) == Answer(status: .badRequest))
        var forged = try VectorNetwork.seek("vecside", seek, signer: VectorNetwork.user("alpha"))
        forged.signature = try VectorNetwork.user("bravo").sign(forged.payload)
        #expect(try await network.deliver(forged) == Answer(status: .forbidden))
        #expect(network.records.all.map(\.isGranted) == [false])
        #expect(try await network.deliver(Common_Envelope()) == Answer(status: .badRequest))

        let bound = try await Network(certificateHash: .required(Data([1, 2, 3])))
        #expect(try await bound.deliver(self.seek(.oldestBlock, .newestBlock)) == Answer(status: .badRequest))
        let repeated = try VectorNetwork.seek(
            "vecside",
            seek,
            signer: VectorNetwork.user("alpha"),
            tlsCertificateHash: Data([1, 2, 3])
        )
        #expect(try await bound.deliver(repeated).status == .success)
    }

    @Test func waitsForBlocksToCome() async throws {
        let network = try await Network()
        let envelope = try self.seek(.block(4), .block(5))
        let user = try VectorNetwork.user("alpha")
        let answer = try await withThrowingTaskGroup(of: Answer?.self) { group in
            group.addTask { try await network.deliver(envelope) }
            group.addTask {
                for _ in 0..<2 {
                    let message = try VectorNetwork.message(network.channel, from: user)
                    let block = try VectorNetwork.nextBlock(
                        of: network.channel,
                        [message],
                        signer: VectorNetwork.orderer()
                    )
                    try await VectorNetwork.pipeline(network.channel).run(AsyncStream([block]))
                }
                return nil
            }
            var answer: Answer?
            while let result = try await group.next() { answer = result ?? answer }
            return answer
        }
        #expect(answer == Answer(blocks: [4, 5], status: .success))
    }

    @Test func endsWhenThePeerShutsDown() async throws {
        let network = try await Network()
        network.channel.committed.close("the peer is shutting down")
        #expect(
            try await network.deliver(self.seek(.newestBlock, .block(.max)))
                == Answer(blocks: [3], status: .serviceUnavailable)
        )
    }

    @Test func headersComeWithoutDataUnlessTheBlockIsAConfiguration() async throws {
        let network = try await Network()
        let envelope = try VectorNetwork.seek(
            "vecside",
            Orderer_SeekInfo(from: .block(0), to: .block(1), contentType: .headerWithSig),
            signer: VectorNetwork.user("alpha")
        )
        let hasData = try await network.ask { client in
            try await client.deliver(request: StreamingClientRequest { try await $0.write(envelope) }) {
                var hasData: [Bool] = []
                for try await message in $0.messages {
                    if case .block(let block)? = message.type { hasData.append(block.hasData) }
                }
                return hasData
            }
        }
        #expect(hasData == [true, false])
    }

    @Test func filteredBlocksTellCodesAndHideData() async throws {
        let network = try await Network()
        let envelope = try self.seek(.block(3), .block(3))
        let filtered = try await network.ask { client in
            try await client.deliverFiltered(request: StreamingClientRequest { try await $0.write(envelope) })
            {
                var filtered: [Protos_FilteredBlock] = []
                for try await message in $0.messages {
                    if case .filteredBlock(let block)? = message.type { filtered.append(block) }
                }
                return filtered
            }
        }
        let block = try #require(filtered.first)
        #expect(block.number == 3 && block.channelID == "vecside")
        let transaction = try #require(block.filteredTransactions.first)
        #expect(transaction.type == .endorserTransaction && transaction.txValidationCode == .valid)
        #expect(transaction.txid.count == 64)
        #expect(network.records.all.map(\.request.resource) == ["event/FilteredBlock"])
    }
}
