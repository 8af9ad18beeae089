internal import Gossip

/// Who waits for what gossip does about private data.
struct PrivateDataRequests {
    private var last: UInt64 = 0
    private var pushes: [UInt64: CheckedContinuation<String?, Never>] = [:]
    private var pulls: [UInt64: CheckedContinuation<[PulledPrivateData]?, Never>] = [:]

    mutating func add(push continuation: CheckedContinuation<String?, Never>) -> UInt64 {
        self.last &+= 1
        self.pushes[self.last] = continuation
        return self.last
    }

    mutating func add(pull continuation: CheckedContinuation<[PulledPrivateData]?, Never>) -> UInt64 {
        self.last &+= 1
        self.pulls[self.last] = continuation
        return self.last
    }

    /// Answers whoever waits for this.
    ///
    /// - Returns: `false` if it isn't an answer.
    mutating func finish(_ effect: PrivateDataEffect) -> Bool {
        switch effect {
        case .pushed(let request, let failure):
            self.pushes.removeValue(forKey: request)?.resume(returning: failure)
        case .pulled(let request, let pulled):
            self.pulls.removeValue(forKey: request)?.resume(returning: pulled)
        case .read, .keep: return false
        }
        return true
    }

    /// Tells all who wait that nothing will come.
    mutating func failAll() {
        for continuation in self.pushes.values {
            continuation.resume(returning: "this peer is shutting down")
        }
        for continuation in self.pulls.values { continuation.resume(returning: nil) }
        self.pushes = [:]
        self.pulls = [:]
    }
}
