/// How many messages a peer may send: so many at once, and so many in a second.
struct Allowance: Sendable {
    private var left: Double
    private var filled: Duration
    private let perSecond: Double
    private let atOnce: Double

    init(atOnce: Int, perSecond: Int, now: Duration) {
        self.atOnce = Double(atOnce)
        self.perSecond = Double(perSecond)
        self.left = Double(atOnce)
        self.filled = now
    }

    /// Takes one; `false` if there is none.
    mutating func take(now: Duration) -> Bool {
        self.left = min(self.atOnce, self.left + (now - self.filled) / .seconds(1) * self.perSecond)
        self.filled = now
        guard self.left >= 1 else { return false }
        self.left -= 1
        return true
    }
}
