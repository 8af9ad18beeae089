import Channel
import Consensus
import FabricProtos
import Foundation
import Ledger
import Simulation

@testable import Orderer

/// What becomes of a machine that lost its disk, or a part of what is on it.
extension ChainNode {
    /// The process dies, and what is on its disk is lost.
    func lose(_ loss: ChainDisk.Loss) {
        let node = self.cluster.settings.isBFT ? nil : self.consenter?.chain.id
        self.lostHeight = max(self.lostHeight, self.height)
        self.lostLife = self.life
        self.isWhole = false
        self.lacksPromises = self.lacksPromises || loss != .log
        self.crash()
        self.disk.lose(loss)
        self.cluster.counts.lostDisks += 1
        if loss != .log, let node { self.cluster.invariants.loses(self.machine, node) }
        self.cluster.trace("machine \(self.machine) lost \(loss) of its disk")
    }

    /// Notes what it has again.
    func noteMended() {
        let hasPromises = self.process?.bft != nil || self.consenter?.chain.details.unheard == nil
        guard self.orders else { return }
        self.lacksPromises = false
        if hasPromises, self.height >= self.lostHeight { self.isWhole = true }
    }

    /// Who lost its promises to Raft's others is started when it can ask them, by which it learns that it is not new.
    var mayJoin: Bool {
        guard !self.cluster.settings.isBFT, self.lacksPromises else { return true }
        return self.cluster.consenters.contains { machine in
            guard machine != self.machine, let other = self.cluster.source(machine, for: self.machine) else {
                return false
            }
            return other.height > 1
        }
    }

    struct UnknownPromises: Error {
        var reason: String
    }

    /// What a consenter lost that it has to copy.
    func loss(_ log: BlockLog, _ thread: ChannelThread) throws -> LostStore? {
        guard self.cluster.settings.isBFT else {
            return try thread.loss(log, self.disk.consensus, isBFT: false)
        }
        guard self.lostLife > 0 else { return nil }
        if let loss = try LostStore.ledger(log, bft: self.disk.consensus) { return loss }
        guard !self.disk.forgetsLoss else { return nil }
        guard try BFTStore(self.disk.consensus).hasBegun || self.isKnownToBeLate(log) else {
            throw UnknownPromises(reason: "nobody tells that the channel has gone on")
        }
        switch try thread.promises(log, self.disk.consensus) {
        case .kept: return nil
        case .lost(let height): return .promises(height: height)
        case .unknown(let reason): throw UnknownPromises(reason: reason)
        }
    }

    /// Whether enough others have blocks behind the one that made this node a consenter: without, one that lost its promises
    /// can't tell that it isn't new.
    private func isKnownToBeLate(_ log: BlockLog) throws -> Bool {
        let newest = try log.lastHeader.flatMap { try log.block($0.number) }
        let least = newest?.isConfigBlock == false ? 0 : max(1, log.height)
        let consenters = self.cluster.consenters
        let late = consenters.count { machine in
            machine != self.machine
                && self.cluster.source(machine, for: self.machine).map { $0.height > least } ?? false
        }
        return late >= consenters.count - BFTVoters(consenters).faults
    }
}
