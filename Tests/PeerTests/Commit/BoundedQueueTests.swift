import Testing

@testable import Peer

@Suite struct BoundedQueueTests {
    @Test func givesElementsInOrderThroughANarrowBound() async throws {
        let queue = BoundedQueue<Int>(limit: 3)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 0..<1_000 { try await queue.send(number, cost: 1) }
                queue.finish()
            }
            var received: [Int] = []
            while let number = try await queue.next() { received.append(number) }
            #expect(received == Array(0..<1_000))
            try await group.waitForAll()
        }
        #expect(try await queue.next() == nil)
    }

    @Test func letsAnElementPassThatIsLargerThanTheBound() async throws {
        let queue = BoundedQueue<String>(limit: 10)
        try await queue.send("huge", cost: 1_000)
        #expect(try await queue.next() == "huge")
    }

    @Test func givesWhatIsReadyWithoutWaiting() async throws {
        let queue = BoundedQueue<Int>(limit: 2)
        #expect(queue.nextIfReady { _ in true } == nil)
        try await queue.send(1, cost: 1)
        try await queue.send(2, cost: 1)
        #expect(queue.nextIfReady { $0 > 1 } == nil, "the first is not ready, and nothing overtakes it")
        #expect(queue.nextIfReady { $0 == 1 } == 1)
        try await queue.send(3, cost: 1)
        #expect(try await queue.next() == 2)
    }

    @Test func whoeverWaitsIsReleasedByCancellation() async throws {
        let full = BoundedQueue<Int>(limit: 1)
        try await full.send(1, cost: 1)
        let empty = BoundedQueue<Int>(limit: 1)
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await Self.isCancelled { try await full.send(2, cost: 1) } }
            group.addTask { await Self.isCancelled { _ = try await empty.next() } }
            await Task.yield()
            group.cancelAll()
            for await isCancelled in group { #expect(isCancelled) }
        }
    }

    private static func isCancelled(_ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return false
        } catch {
            return error is CancellationError
        }
    }
}
