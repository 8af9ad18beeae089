import Foundation
import Testing

@testable import Peer

/// The parts that contracts are made of.
@Suite struct ContractPiecesTests {
    @Test func workOnBlockingThreadsLeavesTheCooperativeThreads() async {
        let executor = BlockingExecutor(name: "test", threads: 3)
        let total = await withTaskGroup(of: Int.self) { group in
            for number in 1...100 {
                group.addTask {
                    await withTaskExecutorPreference(executor) {
                        await Self.double(number)
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(total == 10_100)
    }

    private static func double(_ number: Int) async -> Int {
        Self.block()
        return number * 2
    }

    /// Blocks the thread for a moment; with three threads for a hundred tasks, all must still finish.
    private static func block() { Thread.sleep(forTimeInterval: 0.001) }
}
