internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import Logging
internal import SwiftProtobuf

/// Copies blocks of one channel from its other orderers, one orderer at a time.
///
/// Belongs to the channel's thread, which it blocks.
///
/// Source: Fabric v3.1, package `orderer/common/cluster`, block puller.
struct BlockPuller {
    let channel: OrderingChannel

    private enum Outcome {
        /// Everything that was wanted is here, or the channel was stopped.
        case done
        case goOn
    }

    /// Pulls blocks, and gives them to `take` in order.
    ///
    /// - Parameters:
    ///   - height: how many blocks there are, asked before each attempt.
    ///   - sources: the orderers to ask, as of the newest configuration.
    ///   - number: the last block that is wanted; `nil` for as many as some orderer has.
    ///   - patience: how long an orderer may send nothing.
    ///   - take: takes a block; what it throws, but for `ChainHalted`, speaks against the orderer.
    /// - Throws: ``ChainHalted``, or an error of the disk. That no orderer has the blocks is not an error.
    func pull(
        from height: () -> BlockNumber,
        sources: () -> [BlockSource],
        through number: BlockNumber?,
        patience: Duration,
        _ take: (Common_Block) throws -> Void
    ) throws {
        for source in self.shuffled(sources()) {
            if let number, height() > number { return }
            do {
                guard
                    try self.pull(from: height(), source: source, through: number, patience: patience, take)
                        == .goOn
                else { return }
            } catch {
                try self.judge(error, source)
            }
        }
    }

    /// In any order, so that not everybody asks the same one.
    private func shuffled(_ sources: [BlockSource]) -> [BlockSource] {
        let random = self.channel.settings.random
        return sources.map { ($0, random()) }.sorted { $0.1 < $1.1 }.map(\.0)
    }

    /// Pulls from one orderer until `isWanted` says no, it fails, or it sends nothing for `patience`.
    private func pull(
        from start: BlockNumber,
        source: BlockSource,
        through number: BlockNumber?,
        patience: Duration,
        _ take: (Common_Block) throws -> Void
    ) throws -> Outcome {
        let pull = self.request(from: start, source)
        self.channel.settings.network.run(pull)
        defer { pull.close() }
        while !self.isStopped {
            let blocks = try pull.take(patience: patience)
            if blocks.isEmpty { return .goOn }
            for block in blocks {
                try take(block)
                if let number, block.header.number >= number { return .done }
            }
        }
        return .done
    }

    /// Goes on for as long as `isWanted` says so after a block, over all orderers in turn.
    ///
    /// - Throws: as ``pull(from:sources:through:patience:_:)``.
    func follow(
        from height: () -> BlockNumber,
        sources: () -> [BlockSource],
        _ take: (Common_Block) throws -> Bool
    ) throws {
        var pause = Duration.milliseconds(100)
        while !self.isStopped {
            let sources = self.shuffled(sources())
            for source in sources {
                let before = height()
                do {
                    if try self.follow(from: before, source, take) { return }
                } catch {
                    try self.judge(error, source)
                }
                if height() > before { pause = .milliseconds(100) }
                guard !self.isStopped else { return }
                self.sleep(pause)
            }
            if sources.isEmpty { self.sleep(pause) }
            pause = min(pause * 3 / 2, .seconds(10))
        }
    }

    private func follow(
        from start: BlockNumber,
        _ source: BlockSource,
        _ take: (Common_Block) throws -> Bool
    ) throws -> Bool {
        let pull = self.request(from: start, source)
        self.channel.settings.network.run(pull)
        defer { pull.close() }
        while !self.isStopped {
            for block in try pull.take(patience: .milliseconds(200)) {
                guard try take(block) else { return true }
            }
        }
        return true
    }

    /// An orderer that fails, or sends what is no block of the channel, is not asked again for now.
    private func judge(_ error: any Error, _ source: BlockSource) throws {
        if error is ChainHalted || error is DiskFailure { throw error }
        self.channel.settings.logger.notice(
            "no blocks from an orderer",
            metadata: [
                "channel": "\(self.channel.id)", "orderer": "\(source)", "reason": "\(error)",
            ]
        )
    }

    /// Asks for all blocks from `start` on, in the name of this node.
    private func request(from start: BlockNumber, _ source: BlockSource) -> BlockPull {
        let settings = self.channel.settings
        let channel = self.channel.id.description
        return BlockPull(source: source) {
            var seek = Orderer_SeekInfo(from: .block(start), to: .block(.max))
            seek.errorResponse = .bestEffort
            return try Common_Envelope.signed(
                .deliverSeekInfo,
                channel: channel,
                data: seek.serializedData(),
                signer: settings.signer.current,
                nonce: settings.nonce(),
                timestamp: settings.date(),
                tlsCertificateHash: settings.certificateHash()
            )
        }
    }

    private var isStopped: Bool { self.channel.monitor.withLock { $0.isStopped } }

    private func sleep(_ delay: Duration) {
        let end = ContinuousClock.now + delay
        self.channel.monitor.wait { state -> Monitor<OrderingChannel.State>.Wait<Void> in
            let rest = end - ContinuousClock.now
            return state.isStopped || rest <= .zero ? .done(()) : .again(rest)
        }
    }
}

/// The disk failed, which is not the fault of the orderer that sent a block.
struct DiskFailure: Error, CustomStringConvertible {
    let description: String
}
