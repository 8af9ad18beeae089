internal import Channel
internal import FabricProtos
internal import Logging

/// Copies the blocks of a BFT channel from one orderer while all the others show headers, so that one that withholds
/// blocks is left: ``BFTDelivery`` decides.
///
/// Belongs to the channel's thread, which it blocks.
///
/// Source: Fabric v3.1, package `orderer/consensus/smartbft`, synchronizer with replication policy `consensus`.
final class ClusterPuller {
    private typealias Decisions = BFTDelivery<BlockSource>

    private struct Open {
        var stream: Decisions.Stream
        var pull: BlockPull
    }

    private let puller: BlockPuller
    private var decisions: Decisions
    private var open: [UInt64: Open] = [:]

    /// - Parameters:
    ///   - puller: asks orderers.
    ///   - header: of the last block that is there.
    ///   - configuration: in force after it.
    ///   - timeouts: how long an orderer may owe a block.
    init(
        _ puller: BlockPuller,
        header: Common_BlockHeader,
        configuration: ChannelConfiguration,
        timeouts: BFTDeliveryTimeouts = BFTDeliveryTimeouts()
    ) {
        self.puller = puller
        self.decisions = Decisions(
            sources: Self.sources(configuration, puller),
            header: header,
            configuration: configuration,
            timeouts: timeouts,
            at: puller.channel.settings.clock()
        )
    }

    private static func sources(_ configuration: ChannelConfiguration, _ puller: BlockPuller) -> [BlockSource]
    {
        var known: Set<BlockSource> = []
        return puller.shuffled(configuration.blockSources.filter { known.insert($0).inserted })
    }

    /// Copies blocks until `take` says that it is enough, or the channel is stopped.
    ///
    /// - Parameters:
    ///   - isWanted: whether more are wanted, asked also while none come.
    ///   - take: takes a block; tells the configuration in force after it, and whether more are wanted. What it throws,
    ///     but for `ChainHalted` and an error of the disk, speaks against the orderer.
    /// - Throws: ``ChainHalted``, or an error of the disk.
    func follow(
        while isWanted: () -> Bool,
        _ take: (Common_Block) throws -> (configuration: ChannelConfiguration, goesOn: Bool)
    ) throws {
        defer { self.close() }
        while !self.puller.isStopped, isWanted(), try self.look(take) {
            if !self.open.values.contains(where: self.hasNews) {
                self.puller.rest(.milliseconds(100))
            }
        }
    }

    /// Whether something has come in that may be taken now.
    private func hasNews(_ entry: Open) -> Bool {
        entry.pull.hasNews && (entry.stream.content == .blocks || !self.decisions.isFarAhead(entry.stream))
    }

    /// Takes what has come in; says whether more is wanted.
    func look(
        _ take: (Common_Block) throws -> (configuration: ChannelConfiguration, goesOn: Bool)
    ) throws -> Bool {
        self.obey(self.decisions.wake(at: self.now))
        for number in self.open.keys.sorted() {
            guard let entry = self.open[number] else { continue }
            switch entry.stream.content {
            case .blocks: guard try self.takeBlocks(entry, take) else { return false }
            case .headers: try self.takeHeaders(entry)
            }
        }
        return true
    }

    /// Ends all streams.
    func close() {
        for entry in self.open.values { entry.pull.close() }
        self.open = [:]
    }

    private var now: Duration { self.puller.channel.settings.clock() }

    private func takeBlocks(
        _ entry: Open,
        _ take: (Common_Block) throws -> (configuration: ChannelConfiguration, goesOn: Bool)
    ) throws -> Bool {
        let number = entry.stream.number
        do {
            let blocks = try entry.pull.takeNow()
            if let last = blocks.last {
                self.obey(self.decisions.received(last.header.number, on: number, at: self.now))
            }
            for block in blocks where self.open[number] != nil {
                let (configuration, goesOn) = try take(block)
                self.obey(
                    self.decisions.accepted(block.header, configuration: configuration, at: self.now)
                )
                if block.isConfigBlock {
                    let sources = Self.sources(configuration, self.puller)
                    self.obey(self.decisions.configure(sources, at: self.now))
                }
                guard goesOn else { return false }
            }
        } catch {
            try self.end(entry, error)
        }
        return true
    }

    private func takeHeaders(_ entry: Open) throws {
        guard !self.decisions.isFarAhead(entry.stream) else { return }
        do {
            for block in try entry.pull.takeNow() where self.open[entry.stream.number] != nil {
                self.obey(self.decisions.shown(block, on: entry.stream, at: self.now))
            }
        } catch {
            try self.end(entry, error)
        }
    }

    private func end(_ entry: Open, _ error: any Error) throws {
        try self.puller.judge(error, entry.stream.source)
        self.open.removeValue(forKey: entry.stream.number)?.pull.close()
        self.obey(self.decisions.ended(entry.stream, at: self.now))
    }

    private func obey(_ commands: [Decisions.Command]) {
        let settings = self.puller.channel.settings
        for command in commands {
            switch command {
            case .open(let stream):
                let pull = self.puller.request(
                    from: stream.start,
                    stream.source,
                    contentType: stream.content == .headers ? .headerWithSig : .block
                )
                self.open[stream.number] = Open(stream: stream, pull: pull)
                settings.network.run(pull)
            case .close(let number): self.open.removeValue(forKey: number)?.pull.close()
            case .wake: break  // The loop looks every 100 ms.
            case .report(.withheld(let block, let source, let other, let time)):
                self.puller.channel.bftLogger.warning(
                    "an orderer withholds blocks: changing the orderer",
                    metadata: [
                        "channel": "\(self.puller.channel.id)", "orderer": "\(source)",
                        "block": "\(block)", "shownBy": "\(other)", "for": "\(time)",
                    ]
                )
            case .report(.lied(let source, let reason)):
                self.puller.channel.bftLogger.warning(
                    "refused a header",
                    metadata: [
                        "channel": "\(self.puller.channel.id)", "orderer": "\(source)",
                        "reason": "\(reason)",
                    ]
                )
            }
        }
    }
}
