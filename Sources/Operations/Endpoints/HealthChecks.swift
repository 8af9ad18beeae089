internal import Foundation
internal import Synchronization

/// What must be well for a node to be called healthy.
package final class HealthChecks: Sendable {
    /// Throws the reason when something isn't well.
    package typealias Check = @Sendable () async throws -> Void

    private let checks = Mutex<[String: Check]>([:])

    package init() {}

    /// Adds a check, in place of one of the same name.
    package func register(_ component: String, _ check: @escaping Check) {
        self.checks.withLock { $0[component] = check }
    }

    package func remove(_ component: String) {
        self.checks.withLock { $0[component] = nil }
    }

    /// Runs all checks.
    ///
    /// - Returns: Fabric's JSON: 200, or 503 with the checks that failed.
    func answer() async -> HTTPExchangeResponse {
        let checks = self.checks.withLock { $0.sorted { $0.key < $1.key } }
        var failed: [String] = []
        for (component, check) in checks {
            do {
                try await check()
            } catch {
                failed.append(#"{"component":\#(jsonText(component)),"reason":\#(jsonText("\(error)"))}"#)
            }
        }
        let time = TimeLayout("2006-01-02T15:04:05.999999999Z07:00").format(Date())
        let status = failed.isEmpty ? "OK" : "Service Unavailable"
        let list = failed.isEmpty ? "" : #","failed_checks":[\#(failed.joined(separator: ","))]"#
        return .json(failed.isEmpty ? 200 : 503, #"{"status":"\#(status)","time":"\#(time)"\#(list)}"#)
    }
}

/// Why a check failed.
package struct Unhealthy: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}
