internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import Logging
internal import SwiftProtobuf

/// Asks a channel's other orderers for blocks, one orderer at a time.
///
/// Belongs to the channel's thread.
///
/// Source: Fabric v3.1, package `orderer/common/cluster`, block puller.
struct BlockPuller {
    let channel: OrderingChannel

    /// In any order, so that not everybody asks the same one.
    func shuffled(_ sources: [BlockSource]) -> [BlockSource] {
        let random = self.channel.settings.random
        return sources.map { ($0, random()) }.sorted { $0.1 < $1.1 }.map(\.0)
    }

    /// Copies blocks for as long as `take` says so after a block, over all orderers in turn.
    ///
    /// Blocks the thread.
    ///
    /// - Parameters:
    ///   - height: how many blocks there are, asked before each attempt.
    ///   - sources: the orderers to ask, as of the newest configuration.
    ///   - isWanted: whether more are wanted, asked also while none come.
    ///   - take: takes a block, and says whether more are wanted; what it throws, but for `ChainHalted` and an error of
    ///     the disk, speaks against the orderer.
    /// - Throws: ``ChainHalted``, or an error of the disk.
    func follow(
        from height: () -> BlockNumber,
        sources: () -> [BlockSource],
        while isWanted: () -> Bool,
        _ take: (Common_Block) throws -> Bool
    ) throws {
        var pause = Duration.milliseconds(100)
        while !self.isStopped, isWanted() {
            let sources = self.shuffled(sources())
            for source in sources {
                guard !self.isStopped, isWanted() else { return }
                let before = height()
                do {
                    if try self.follow(from: before, source, take) { return }
                    pause = .milliseconds(100)
                    continue
                } catch {
                    try self.judge(error, source)
                }
                if height() > before { pause = .milliseconds(100) }
                self.sleep(pause)
            }
            if sources.isEmpty { self.sleep(pause) }
            pause = min(pause * 3 / 2, .seconds(10))
        }
    }

    /// Takes blocks of one orderer until it fails, or `take` says that it was enough; `true` if it was, or the channel was
    /// stopped, `false` if it has sent nothing for a while: others may have what it lacks.
    func follow(
        from start: BlockNumber,
        _ source: BlockSource,
        _ take: (Common_Block) throws -> Bool
    ) throws -> Bool {
        let pull = self.request(from: start, source)
        self.channel.settings.network.run(pull)
        defer { pull.close() }
        var heard = ContinuousClock.now
        while !self.isStopped {
            let blocks = try pull.take(patience: .milliseconds(200))
            for block in blocks { guard try take(block) else { return true } }
            if !blocks.isEmpty {
                heard = .now
            } else if heard.duration(to: .now) > self.channel.settings.limits.sourcePatience {
                return false
            }
        }
        return true
    }

    /// An orderer that fails, or sends what is no block of the channel, is not asked again for now.
    func judge(_ error: any Error, _ source: BlockSource) throws {
        if error is ChainHalted || error is DiskFailure { throw error }
        self.channel.settings.logger.notice(
            "no blocks from an orderer",
            metadata: [
                "channel": "\(self.channel.id)", "orderer": "\(source)", "reason": "\(error)",
            ]
        )
    }

    /// Asks for all blocks from `start` on, in the name of this node; the channel's thread is woken when some come in.
    func request(
        from start: BlockNumber,
        _ source: BlockSource,
        contentType: Orderer_SeekInfo.SeekContentType = .block
    ) -> BlockPull {
        self.request(
            Orderer_SeekInfo(from: .block(start), to: .block(.max), contentType: contentType),
            source
        )
    }

    private func request(_ seek: Orderer_SeekInfo, _ source: BlockSource) -> BlockPull {
        let settings = self.channel.settings
        let channel = self.channel.id.description
        let monitor = self.channel.monitor
        return BlockPull(source: source, arrived: { monitor.signal() }) {
            var seek = seek
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

    /// The numbers of the newest blocks that orderers say they have; none of one that says nothing in time.
    ///
    /// Blocks the thread for `patience` at most.
    func newestNumbers(of sources: [BlockSource], patience: Duration) -> [BlockNumber] {
        let end = ContinuousClock.now + patience
        let pulls = sources.map { source in
            let pull = self.request(Orderer_SeekInfo(from: .newestBlock, to: .newestBlock), source)
            self.channel.settings.network.run(pull)
            return pull
        }
        defer { for pull in pulls { pull.close() } }
        return pulls.compactMap { pull in
            let rest = max(.zero, end - ContinuousClock.now)
            return (try? pull.take(patience: rest))?.first?.header.number
        }
    }

    var isStopped: Bool { self.channel.monitor.withLock { $0.isStopped } }

    /// Waits until the thread is woken, but no longer than this.
    func rest(_ delay: Duration) {
        var hasRested = false
        self.channel.monitor.wait { state -> Monitor<OrderingChannel.State>.Wait<Void> in
            defer { hasRested = true }
            return state.isStopped || hasRested ? .done(()) : .again(delay)
        }
    }

    /// Waits this long, or until the channel is stopped.
    func sleep(_ delay: Duration) {
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
