internal import Channel
internal import DequeModule
internal import FabricProtos

/// Blocks that a consenter lacks, on their way from other orderers, one orderer after the other.
///
/// The channel's thread takes them when they are there, and goes on with consensus meanwhile.
///
/// Belongs to the channel's thread.
final class MissingBlocks {
    /// The last block that is wanted; `nil` for as many as some orderer has.
    let through: BlockNumber?
    private let puller: BlockPuller
    /// How long an orderer may send nothing.
    private let patience: Duration
    /// After this long another orderer is asked for the rest, if there is one, so that none that gives one block after a
    /// long time holds up the others'; `nil` where orderers are trusted.
    private let turn: Duration?
    /// Who is still to be asked.
    private var sources: Deque<BlockSource>
    private var pull: BlockPull?
    /// The orderer that was asked last, which gave what ``take(from:at:)`` returned last.
    private(set) var giver: BlockSource?
    /// When the orderer that is asked now sent something last.
    private var heard: Duration = .zero
    /// When it was asked.
    private var begun: Duration = .zero
    /// Whether it has given anything.
    private var isUseful = false

    init(
        _ puller: BlockPuller,
        sources: [BlockSource],
        through number: BlockNumber?,
        patience: Duration,
        turn: Duration? = nil
    ) {
        self.puller = puller
        self.sources = Deque(puller.shuffled(sources))
        self.through = number
        self.patience = patience
        self.turn = turn
    }

    deinit { self.pull?.close() }

    /// When to look again; `nil` for now.
    func nextLook(at now: Duration) -> Duration? {
        guard let pull, !pull.hasNews else { return nil }
        let end = self.end
        return now < end ? end : nil
    }

    /// The blocks that have come in, of which the first may be there already; asks the next orderer if there is nothing to
    /// be had from the last one.
    ///
    /// - Parameters:
    ///   - height: the first block that is missing.
    ///   - now: the time.
    ///   - wait: how long the thread may be blocked until some come in.
    /// - Returns: `nil` if no orderer is left.
    /// - Throws: as ``reject(_:)``.
    func take(from height: BlockNumber, at now: Duration, waiting wait: Duration = .zero) throws
        -> [Common_Block]?
    {
        while true {
            guard let pull else {
                guard let source = self.sources.popFirst() else { return nil }
                let pull = self.puller.request(from: height, source)
                self.pull = pull
                self.giver = source
                self.heard = now
                self.begun = now
                self.isUseful = false
                self.puller.channel.settings.network.run(pull)
                return []
            }
            do {
                let blocks = try pull.take(patience: wait)
                if !blocks.isEmpty {
                    self.heard = now
                    self.isUseful = true
                }
                if self.isTurnOver(at: now) {
                    if self.isUseful { self.sources.append(pull.source) }
                    self.leave()
                    if blocks.isEmpty { continue }
                    return blocks
                }
                guard blocks.isEmpty, now >= self.heard + self.patience else { return blocks }
                self.leave()
            } catch {
                try self.reject(error)
            }
        }
    }

    /// What ``giver`` gave can't be used: asks the next one.
    ///
    /// - Throws: ``ChainHalted``, or an error of the disk, which are not its fault.
    func reject(_ error: any Error) throws {
        if let giver { try self.puller.judge(error, giver) }
        self.leave()
    }

    /// When the orderer that is asked now has had its time.
    private var end: Duration {
        let silence = self.heard + self.patience
        guard let turn, !self.sources.isEmpty else { return silence }
        return min(silence, self.begun + turn)
    }

    private func isTurnOver(at now: Duration) -> Bool {
        guard let turn, !self.sources.isEmpty else { return false }
        return now >= self.begun + turn
    }

    private func leave() {
        self.pull?.close()
        self.pull = nil
    }
}
