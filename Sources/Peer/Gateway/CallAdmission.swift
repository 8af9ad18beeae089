internal import GRPCCore
internal import Synchronization

/// Counts the calls of a service that are under way and refuses those beyond a limit.
///
/// - Source: Fabric v3, `peer.limits.concurrency` of core.yaml.
package final class CallAdmission: Sendable {
    private let service: String
    private let limit: Int
    private let running = Atomic(0)

    /// - Parameters:
    ///   - service: The service's path, as the refusal names it.
    ///   - limit: The most calls at once; 0 for no limit.
    package init(service: String, limit: Int) {
        self.service = service
        self.limit = limit
    }

    /// Runs `call`, unless too many are running.
    ///
    /// - Throws: `RPCError` (UNKNOWN, as Fabric's peers answer) if the call is refused; what `call` throws.
    package func admit<Value>(_ call: () async throws -> Value) async throws -> Value {
        let count = self.running.add(1, ordering: .relaxed).newValue
        defer { self.running.subtract(1, ordering: .relaxed) }
        guard self.limit == 0 || count <= self.limit else {
            throw RPCError(
                code: .unknown,
                message: "too many requests for \(self.service), exceeding concurrency limit (\(self.limit))"
            )
        }
        return try await call()
    }
}
