/// Those who are alive, in an order that is the same in every run.
struct AliveMembers: Sendable {
    private(set) var members: [PKIID: AliveMember]
    /// Their names, in ascending order: chance that picks from a dictionary could not be repeated.
    private(set) var names: [PKIID]

    init(_ members: [PKIID: AliveMember]) {
        self.members = members
        self.names = members.keys.sorted()
    }

    subscript(peer: PKIID) -> AliveMember? {
        get { self.members[peer] }
        set {
            let isKnown = self.members.updateValue(newValue, forKey: peer)
            switch (isKnown, newValue) {
            case (nil, _?): self.names.insert(peer, at: self.position(of: peer))
            case (_?, nil): self.names.remove(at: self.position(of: peer))
            default: break
            }
        }
    }

    private func position(of peer: PKIID) -> Int {
        var low = 0
        var high = self.names.count
        while low < high {
            let middle = (low + high) / 2
            if self.names[middle] < peer { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension [PKIID: AliveMember] {
    /// Puts a value there, or takes it away; gives back what was there.
    fileprivate mutating func updateValue(_ value: AliveMember?, forKey key: PKIID) -> AliveMember? {
        guard let value else { return self.removeValue(forKey: key) }
        return self.updateValue(value, forKey: key)
    }
}

extension GossipContext {
    /// A number from 0 to `bound` - 1.
    package mutating func random(below bound: Int) -> Int {
        bound <= 1 ? 0 : Int(truncatingIfNeeded: self.random.next() % UInt64(bound))
    }

    /// Up to `count` of those who are alive and wanted, by chance.
    package mutating func someMembers(
        _ count: Int,
        where isWanted: (AliveMember) -> Bool = { _ in true }
    ) -> [AliveMember] {
        let names = self.alive.names
        var chosen: [AliveMember] = []
        guard count > 0, !names.isEmpty else { return [] }
        // Mostly a few throws find them.
        for _ in 0..<(4 * count) where chosen.count < min(count, names.count) {
            guard let member = self.alive[names[self.random(below: names.count)]] else { continue }
            if !chosen.contains(where: { $0.pkiID == member.pkiID }), isWanted(member) {
                chosen.append(member)
            }
        }
        guard chosen.count < min(count, names.count) else { return chosen }
        var rest = names.compactMap { self.alive[$0] }.filter { member in
            isWanted(member) && !chosen.contains { $0.pkiID == member.pkiID }
        }
        while chosen.count < count, !rest.isEmpty {
            chosen.append(rest.remove(at: self.random(below: rest.count)))
        }
        return chosen
    }
}
