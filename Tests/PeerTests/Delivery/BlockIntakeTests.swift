import Channel
import FabricProtos
import Foundation
import Gossip
import Ledger
import Synchronization
import Testing

@testable import Peer

/// Blocks of an orderer and of other peers on their way into one ledger.
@Suite(.timeLimit(.minutes(2))) struct BlockIntakeTests {
    private let chain: [Common_Block]
    private let channel: PeerChannel
    private let pipeline: CommitPipeline
    private let intake = BlockIntake()

    init() throws {
        self.chain = try VectorNetwork.chain("side")
        self.channel = try VectorNetwork.registry().join(self.chain[0])
        self.pipeline = try VectorNetwork.pipeline(self.channel)
    }

    /// What an orderer sends; nothing more until the test ends it.
    private func orderer(_ blocks: [Common_Block]) -> (
        AsyncThrowingStream<Common_Block, any Error>,
        AsyncThrowingStream<Common_Block, any Error>.Continuation
    ) {
        let (stream, continuation) = AsyncThrowingStream.makeStream(of: Common_Block.self)
        for block in blocks { continuation.yield(block) }
        return (stream, continuation)
    }

    private func commit(_ blocks: AsyncThrowingStream<Common_Block, any Error>) async throws {
        let ledger = self.channel.ledger
        try await self.intake.commit(blocks, height: { ledger.height }) { try await self.pipeline.run($0) }
    }

    private func commitGiven() async throws {
        let ledger = self.channel.ledger
        try await self.intake.commitGiven(height: { ledger.height }) { try await self.pipeline.run($0) }
    }

    @Test func whatPeersGiveIsCommittedWhileNoOrdererSends() async throws {
        self.intake.give([self.chain[2], self.chain[1]], height: 1)
        let run = Task { try await self.commitGiven() }
        try await self.channel.committed.waitForBlock(2)
        self.intake.give([self.chain[3]], height: 3)
        try await self.channel.committed.waitForBlock(3)
        #expect(self.intake.givenCount == 1, "what is committed is forgotten")
        run.cancel()
        _ = await run.result
        #expect(self.channel.ledger.height == 4)
    }

    @Test func aSilentOrderersStreamDoesNotHoldUpWhatPeersGive() async throws {
        let (blocks, end) = self.orderer([self.chain[1]])
        let run = Task { try await self.commit(blocks) }
        try await self.channel.committed.waitForBlock(1)
        self.intake.give([self.chain[2]], height: 2)
        try await self.channel.committed.waitForBlock(2)
        #expect(self.intake.cameFromPeer(2))
        #expect(!self.intake.cameFromPeer(1))
        // The orderer wakes, and sends what is there already, and more.
        end.yield(self.chain[2])
        end.yield(self.chain[3])
        end.finish()
        try await run.value
        #expect(self.channel.ledger.height == 4)
    }

    @Test func anOrderersStreamTakesTheTurn() async throws {
        self.intake.give([self.chain[1]], height: 1)
        let given = Task { try await self.commitGiven() }
        try await self.channel.committed.waitForBlock(1)
        let (blocks, end) = self.orderer([self.chain[2], self.chain[3]])
        end.finish()
        try await self.commit(blocks)
        try await given.value
        #expect(self.channel.ledger.height == 4)
    }

    @Test func aPeersBlockThatIsRefusedIsItsFaultAndForgotten() async throws {
        let told = Mutex<[BlockNumber]>([])
        self.intake.connect { input in
            if case .refused(let number, _) = input { told.withLock { $0.append(number) } }
        }
        var unsigned = self.chain[1]
        unsigned.setMetadata(.signatures, Data())
        self.intake.give([unsigned], height: 1)
        await #expect(throws: RefusedPeerBlock.self) { try await self.commitGiven() }
        #expect(self.intake.givenCount == 0)
        while told.withLock({ $0.isEmpty }) { await Task.yield() }
        #expect(told.withLock { $0 } == [1])
        self.intake.give([self.chain[1]], height: 1)
        let run = Task { try await self.commitGiven() }
        try await self.channel.committed.waitForBlock(1)
        run.cancel()
        _ = await run.result
    }

    @Test func anOrderersBlockThatIsRefusedIsTheOrderersFault() async throws {
        var unsigned = self.chain[1]
        unsigned.setMetadata(.signatures, Data())
        let (blocks, end) = self.orderer([unsigned])
        await #expect(throws: RefusedBlock.self) { try await self.commit(blocks) }
        end.finish()
        #expect(self.channel.ledger.height == 1)
    }

    @Test func anOrderersErrorEndsTheRunAfterWhatItSent() async throws {
        struct Lost: Error {}
        let (blocks, end) = self.orderer([self.chain[1]])
        end.finish(throwing: Lost())
        await #expect(throws: Lost.self) { try await self.commit(blocks) }
        #expect(self.channel.ledger.height == 2)
    }

    @Test func whoIsCancelledWhileSomethingChangesHoldsNobodyUp() async {
        for _ in 0..<2_000 {
            let intake = BlockIntake()
            let waiting = (0..<8).map { _ in Task { try await intake.waitUntil(leads: false) } }
            await Task.yield()
            let changing = Task.detached { for _ in 0..<8 { intake.give([], height: 1) } }
            for task in waiting { task.cancel() }
            await changing.value
            for task in waiting { await #expect(throws: CancellationError.self) { try await task.value } }
        }
    }

    @Test func whoWaitsToLeadIsTold() async throws {
        let intake = BlockIntake(leads: false)
        let waiting = Task { try await intake.waitUntil(leads: true) }
        intake.leads = true
        try await waiting.value
        let other = Task { try await intake.waitUntil(leads: false) }
        other.cancel()
        await #expect(throws: CancellationError.self) { try await other.value }
    }
}
