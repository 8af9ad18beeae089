internal import Channel

/// In which order the gateway asks the orderers of a channel, of which each is as good as any other.
struct OrdererTurns {
    /// How long one that failed is asked after the others.
    private static let avoidance = Duration.seconds(10)

    /// Orderers that failed lately, by address, and until when they are asked after the others.
    private var avoided: [String: ContinuousClock.Instant] = [:]

    /// One could not be reached, or didn't answer.
    mutating func failed(_ address: String, at now: ContinuousClock.Instant) {
        self.avoided[address] = now + Self.avoidance
    }

    /// One that answers is there: while a leader says nothing, those that hand envelopes to it fail together with it.
    mutating func answered(_ address: String) {
        if self.avoided[address] != nil { self.avoided[address] = nil }
    }

    /// The orderers in any order, but those that failed lately at the end, the one that failed last as the last one.
    func order(_ orderers: [OrdererEndpoint], at now: ContinuousClock.Instant) -> [OrdererEndpoint] {
        let shuffled = orderers.shuffled()
        let avoided = self.avoided.filter { $0.value > now }
        guard !avoided.isEmpty else { return shuffled }
        return shuffled.filter { avoided[$0.address] == nil }
            + shuffled.filter { avoided[$0.address] != nil }
            .sorted { avoided[$0.address] ?? now < avoided[$1.address] ?? now }
    }
}
