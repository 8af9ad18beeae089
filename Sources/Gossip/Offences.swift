/// What bad peers did.
///
/// Each kind of offence of each peer is noted once an hour, however often it happens.
struct Offences: Sendable {
    private struct Offence: Hashable {
        var peer: PKIID
        var kind: String
    }

    private var noted: Set<Offence> = []
    private var since: Duration = .zero
    /// How many are told apart; what is beyond them is not noted until the hour is over.
    static let capacity = 4_096
    static let period: Duration = .seconds(3_600)

    /// Whether this is to be noted.
    mutating func isNew(_ peer: PKIID, _ kind: String, now: Duration) -> Bool {
        if now - self.since >= Self.period {
            self.noted = []
            self.since = now
        }
        guard self.noted.count < Self.capacity else { return false }
        return self.noted.insert(Offence(peer: peer, kind: kind)).inserted
    }
}

extension GossipContext {
    /// Notes what a peer did that it should not have done; once for each peer and `kind`.
    ///
    /// `peer` is who is at the other end of the connection, and not whom a message names: names can be invented.
    package mutating func blame(_ peer: PKIID, _ kind: String, _ text: @autoclosure () -> String) {
        guard self.offences.isNew(peer, kind, now: self.now) else { return }
        let organization = self.identities.mspID(of: peer).map { " of \($0)" } ?? ""
        self.note(.warning, "peer \(peer)\(organization) \(text()); more of this is not noted")
    }
}
