import Glibc
import Synchronization
import UnixSignals

/// Whether the user, or a script, has asked a command to come to its end: SIGINT or SIGTERM.
///
/// The second signal ends the process at once.
final class Interruption: Sendable {
    private let flag = Atomic(false)

    var isRequested: Bool { self.flag.load(ordering: .acquiring) }

    /// Runs `body`, and takes the signals while it runs.
    func watch<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in signals where self.flag.exchange(true, ordering: .acquiringAndReleasing) {
                    exit(130)
                }
            }
            defer { group.cancelAll() }
            return try await body()
        }
    }
}
