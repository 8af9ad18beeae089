internal import Gossip
internal import Logging

/// Says in the log who has come and who is gone.
///
/// - Source: Fabric v3.1, package `gossip/gossip`, `membershipTracker`.
struct MembershipTracker: Sendable {
    let interval: Duration
    let logger: Logger

    /// Runs until the task is cancelled.
    func run(_ view: @Sendable () -> GossipView) async {
        guard self.interval > .zero else { return }
        var known: [PKIID: String] = [:]
        while !Task.isCancelled {
            let current = view().members.mapValues { "\($0.mspID) at \($0.endpoint ?? "an unknown address")" }
            let come = current.filter { known[$0.key] == nil }
            let gone = known.filter { current[$0.key] == nil }
            if !come.isEmpty || !gone.isEmpty {
                self.logger.info(
                    "membership view has changed",
                    metadata: [
                        "online": "\(Self.text(come))", "offline": "\(Self.text(gone))",
                        "peers": "\(current.count)",
                    ]
                )
            }
            known = current
            try? await Task.sleep(for: self.interval)
        }
    }

    private static func text(_ peers: [PKIID: String]) -> String {
        peers.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }.joined(separator: ", ")
    }
}
