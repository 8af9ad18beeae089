internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Fills the ledger from other peers: asks several of them for ranges of blocks at once, and asks others for what does
/// not come or is wrong.
///
/// What peers say of their heights decides whom to ask, and nothing else: no more than a window ahead of the ledger is
/// asked for or kept, whatever anybody claims.
///
/// - Source: Fabric v3.1, `gossip/state`; asking several at once, and when to ask, are this implementation's own.
struct StateTransfer: Sendable {
    private struct Request {
        var peer: PKIID
        var range: ClosedRange<BlockNumber>
        var until: Duration
    }

    /// Why a peer is not asked for a while.
    private struct Penalty {
        var failures: Int
        var until: Duration
    }

    private(set) var buffer: BlockBuffer
    private var requests: [UInt64: Request] = [:]
    private var penalties: [PKIID: Penalty] = [:]
    /// Since when members are known that have more blocks.
    private var behindSince: Duration?
    /// When the ledger last grew by blocks that did not come from here.
    private var lastForeignBlock: Duration = .zero
    private var isOrdererReachable = true

    /// How many requests one peer is sent at the same time.
    static let requestsPerPeer = 2
    /// How long other members may have more blocks before they are asked, where that is always done.
    static let tolerance: Duration = .seconds(1)
    /// For how long a peer is not asked that gave wrong blocks; and the longest time for one that did not answer.
    static let longestPenalty: Duration = .seconds(300)

    init(_ options: GossipOptions) {
        // Room for two batches at least, or nobody could be asked beside the first.
        let batch = Int(clamping: options.stateBatchSize)
        self.buffer = BlockBuffer(window: max(options.stateBlockBufferSize, min(batch, 1_000) * 2))
    }

    /// Whether blocks are on their way.
    var isActive: Bool { !self.requests.isEmpty }

    // MARK: - What happens

    mutating func advance(to height: BlockNumber, _ header: Common_BlockHeader?, now: Duration) {
        if self.buffer.advance(to: height, header) { self.lastForeignBlock = now }
    }

    mutating func setOrdererReachable(_ isReachable: Bool) { self.isOrdererReachable = isReachable }

    /// Takes a block that somebody gave; it may be handed over later.
    mutating func insert(_ block: ReceivedBlock) { self.buffer.insert(block) }

    /// Reads a response.
    ///
    /// - Returns: what is wrong with it, if anything is.
    mutating func receive(
        _ response: Gossip_RemoteStateResponse,
        nonce: UInt64,
        from sender: PKIID,
        _ view: ChannelView,
        _ context: GossipContext
    ) -> String? {
        guard let request = self.requests[nonce], request.peer == sender else { return nil }
        self.requests[nonce] = nil
        var taken = 0
        for payload in response.payloads.prefix(request.range.count) {
            // Fabric gives what lies between; nobody needs what was not asked for.
            guard request.range.contains(payload.seqNum) else { continue }
            do throws(BlockRefusal) {
                guard self.buffer.isOpen(payload.seqNum) else {
                    taken += 1
                    continue
                }
                self.buffer.insert(try ReceivedBlock(payload, from: sender, view))
                taken += 1
            } catch {
                self.blame(sender, now: context.now)
                return "sent a wrong block: \(error)"
            }
        }
        if taken == 0 {
            self.penalize(sender, context)
        } else {
            self.penalties[sender] = nil
        }
        return nil
    }

    /// Hands over what can be, and asks for more.
    ///
    /// - Returns: who gave a wrong block, and what was wrong.
    mutating func proceed(
        _ members: [PKIID: ChannelMember],
        takesFromOrderers: Bool,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) -> [(PKIID, BlockRefusal)] {
        var refusals: [(PKIID, BlockRefusal)] = []
        while true {
            let (blocks, refused) = self.buffer.handOver(view)
            if !blocks.isEmpty { context.blocks(view, .commit(blocks)) }
            guard let (sender, refusal) = refused else { break }
            self.blame(sender, now: context.now)
            refusals.append((sender, refusal))
        }
        self.expire(members, context)
        self.compare(members, context)
        if self.isWanted(takesFromOrderers: takesFromOrderers, context) {
            self.request(members, view, &context)
        }
        return refusals
    }

    mutating func forget(_ peer: PKIID) {
        self.requests = self.requests.filter { $0.value.peer != peer }
    }

    /// A block that was handed over was not accepted.
    ///
    /// - Returns: who gave it.
    mutating func refuse(_ number: BlockNumber, now: Duration) -> PKIID? {
        let sender = self.buffer.refuse(number)
        if let sender { self.blame(sender, now: now) }
        return sender
    }

    // MARK: - When to ask

    private mutating func compare(_ members: [PKIID: ChannelMember], _ context: GossipContext) {
        let height = self.buffer.height
        // A peer asks for nothing before it knows what it has.
        let isBehind =
            height > 0
            && members.values.contains { member in
                member.height > height && !self.isPenalized(member.pkiID, context.now)
            }
        if !isBehind {
            self.behindSince = nil
        } else if self.behindSince == nil {
            self.behindSince = context.now
        }
    }

    /// Whether other peers are to be asked for blocks.
    ///
    /// Always if somebody is ahead and this peer does not take blocks from the ordering service itself, or can't reach
    /// it; after a moment where state transfer is switched on; otherwise once the ordering service has been silent for
    /// `stateCheckInterval` while others got ahead.
    private func isWanted(takesFromOrderers: Bool, _ context: GossipContext) -> Bool {
        guard let behindSince else { return false }
        if !takesFromOrderers || !self.isOrdererReachable { return true }
        if context.options.stateEnabled { return context.now - behindSince >= Self.tolerance }
        let silentSince = max(behindSince, self.lastForeignBlock)
        return context.now - silentSince >= context.options.stateCheckInterval
    }

    // MARK: - Asking

    private mutating func request(
        _ members: [PKIID: ChannelMember],
        _ view: ChannelView,
        _ context: inout GossipContext
    ) {
        for range in self.gaps(batch: max(1, context.options.stateBatchSize)) {
            guard let member = self.choose(for: range.lowerBound, members, &context) else { return }
            let range = range.lowerBound...min(range.upperBound, member.height - 1)
            let nonce = context.random.next()
            self.requests[nonce] = Request(
                peer: member.pkiID,
                range: range,
                until: context.now + context.options.stateResponseTimeout
            )
            let request = Gossip_RemoteStateRequest.with {
                $0.startSeqNum = range.lowerBound
                $0.endSeqNum = range.upperBound
            }
            context.send(view.message(.chanOrOrg, nonce: nonce, .stateRequest(request)), to: member.pkiID)
        }
    }

    /// What is neither here nor on its way, in ranges of a batch.
    private func gaps(batch: UInt64) -> [ClosedRange<BlockNumber>] {
        let asked = self.requests.values.map(\.range)
        var gaps: [ClosedRange<BlockNumber>] = []
        var number = self.buffer.next
        let end = self.buffer.isHeavy ? min(self.buffer.end, number &+ 1) : self.buffer.end
        while number < end {
            defer { number += 1 }
            guard self.buffer.isOpen(number), !asked.contains(where: { $0.contains(number) }) else {
                continue
            }
            if let last = gaps.last, last.upperBound + 1 == number, UInt64(last.count) < batch {
                gaps[gaps.count - 1] = last.lowerBound...number
            } else {
                gaps.append(number...number)
            }
        }
        return gaps
    }

    /// Whom to ask for a block: who failed least, is asked least, is of the own organization; otherwise by chance.
    private func choose(
        for number: BlockNumber,
        _ members: [PKIID: ChannelMember],
        _ context: inout GossipContext
    ) -> ChannelMember? {
        var best: (rank: (Int, Int, Int), members: [ChannelMember])?
        for member in members.values where member.height > number {
            guard !self.isPenalized(member.pkiID, context.now) else { continue }
            let busy = self.requests.values.count { $0.peer == member.pkiID }
            guard busy < Self.requestsPerPeer else { continue }
            let isForeign = member.mspID == context.local.mspID ? 0 : 1
            let rank = (self.penalties[member.pkiID]?.failures ?? 0, busy, isForeign)
            if let current = best, current.rank <= rank {
                if current.rank == rank { best?.members.append(member) }
            } else {
                best = (rank, [member])
            }
        }
        guard let members = best?.members.sorted(by: { $0.pkiID < $1.pkiID }) else { return nil }
        return members[context.random(below: members.count)]
    }

    // MARK: - Who is asked no more

    func isPenalized(_ peer: PKIID, _ now: Duration) -> Bool {
        self.penalties[peer].map { now < $0.until } ?? false
    }

    /// Gives up requests that have not been answered, and those to peers that are gone.
    private mutating func expire(_ members: [PKIID: ChannelMember], _ context: GossipContext) {
        for (nonce, request) in self.requests {
            let isGone = members[request.peer] == nil
            guard isGone || context.now >= request.until else { continue }
            self.requests[nonce] = nil
            if !isGone { self.penalize(request.peer, context) }
        }
        self.penalties = self.penalties.filter { members[$0.key] != nil || context.now < $0.value.until }
    }

    /// A peer did not answer, or had nothing: others are asked first, and it is after a while.
    private mutating func penalize(_ peer: PKIID, _ context: GossipContext) {
        let failures = (self.penalties[peer]?.failures ?? 0) + 1
        let excess = failures - max(1, context.options.stateMaxRetries)
        let pause =
            excess <= 0
            ? .milliseconds(500) * failures : context.options.stateCheckInterval * (1 << min(excess - 1, 8))
        self.penalties[peer] = Penalty(
            failures: min(failures, 100),
            until: context.now + min(pause, Self.longestPenalty)
        )
    }

    /// A peer gave wrong blocks.
    mutating func blame(_ peer: PKIID, now: Duration) {
        self.penalties[peer] = Penalty(failures: 100, until: now + Self.longestPenalty)
        self.requests = self.requests.filter { $0.value.peer != peer }
    }
}
