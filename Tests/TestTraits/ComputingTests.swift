internal import Foundation
internal import Synchronization
package import Testing

/// Runs tests on threads of their own, since they compute for many seconds without a pause: on Swift's few cooperative
/// threads every other test would stand still meanwhile, and its time run out.
package struct ComputingTests: SuiteTrait, TestTrait, TestScoping {
    package let isRecursive = true

    package func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(ThreadPerJob()) { try await function() }
    }
}

extension Trait where Self == ComputingTests {
    /// The tests compute for long, and run on threads of their own.
    package static var computing: Self { Self() }
}

/// A new thread for each piece of work: tests that compute have few.
private final class ThreadPerJob: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let thread = Thread { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        thread.stackSize = 8 << 20
        thread.start()
    }
}
