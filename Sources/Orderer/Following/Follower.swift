internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import Logging
internal import SwiftProtobuf

/// Copies a channel from its orderers while this node is no consenter: first up to the block that it joined with, then
/// on and on, until a configuration makes it one.
///
/// Every block must continue the chain and be signed as the configuration before it demands. The blocks before the one
/// that the node joined with prove themselves only by leading there: ``Onboarding`` finds out who gives others.
///
/// Belongs to the channel's thread.
///
/// Source: Fabric v3.1, package `orderer/common/follower`.
final class Follower {
    enum End {
        case stopped
        /// The newest configuration has this node among the consenters.
        case consenter
    }

    private let channel: OrderingChannel
    private let log: BlockLog
    /// The block that the node joined with.
    private let join: Common_Block
    /// What a consenter lacks that lost one of its stores.
    private let loss: LostStore?
    /// As of the newest block; `nil` while there is none.
    private(set) var configuration: ChannelConfiguration? {
        didSet { self.membership = nil }
    }
    /// Whether ``configuration`` has a node with these keys among the consenters.
    ///
    /// Kept, since their certificates take longer to read than anything else that is done with a block.
    private var membership: (serverKey: PublicKey?, identityKey: PublicKey, isConsenter: Bool)?
    private var unsyncedBytes = 0
    private var onboarding: Onboarding

    /// - Throws: ``OrdererError`` or ``ChainHalted`` for a ledger that can't be continued.
    init(channel: OrderingChannel, log: BlockLog, join: Common_Block, loss: LostStore? = nil) throws {
        self.channel = channel
        self.log = log
        self.join = join
        self.loss = loss
        self.onboarding = Onboarding(
            join: join.header,
            configuration: try ChannelConfiguration(configBlock: join)
        )
        self.configuration = log.height == 0 ? nil : try NewestBlocks(log, of: channel.id).configuration
    }

    /// Whether the block that the node joined with is still to come.
    var isOnboarding: Bool { self.log.height <= self.join.header.number }

    /// Whether the node has what it needs to order, and may.
    var mayOrder: Bool {
        guard !self.isOnboarding, self.loss?.isMadeGood(by: self.log) != false, let configuration else {
            return false
        }
        let serverKey = self.channel.settings.serverKey()
        let identity = self.channel.settings.signer.current
        let identityKey = identity.certificate.publicKey
        if let known = self.membership, known.serverKey == serverKey, known.identityKey == identityKey {
            return known.isConsenter
        }
        let consenters = try? ChannelConsenters(configuration)
        let isConsenter = consenters?.contains(serverKey: serverKey, identity) ?? false
        self.membership = (serverKey, identityKey, isConsenter)
        return isConsenter
    }

    /// Copies blocks until the channel is stopped or this node is to order.
    func follow() throws -> End {
        self.tell()
        let puller = BlockPuller(channel: self.channel)
        while !self.mayOrder, !puller.isStopped {
            if self.isOnboarding {
                try self.onboard(puller)
            } else if let configuration, configuration.isBFT, let header = self.log.lastHeader {
                let cluster = ClusterPuller(puller, header: header, configuration: configuration)
                try cluster.follow(while: { !self.mayOrder }) { block in
                    try self.append(block)
                    let configuration = self.configuration ?? configuration
                    return (configuration, configuration.isBFT && !self.mayOrder)
                }
            } else {
                try puller.follow(
                    from: { self.log.height },
                    sources: { self.sources },
                    while: { !self.mayOrder }
                ) { block in
                    try self.append(block)
                    return self.configuration?.isBFT != true && !self.mayOrder
                }
            }
        }
        do {
            try self.log.sync()
        } catch {
            throw DiskFailure(description: "\(error)")
        }
        return self.mayOrder ? .consenter : .stopped
    }

    /// Copies the blocks through the one that the node joined with.
    private func onboard(_ puller: BlockPuller) throws {
        var pause = Duration.milliseconds(100)
        while self.isOnboarding, !puller.isStopped {
            try self.askEach(puller, waiting: .milliseconds(200))
            guard self.isOnboarding, !puller.isStopped else { return }
            puller.sleep(pause)
            pause = min(pause * 3 / 2, .seconds(10))
        }
    }

    /// Asks one orderer after the other for the blocks through the one that the node joined with, until they are there or
    /// each was asked, or what was copied turns out to be of another channel and is removed.
    ///
    /// - Parameters:
    ///   - puller: asks orderers.
    ///   - step: how long the thread may be blocked at a time.
    /// - Throws: ``ChainHalted`` if the node was joined with a block of another channel, or an error of the disk.
    func askEach(_ puller: BlockPuller, waiting step: Duration) throws {
        let settings = self.channel.settings
        if self.onboarding.refutes(self.log.lastHeader) { try self.beginAnew() }
        let missing = MissingBlocks(
            puller,
            sources: self.onboarding.trusted,
            through: self.join.header.number,
            patience: settings.limits.sourcePatience,
            turn: .seconds(30)
        )
        while self.isOnboarding, !puller.isStopped {
            let height = self.log.height
            guard let blocks = try missing.take(from: height, at: settings.clock(), waiting: step) else {
                settings.logger.notice(
                    "no orderer gives the next block up to the one that this node was joined with; asking again",
                    metadata: [
                        "channel": "\(self.channel.id)", "block": "\(height)",
                        "join": "\(self.join.header.number)",
                    ]
                )
                return
            }
            guard try self.take(blocks, missing) else { return }
        }
    }

    /// Appends blocks that an orderer gives to a node that joins; `false` if all were removed again.
    private func take(_ blocks: [Common_Block], _ missing: MissingBlocks) throws -> Bool {
        guard let giver = missing.giver else { return true }
        for block in blocks where self.isOnboarding {
            let verdict: Onboarding.Verdict
            do {
                try self.append(block)
                verdict = self.onboarding.appended(block.header, from: giver)
            } catch {
                try missing.reject(error)
                verdict = self.onboarding.refused(block.header, after: self.log.lastHeader, from: giver)
            }
            switch verdict {
            case .goOn: continue
            case .askOthers: return true
            case .beginAnew:
                try self.beginAnew()
                return false
            case .halt:
                try self.beginAnew()
                throw ChainHalted(
                    reason:
                        "block \(self.join.header.number) of the channel's orderers is another one than the block that this "
                        + "node was joined with: remove the channel from this node, and join it with a block of this "
                        + "channel"
                )
            }
        }
        return true
    }

    /// Forgets all blocks, which don't lead to the one that the node joined with.
    private func beginAnew() throws {
        self.channel.settings.logger.warning(
            "the blocks that an orderer gave don't lead to the one that this node was joined with: copying them anew",
            metadata: ["channel": "\(self.channel.id)", "removed": "\(self.log.height)"]
        )
        do {
            try self.log.removeAll()
        } catch {
            throw DiskFailure(description: "\(error)")
        }
        self.configuration = nil
        self.channel.feed.emptied()
    }

    /// The orderers to ask behind the block that the node joined with: those of the newest configuration.
    var sources: [BlockSource] { self.configuration?.blockSources ?? [] }

    /// Appends the next block, if it continues the chain and is signed as it must be.
    func append(_ block: Common_Block) throws {
        let number = self.log.height
        try block.checkStructure(after: self.log.lastHeader, expected: number)
        if let configuration, number > 0 { try block.verifySignatures(under: configuration) }
        if number == self.join.header.number, block.header != self.join.header {
            throw MalformedBlock(number: number, reason: "it is another one than this node was joined with")
        }
        var next: ChannelConfiguration?
        if block.isConfigBlock {
            next = try ChannelConfiguration(configBlock: block)
            guard next?.channelID == self.channel.id else {
                throw MalformedBlock(number: number, reason: "it is of another channel")
            }
        } else if number == 0 {
            throw MalformedBlock(number: 0, reason: "the first block of a channel must be a config block")
        }
        do {
            try self.log.append(block, durably: false)
            self.unsyncedBytes += block.data.data.reduce(0) { $0 + $1.count }
            if self.unsyncedBytes > self.channel.settings.limits.unsyncedBlockBytes {
                try self.log.sync()
                self.unsyncedBytes = 0
            }
        } catch {
            throw DiskFailure(description: "\(error)")
        }
        self.channel.feed.append(try DeliverableBlock(block))
        if let next {
            self.configuration = next
            if !self.isOnboarding {
                self.channel.settings.adopted(next)
                self.channel.monitor.withLock { $0.configuration = next }
            }
        }
        if next != nil || number == self.join.header.number { self.tell() }
        self.channel.settings.logger.debug(
            "copied block",
            metadata: ["channel": "\(self.channel.id)", "block": "\(number)"]
        )
    }

    /// Shows what this node is for the channel.
    private func tell() {
        let isOnboarding = self.isOnboarding
        self.channel.monitor.withLock { state in
            state.standing = OrderingChannel.Standing(relation: .follower, isOnboarding: isOnboarding)
            if state.health != .stopped { state.health = .following }
        }
    }
}

extension ChannelConfiguration {
    /// Whether orderers of the channel may lie.
    var isBFT: Bool { self.orderer?.consensusType == "BFT" }
}
