package import FabricProtos

/// Decides from which orderer a node takes the blocks of a BFT channel.
///
/// One orderer, the *source*, streams blocks; every other one streams headers with the consenters' signatures. Up to f
/// orderers may be dead, silent, or lie. What a block needs to be accepted is checked elsewhere, with whatever source;
/// here it is decided when the source is left for the next one:
///
/// - when its stream fails, or brought a block that was refused;
/// - when another orderer has shown a header that a quorum has signed, and the source owes that block for
///   ``BFTDeliveryTimeouts/censorship``, or gives nothing for ``BFTDeliveryTimeouts/silence``.
///
/// A source owes nothing while the node itself is busy with what came. So while the blocks of n orderers are wanted, of
/// which f are faulty, and at least one honest one besides the source is heard, a block that an honest orderer has is
/// accepted after f changes of the source at the latest. A header that nobody has signed can't drive a source away.
///
/// A value without clock or tasks: whoever owns it tells what happened and when, and carries out the commands. Times
/// are durations since any fixed moment and never go back.
///
/// - Source: Fabric v3.1, package `common/deliverclient/blocksprovider`, BFT deliverer and censorship monitor. The time
///   for silence, the time that the node itself takes, and headers that are checked only when needed are Weft's.
package struct BFTDelivery<Source: Hashable & Sendable>: Sendable {
    /// A stream from one orderer, from the block after the node's last one on, without end.
    package struct Stream: Sendable {
        package enum Content: Sendable { case blocks, headers }

        /// Different for each stream.
        package let number: UInt64
        package let source: Source
        package let content: Content
        /// The first block, or header, to ask for.
        package let start: BlockNumber
    }

    /// What the owner is to do.
    package enum Command: Sendable {
        case open(Stream)
        /// End the stream of this number; it is not heard any more.
        case close(UInt64)
        /// Call ``wake(at:)`` after this time, unless an earlier such call is to come.
        case wake(after: Duration)
        /// For the log.
        case report(Report)
    }

    /// Something that an operator should know.
    package enum Report: Sendable {
        /// The source did not give a block that another orderer has shown the header of.
        case withheld(BlockNumber, by: Source, shownBy: Source, after: Duration)
        /// What an orderer showed as headers of the channel is none.
        case lied(Source, any Error)
    }

    /// How many headers an orderer may show beyond the node's last block before its stream should be read on.
    package static var window: BlockNumber { 1_000 }

    private struct Attester: Sendable {
        var stream: Stream?
        var headers: AttestedHeaders?
        var openedAt = Duration.zero
        var failures = 0
        var retryAt = Duration.zero
    }

    private let timeouts: BFTDeliveryTimeouts
    private var sources: [Source]
    private var attesters: [Source: Attester] = [:]
    /// Of the node's last block.
    private var header: Common_BlockHeader
    private var configuration: ChannelConfiguration

    /// The stream of blocks; none during a pause.
    private var blocks: Stream?
    /// Which of the sources gives the blocks.
    private var turn = 0
    /// How often a source was left since the last block.
    package private(set) var failures = 0
    private var retryAt = Duration.zero
    /// The last block that came from the source, whether accepted or not.
    private var received: BlockNumber
    /// For how long the present source was owing, or could have been.
    private var owing = Duration.zero
    /// The value of `owing` when a block was last accepted.
    private var progress = Duration.zero
    private var silence: Duration

    private var now: Duration
    private var wakesAt: Duration?
    private var lastStream: UInt64 = 0

    /// - Parameters:
    ///   - sources: The channel's orderers, in random order, each once.
    ///   - header: Of the node's last block.
    ///   - configuration: In force after that block.
    ///   - timeouts: How long to wait for what.
    ///   - now: The time.
    package init(
        sources: [Source],
        header: Common_BlockHeader,
        configuration: ChannelConfiguration,
        timeouts: BFTDeliveryTimeouts,
        at now: Duration
    ) {
        self.sources = sources
        self.header = header
        self.configuration = configuration
        self.timeouts = timeouts
        self.received = header.number
        self.silence = timeouts.silence
        self.now = now
        self.retryAt = now
    }

    /// The orderer that gives the blocks, or is asked next.
    package var source: Source? { self.sources.isEmpty ? nil : self.sources[self.turn % self.sources.count] }

    /// Whether another orderer could be asked.
    package var hasAlternatives: Bool { self.sources.count > 1 }

    /// Whether the headers of this stream are so far ahead that no more should be read for now.
    package func isFarAhead(_ stream: Stream) -> Bool {
        guard let headers = self.attesters[stream.source]?.headers else { return false }
        return headers.last.number >= self.header.number &+ Self.window
    }

    // MARK: - What happened

    /// Begins; later, time has passed.
    package mutating func wake(at now: Duration) -> [Command] {
        self.advance(to: now)
        return self.decide()
    }

    /// The source has sent a block, which is still to be checked.
    package mutating func received(_ number: BlockNumber, on stream: UInt64, at now: Duration) -> [Command] {
        self.advance(to: now)
        guard self.blocks?.number == stream else { return [] }
        self.received = max(self.received, number)
        return []
    }

    /// A block is the node's last one now.
    ///
    /// Of several in a row the last is enough.
    ///
    /// - Parameters:
    ///   - header: Of that block.
    ///   - configuration: In force after it.
    ///   - now: The time.
    /// - Returns: What is to be done.
    package mutating func accepted(
        _ header: Common_BlockHeader,
        configuration: ChannelConfiguration,
        at now: Duration
    ) -> [Command] {
        self.advance(to: now)
        self.configuration = configuration
        guard header.number > self.header.number else { return self.decide() }
        self.header = header
        self.received = max(self.received, header.number)
        self.failures = 0
        self.progress = self.owing
        self.silence = max(self.timeouts.silence, self.silence / 2)
        for source in self.attesters.keys { self.attesters[source]?.headers?.drop(through: header.number) }
        return self.decide()
    }

    /// An orderer has shown the header of a block.
    ///
    /// - Parameters:
    ///   - block: Header and metadata; the whole block if it is a configuration block.
    ///   - stream: The stream on which it came.
    ///   - now: The time.
    /// - Returns: What is to be done.
    package mutating func shown(_ block: Common_Block, on stream: Stream, at now: Duration) -> [Command] {
        self.advance(to: now)
        guard self.attesters[stream.source]?.stream?.number == stream.number else { return [] }
        do {
            try self.attesters[stream.source]?.headers?.append(block, at: self.owing)
        } catch {
            return [.report(.lied(stream.source, error))] + self.failAttester(stream.source) + self.decide()
        }
        self.attesters[stream.source]?.headers?.drop(through: self.header.number)
        return self.decide()
    }

    /// A stream has ended, by itself or since it brought something that was refused.
    package mutating func ended(_ stream: Stream, at now: Duration) -> [Command] {
        self.advance(to: now)
        if self.blocks?.number == stream.number { return self.leaveSource() + self.decide() }
        guard self.attesters[stream.source]?.stream?.number == stream.number else { return [] }
        return self.failAttester(stream.source) + self.decide()
    }

    /// The channel has other orderers now, or can be reached otherwise.
    ///
    /// - Parameters:
    ///   - sources: All of them, in random order, each once.
    ///   - now: The time.
    /// - Returns: What is to be done.
    package mutating func configure(_ sources: [Source], at now: Duration) -> [Command] {
        self.advance(to: now)
        guard Set(sources) != Set(self.sources) else { return self.decide() }
        let present = self.source
        self.sources = sources
        self.failures = 0
        self.retryAt = now
        var commands: [Command] = []
        if let present, let turn = sources.firstIndex(of: present) {
            self.turn = turn
        } else {
            self.turn = 0
            if let blocks { commands.append(.close(blocks.number)) }
            self.blocks = nil
        }
        for stream in self.attesters.values.compactMap(\.stream).sorted(by: { $0.number < $1.number })
        where !sources.contains(stream.source) {
            commands.append(.close(stream.number))
        }
        self.attesters = self.attesters.filter { sources.contains($0.key) }
        return commands + self.decide()
    }

    // MARK: - Decisions

    /// The source owes the next block when all that it sent is accepted.
    private var isOwing: Bool { self.blocks != nil && self.received <= self.header.number }

    private mutating func advance(to now: Duration) {
        if self.isOwing, now > self.now { self.owing += now - self.now }
        self.now = max(self.now, now)
        if let wakesAt, wakesAt <= self.now { self.wakesAt = nil }
    }

    private mutating func decide() -> [Command] {
        var commands: [Command] = []
        while self.isOwing, let attester = self.attesterWithOverdueBlock() {
            commands += self.judge(by: attester)
        }
        if self.blocks == nil, let source, self.retryAt <= self.now {
            if let attester = self.attesters.removeValue(forKey: source), let stream = attester.stream {
                commands.append(.close(stream.number))
            }
            let stream = self.stream(.blocks, from: source)
            self.blocks = stream
            self.received = self.header.number
            self.owing = .zero
            self.progress = .zero
            for source in self.attesters.keys { self.attesters[source]?.headers?.restartTime() }
            commands.append(.open(stream))
        }
        for source in self.sources where source != self.blocks?.source {
            guard self.attesters[source]?.stream == nil,
                self.attesters[source]?.retryAt ?? .zero <= self.now
            else { continue }
            commands.append(self.openHeaders(from: source))
        }
        return commands + self.wakeUp()
    }

    private mutating func stream(_ content: Stream.Content, from source: Source) -> Stream {
        self.lastStream += 1
        return Stream(
            number: self.lastStream,
            source: source,
            content: content,
            start: self.header.number &+ 1
        )
    }

    private mutating func openHeaders(from source: Source) -> Command {
        var attester = self.attesters[source] ?? Attester()
        let stream = self.stream(.headers, from: source)
        attester.stream = stream
        attester.openedAt = self.now
        attester.headers = AttestedHeaders(
            after: self.header,
            configuration: self.configuration,
            spacing: self.timeouts.censorship / 16
        )
        self.attesters[source] = attester
        return .open(stream)
    }

    /// When, counted as `owing`, the source is to be left for what this attester has shown.
    private func deadline(_ attester: Attester) -> Duration? {
        guard let oldest = attester.headers?.attestations.first else { return nil }
        return min(
            oldest.time + self.timeouts.censorship,
            max(oldest.time, self.progress) + self.silence
        )
    }

    private func attesterWithOverdueBlock() -> Source? {
        self.sources.first { source in
            self.attesters[source].flatMap(self.deadline).map { $0 <= self.owing } ?? false
        }
    }

    /// Leaves the source if a quorum has signed what the attester has shown, else the attester.
    private mutating func judge(by attester: Source) -> [Command] {
        do {
            try self.attesters[attester]?.headers?.proveOldest()
        } catch {
            return [.report(.lied(attester, error))] + self.failAttester(attester)
        }
        var commands: [Command] = []
        if let source, let block = self.attesters[attester]?.headers?.attestations.first {
            commands.append(
                .report(
                    .withheld(block.number, by: source, shownBy: attester, after: self.owing - block.time)
                )
            )
        }
        self.silence = min(self.silence * 2, self.timeouts.censorship)
        return commands + self.leaveSource()
    }

    private mutating func leaveSource() -> [Command] {
        let commands = self.blocks.map { [Command.close($0.number)] } ?? []
        self.blocks = nil
        self.failures += 1
        let count = max(self.sources.count, 1)
        self.turn = (self.turn + 1) % count
        self.retryAt =
            self.now + self.timeouts.pause(self.timeouts.firstPause, doublings: self.failures / count)
        return commands
    }

    private mutating func failAttester(_ source: Source) -> [Command] {
        guard var attester = self.attesters[source] else { return [] }
        let commands = attester.stream.map { [Command.close($0.number)] } ?? []
        attester.stream = nil
        attester.headers = nil
        // One that went well for a long time begins anew.
        if self.now - attester.openedAt > self.timeouts.longestPause { attester.failures = 0 }
        attester.retryAt =
            self.now
            + self.timeouts.pause(self.timeouts.firstHeaderPause, doublings: attester.failures)
        attester.failures += 1
        self.attesters[source] = attester
        return commands
    }

    /// Asks to be woken when the next thing is due, unless that was asked already.
    private mutating func wakeUp() -> [Command] {
        var times: [Duration] = []
        if self.blocks == nil, !self.sources.isEmpty { times.append(self.retryAt) }
        for attester in self.attesters.values {
            if attester.stream == nil { times.append(attester.retryAt) }
            if self.isOwing, let deadline = self.deadline(attester) {
                times.append(self.now + deadline - self.owing)
            }
        }
        guard let next = times.min(), self.wakesAt.map({ next < $0 }) ?? true else { return [] }
        self.wakesAt = next
        return [.wake(after: max(next - self.now, .milliseconds(1)))]
    }
}
