package import FabricProtos

extension Orderer_BroadcastResponse {
    /// Whether the orderer has the envelope: it takes it, or had it before.
    ///
    /// Fabric's BFT orderers answer SERVICE_UNAVAILABLE in the second case.
    ///
    /// - Source: Fabric v3.1, package `orderer/common/broadcast` with the pool of SmartBFT, and `internal/pkg/gateway`.
    package var isTaken: Bool {
        switch self.status {
        case .success: true
        case .serviceUnavailable:
            self.info.hasSuffix("request already exists") || self.info.hasSuffix("request already processed")
        default: false
        }
    }
}
