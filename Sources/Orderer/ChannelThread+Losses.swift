internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import Ledger
internal import Logging

/// What the thread of a channel does when its node lost a disk.
extension ChannelThread {
    /// How long the other orderers have to tell their newest blocks.
    private static let patience = Duration.seconds(1)
    /// Behind how many blocks that others have a BFT consenter can have promised nothing: it votes on the block behind
    /// the newest one that it holds, and others may lack that one and the one before.
    private static let promised: BlockNumber = 3

    /// What this consenter has lost, and has to copy before it orders; may ask the other orderers for that.
    ///
    /// - Throws: ``ChainHalted`` if there is nobody to copy from, or an error of a store.
    func loss(_ log: BlockLog, _ consensus: any KeyValueStore, isBFT: Bool) throws -> LostStore? {
        let loss =
            isBFT
            ? try LostStore.ledger(log, bft: consensus) ?? self.lostPromises(log, consensus)
            : try LostStore.ledger(log, consensus) ?? self.lateStart(log, consensus)
        guard let loss else { return nil }
        guard !self.others(log).isEmpty else {
            throw ChainHalted(
                reason:
                    "the ledger lacks blocks that the consensus store has let go, and no other orderer has them: "
                    + "restore both folders from one backup"
            )
        }
        self.settings.logger.warning(
            "this consenter is new or lost a store, and copies blocks before it orders",
            metadata: [
                "channel": "\(self.channel.id)", "height": "\(log.height)", "until": "\(loss.description)",
            ]
        )
        return loss
    }

    /// Whether a chain can't be made before blocks are copied or other orderers are asked.
    func hasLoss(_ log: BlockLog, _ consensus: any KeyValueStore, isBFT: Bool) throws -> Bool {
        guard isBFT else {
            return try LostStore.ledger(log, consensus) != nil || self.mayBeLate(log, consensus)
        }
        return try LostStore.ledger(log, bft: consensus) != nil || !BFTStore(consensus).hasBegun
    }

    /// Whether the channel is at its first block here, where nothing says that this node ever took part.
    private func mayBeLate(_ log: BlockLog, _ consensus: any KeyValueStore) throws -> Bool {
        try log.height <= 1 && RaftStore(consensus).isEmpty
    }

    /// A Raft consenter whose channel is at its first block here but not elsewhere is late, or lost both stores and was
    /// given the genesis block again: the chain that is made now has to find out what it promised.
    ///
    /// - Returns: What it has to copy first, if that block has it order alone.
    private func lateStart(_ log: BlockLog, _ consensus: any KeyValueStore) throws -> LostStore? {
        guard try self.mayBeLate(log, consensus), let configuration = self.newestConfiguration(log) else {
            return nil
        }
        let others = self.others(log)
        guard !others.isEmpty else { return nil }
        let puller = BlockPuller(channel: self.channel)
        guard let newest = puller.newestNumbers(of: others, patience: Self.patience).max(), newest > 0 else {
            return nil
        }
        guard try RaftConsenters(configuration).count > 1 else {
            let (height, isTooFar) = newest.addingReportingOverflow(1)
            return .blocks(height: isTooFar ? .max : height)
        }
        try RaftStore(consensus).forget()
        return nil
    }

    /// What a BFT consenter may have promised that has no consensus store.
    enum Promises {
        /// It takes part for the first time, or since its store says.
        case kept
        /// It promised nothing behind so many blocks.
        case lost(height: BlockNumber)
        /// Too few others tell how far they are: why that matters, and what to do.
        case unknown(String)
    }

    private func lostPromises(_ log: BlockLog, _ consensus: any KeyValueStore) throws -> LostStore? {
        let puller = BlockPuller(channel: self.channel)
        while !puller.isStopped {
            switch try self.promises(log, consensus) {
            case .kept: return nil
            case .lost(let height): return .promises(height: height)
            case .unknown(let reason):
                self.fail(.unavailable(reason))
                self.settings.logger.warning("\(reason)", metadata: ["channel": "\(self.channel.id)"])
                puller.rest(.seconds(1))
            }
        }
        return .promises(height: .max)
    }

    /// What a BFT consenter may have promised, as far as the others tell now.
    ///
    /// Notes in the store since when it takes part.
    func promises(_ log: BlockLog, _ consensus: any KeyValueStore) throws -> Promises {
        let store = BFTStore(consensus)
        guard try !store.hasBegun else { return .kept }
        if try !RaftStore(consensus).isEmpty {
            // The channel was one of Raft until now, and this node has promised nothing to BFT consenters.
            try log.sync()
            try store.begin(at: log.height)
            return .kept
        }
        let others = self.others(log)
        let consenters = try self.newestConsenters(log)
        let failures = BFTBlockValidation.tolerableFailures(of: consenters)
        let isNew = try self.isNew(log)
        let puller = BlockPuller(channel: self.channel)
        // This node is one of the f that may fail: of the others f - 1 may lie about what they have.
        let newest =
            others.isEmpty ? [] : puller.newestNumbers(of: others, patience: Self.patience).sorted(by: >)
        let place = max(0, failures - 1)
        let highest = place < newest.count ? newest[place] : 0
        if isNew, highest < max(1, log.height) {
            // Nobody has more: this node begins with the others.
            if log.height > 0 {
                try log.sync()
                try store.begin(at: log.height)
            }
            return .kept
        }
        guard isNew || consenters == 1 || newest.count >= consenters - failures else {
            return .unknown(
                "this consenter lost what it promised the others, and only \(newest.count) other orderers of the channel's "
                    + "endpoints tell how far they are, of \(consenters - failures) that must: start the others, or remove the channel from this node and add "
                    + "the node again with another identity and number"
            )
        }
        let (height, isTooFar) = highest.addingReportingOverflow(Self.promised)
        return .lost(height: isTooFar ? .max : height)
    }

    /// Copies what is missing.
    func makeGood(_ loss: LostStore, _ log: BlockLog, _ consensus: any KeyValueStore, _ opened: () -> Void)
        throws
    {
        let follower = try self.follower(log, loss: loss)
        opened()
        guard try follower.follow() == .consenter else { return }
        try loss.end(log, consensus)
    }

    // MARK: - What the ledger says

    /// The orderers besides this node that the newest configuration names.
    private func others(_ log: BlockLog) -> [BlockSource] {
        guard let configuration = self.newestConfiguration(log) else { return [] }
        var own: String?
        if configuration.orderer?.consensusType == "BFT" {
            own = (try? BFTConsenters(configuration))?.own(self.settings.signer.current)?.endpoint
        } else if let consenters = try? RaftConsenters(configuration),
            let membership = try? ClusterMembership(
                consenters,
                identifiers: (1...UInt64(max(1, consenters.count))).map { $0 },
                configuration: configuration
            )
        {
            own = membership.own(self.settings.serverKey()).flatMap { membership.member($0)?.endpoint }
        }
        return Set(configuration.blockSources.filter { $0.address != own }).sorted { $0.address < $1.address }
    }

    private func newestConsenters(_ log: BlockLog) throws -> Int {
        guard let configuration = self.newestConfiguration(log) else { return 1 }
        return try BFTConsenters(configuration).count
    }

    /// Whether the newest block is the one that makes this node a consenter of BFT.
    private func isNew(_ log: BlockLog) throws -> Bool {
        guard log.height > 1 else { return true }
        guard let number = log.lastHeader?.number, let last = try log.block(number), last.isConfigBlock,
            let before = try log.block(number - 1)
        else { return false }
        let config = before.isConfigBlock ? before.header.number : try before.lastConfigNumber()
        guard let block = try log.block(config) else { return false }
        let previous = try ChannelConfiguration(configBlock: block)
        guard previous.orderer?.consensusType == "BFT" else { return true }
        return try BFTConsenters(previous).own(self.settings.signer.current) == nil
    }
}
