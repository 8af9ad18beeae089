import Synchronization
import Testing

@testable import Peer

@Suite struct VerificationThreadsTests {
    @Test(arguments: [0, 1, 7, 1_000])
    func doesEveryPieceOnce(count: Int) async {
        let threads = VerificationThreads(count: 4)
        let done = Mutex(Array(repeating: 0, count: count))
        let batch = threads.start(count: count) { index in
            done.withLock { $0[index] += 1 }
        }
        await batch.finished()
        await batch.finished()
        #expect(done.withLock { $0 } == Array(repeating: 1, count: count))
    }

    @Test func finishesWhatIsQueuedAfterItIsLetGo() async {
        let count = Atomic(0)
        let sum = Shared(count)
        var batches: [VerificationThreads.Batch] = []
        do {
            let threads = VerificationThreads(count: 2)
            for _ in 0..<10 {
                batches.append(threads.start(count: 10) { _ in sum.add() })
            }
        }
        for batch in batches { await batch.finished() }
        #expect(sum.value == 100)
    }

    private final class Shared: Sendable {
        private let count: Atomic<Int>
        init(_ count: consuming Atomic<Int>) { self.count = count }
        func add() { self.count.add(1, ordering: .relaxed) }
        var value: Int { self.count.load(ordering: .relaxed) }
    }
}
