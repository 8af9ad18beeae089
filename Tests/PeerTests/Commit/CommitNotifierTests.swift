import Channel
import FabricProtos
import Foundation
import Ledger
import Testing

@testable import Peer

@Suite struct CommitNotifierTests {
    private func committed(_ number: UInt64, codes: [Protos_TxValidationCode] = [.valid]) -> CommittedBlock {
        var block = Common_Block()
        block.header.number = number
        block.data.data = codes.map { _ in Data([1]) }
        return CommittedBlock(block: block, codes: codes, commitHash: Data())
    }

    @Test func wakesThoseWhoWaitForABlock() async throws {
        let notifier = CommitNotifier(height: 5)
        try await notifier.waitForBlock(4)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<10 { group.addTask { try await notifier.waitForBlock(6) } }
            notifier.publish(self.committed(5), transactionIDs: [nil])
            notifier.publish(self.committed(6), transactionIDs: [nil])
            try await group.waitForAll()
        }
        #expect(notifier.height == 7)
    }

    @Test func tellsWhatBecameOfATransaction() async throws {
        let notifier = CommitNotifier(height: 1)
        let status = try await withThrowingTaskGroup(of: CommitNotifier.TransactionStatus.self) { group in
            group.addTask {
                try await notifier.waitForTransaction("b") {
                    notifier.publish(
                        self.committed(1, codes: [.valid, .mvccReadConflict]),
                        transactionIDs: ["a", "b"]
                    )
                    return nil
                }
            }
            return try #require(try await group.next())
        }
        #expect(status == CommitNotifier.TransactionStatus(code: .mvccReadConflict, block: 1))
    }

    @Test func asksTheLedgerForATransactionThatIsCommittedAlready() async throws {
        let notifier = CommitNotifier(height: 9)
        let known = CommitNotifier.TransactionStatus(code: .valid, block: 3)
        #expect(try await notifier.waitForTransaction("a") { known } == known)
    }

    private struct Searched: Error {}

    @Test func doesNotSearchTheLedgerForATransactionThatIsKnownToBeInNoBlock() async throws {
        let notifier = CommitNotifier(height: 4)
        notifier.expect("a", asOf: 4)
        let waiting = Task {
            try await notifier.waitForTransaction("a") { throw Searched() }
        }
        // Whichever comes first, the wait or the block: the ledger is asked only for what is in a block.
        notifier.publish(self.committed(4), transactionIDs: ["a"])
        let known = CommitNotifier.TransactionStatus(code: .valid, block: 4)
        #expect(try await notifier.waitForTransaction("a") { known } == known)
        do {
            #expect(try await waiting.value == known)
        } catch is Searched {}
    }

    @Test func expectsNothingThatWasFoundAbsentBeforeTheLastBlock() async throws {
        let notifier = CommitNotifier(height: 4)
        notifier.publish(self.committed(4), transactionIDs: ["a"])
        notifier.expect("a", asOf: 4)
        await #expect(throws: Searched.self) {
            try await notifier.waitForTransaction("a") { throw Searched() }
        }
    }

    @Test func failsThoseWhoWaitUntilItIsOpenedAgain() async throws {
        let notifier = CommitNotifier(height: 4)
        notifier.close("no disk")
        await #expect(throws: CommitNotifier.Closed.self) { try await notifier.waitForBlock(4) }
        await #expect(throws: CommitNotifier.Closed.self) {
            try await notifier.waitForTransaction("a") { nil }
        }
        let known = CommitNotifier.TransactionStatus(code: .valid, block: 3)
        #expect(
            try await notifier.waitForTransaction("a") { known } == known,
            "what is committed can be told"
        )
        notifier.open()
        notifier.publish(self.committed(4), transactionIDs: ["a"])
        try await notifier.waitForBlock(4)
    }

    @Test func refusesMoreWaitersThanItsBound() async throws {
        let notifier = CommitNotifier(height: 0, waitLimit: 0)
        await #expect(throws: CommitNotifier.TooManyWaiters.self) { try await notifier.waitForBlock(0) }
    }

    @Test func releasesWaitersThatAreCancelled() async throws {
        let notifier = CommitNotifier(height: 0, waitLimit: 2)
        for _ in 0..<5 {
            await withTaskGroup(of: Bool.self) { group in
                group.addTask { (try? await notifier.waitForBlock(0)) == nil }
                group.addTask { (try? await notifier.waitForTransaction("x") { nil }) == nil }
                await Task.yield()
                group.cancelAll()
                for await isReleased in group { #expect(isReleased) }
            }
        }
    }

    @Test func keepsTheLastBlocksOnly() {
        let notifier = CommitNotifier(height: 0)
        for number in 0..<100 { notifier.publish(self.committed(UInt64(number)), transactionIDs: [nil]) }
        #expect(notifier.recentBlock(99)?.block.header.number == 99)
        #expect(notifier.recentBlock(80)?.block.header.number == 80)
        #expect(notifier.recentBlock(10) == nil)
        #expect(notifier.recentBlock(100) == nil)
    }
}
