import Consensus

/// What must hold after every step of a BFT cluster, whatever f nodes do; and everything that was ever signed.
struct BFTInvariants {
    private struct Place: Hashable {
        var node: NodeID
        var height: UInt64
        var view: BFTView
    }

    /// The first breach; the run ends with it.
    private(set) var violation: String?
    /// The hashes of the blocks, by number, and who votes on the next one.
    private(set) var blocks: [UInt64]
    private(set) var voters: [BFTVoters]
    private(set) var acknowledged: [UInt64: UInt64] = [:]
    private var ordered: Set<UInt64> = []

    private var signed: [(signer: NodeID, statement: BFTStatement)] = []
    private var prepared: [Place: BFTBallot] = [:]
    private var committed: [Place: BFTBallot] = [:]
    /// The last commit vote and the last given up view of an honest node at a height; the key's view is 0.
    private var lastCommit: [Place: BFTView] = [:]
    private var timedOut: [Place: (view: BFTView, lock: BFTView?)] = [:]
    private var blockSignatures: [BFTBallot: Set<NodeID>] = [:]
    /// The only block at a height that a quorum's block signatures make final.
    private var final: [UInt64: BFTBallot] = [:]

    init(genesis: SimulatedBlock) {
        self.blocks = [genesis.hash]
        self.voters = [BFTVoters(genesis.consenters)]
    }

    mutating func violated(_ text: String) { self.violation = self.violation ?? text }

    // MARK: Signatures

    /// Signs: nobody can make a signature of somebody else.
    mutating func sign(_ statement: BFTStatement, by node: NodeID, isHonest: Bool) -> [UInt8] {
        if isHonest { self.check(statement, of: node) }
        self.signed.append((node, statement))
        if case .vote(.commit, let ballot) = statement { self.countBlockSignature(ballot, of: node) }
        let number = self.signed.count - 1
        return (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    func isSigned(_ claim: BFTClaim) -> Bool {
        let bytes = claim.signature.bytes
        guard bytes.count == 4 else { return false }
        let number = (0..<4).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
        guard number < self.signed.count else { return false }
        return self.signed[number].signer == claim.signature.signer
            && self.signed[number].statement == claim.statement
    }

    /// An honest node never says two things that exclude each other, also across crashes.
    private mutating func check(_ statement: BFTStatement, of node: NodeID) {
        switch statement {
        case .vote(let phase, let ballot):
            let place = Place(node: node, height: ballot.round.height, view: ballot.round.view)
            let other =
                phase == .prepare
                ? self.prepared.updateValue(ballot, forKey: place)
                : self.committed.updateValue(ballot, forKey: place)
            if let other, other != ballot {
                self.violated("node \(node) votes twice in view \(place.view) of block \(place.height)")
            }
            guard phase == .commit else { return }
            let height = Place(node: node, height: ballot.round.height, view: 0)
            self.lastCommit[height] = max(self.lastCommit[height] ?? 0, place.view)
            if let timeout = self.timedOut[height], timeout.view >= place.view,
                timeout.lock.map({ $0 < place.view }) ?? true
            {
                self.violated(
                    "node \(node) commits in view \(place.view), which it gave up, of block \(place.height)"
                )
            }
        case .timeout(let height, let view, let lock):
            let place = Place(node: node, height: height, view: 0)
            if let last = self.lastCommit[place], last <= view, lock.map({ $0 < last }) ?? true {
                self.violated("node \(node) hides its lock of view \(last) of block \(height)")
            }
            if (self.timedOut[place]?.view ?? 0) <= view { self.timedOut[place] = (view, lock) }
        }
    }

    /// No block with q block signatures that isn't final: there is one such block at each height, and it is the one
    /// that nodes hold.
    private mutating func countBlockSignature(_ ballot: BFTBallot, of node: NodeID) {
        let height = Int(ballot.round.height)
        guard height >= 1, height <= self.voters.count, self.voters[height - 1].contains(node) else { return }
        self.blockSignatures[ballot, default: []].insert(node)
        guard (self.blockSignatures[ballot]?.count ?? 0) >= self.voters[height - 1].quorum else { return }
        if let other = self.final[ballot.round.height], other.digest != ballot.digest {
            self.violated(
                "two blocks \(height) have the signatures of a quorum, in views \(other.round.view) and \(ballot.round.view)"
            )
        }
        self.final[ballot.round.height] = ballot
    }

    // MARK: Blocks

    /// One block per height, with a quorum's signatures; each envelope once.
    mutating func appends(_ node: NodeID, _ block: SimulatedBlock, _ certificate: BFTCertificate) {
        let number = Int(block.number)
        guard number >= 1, number <= self.blocks.count else {
            return self.violated("node \(node) has block \(number), and nobody the one before")
        }
        guard self.isProof(certificate, of: block, voters: self.voters[number - 1]) else {
            return self.violated("node \(node) holds block \(number) without the signatures of a quorum")
        }
        if number < self.blocks.count {
            if self.blocks[number] != block.hash { self.violated("two blocks \(number) are final") }
            return
        }
        self.blocks.append(block.hash)
        self.voters.append(block.isConfig ? BFTVoters(block.consenters) : self.voters[number - 1])
        for envelope in block.envelopes where !self.ordered.insert(envelope).inserted {
            self.violated("envelope \(envelope) is ordered twice")
        }
    }

    func isProof(_ certificate: BFTCertificate, of block: SimulatedBlock, voters: BFTVoters) -> Bool {
        let signers = Set(certificate.signatures.map(\.signer))
        return certificate.phase == .commit && certificate.height == block.number
            && certificate.ballot.digest == BFTCluster.digest(block.bytes)
            && signers.count >= voters.quorum && signers.allSatisfy { voters.contains($0) }
            && certificate.claims.allSatisfy { self.isSigned($0) }
    }

    /// A client was told that its envelope is ordered.
    mutating func acknowledges(_ envelopes: [UInt64], in block: UInt64) {
        for envelope in envelopes { self.acknowledged[envelope] = block }
    }

    /// At the end: what was acknowledged is where it was said to be.
    mutating func checkAcknowledged(in ledger: [SimulatedBFTDisk.LedgerBlock]) {
        for (envelope, number) in self.acknowledged.sorted(by: { $0.key < $1.key }) {
            guard Int(number) < ledger.count, ledger[Int(number)].block.envelopes.contains(envelope) else {
                return self.violated("envelope \(envelope) was acknowledged but isn't in block \(number)")
            }
        }
    }
}
