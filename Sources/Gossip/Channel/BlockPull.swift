internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Pulls recent blocks from peers of the own organization, and lets them pull: hello, digest, request, update.
///
/// - Source: Fabric v3.1, `gossip/gossip/algo`, `PullEngine`, and `gossip/gossip/channel`.
struct BlockPull: Sendable {
    /// A round with one peer that this peer began.
    private struct Round {
        var peer: PKIID
        var until: Duration
        var digests: Set<BlockNumber> = []
        /// What was asked for, once digests have been compared.
        var requested: Set<BlockNumber>?
    }

    /// A round that another peer began.
    private struct Visit {
        var peer: PKIID
        var until: Duration
    }

    private var rounds: [UInt64: Round] = [:]
    private var visits: [UInt64: Visit] = [:]
    private var nextRound: Duration = .zero

    /// A digest or request that lists more is refused.
    static let digestCapacity = 200
    /// Rounds that one peer, and that all peers together, may have begun here at the same time.
    static let visitCapacity = (ofPeer: 4, ofAll: 200)
    /// Bytes of blocks in one answer, at most, unless a single block is larger.
    static let answerByteCapacity = 32 << 20

    /// Begins and continues rounds.
    ///
    /// With members of the own organization, none not to pull; `isWanted` says whether a block would be taken.
    mutating func tick(
        _ peers: [PKIID],
        _ isWanted: (BlockNumber) -> Bool,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) {
        self.visits = self.visits.filter { context.now < $0.value.until }
        self.request(isWanted, view, &context)
        self.rounds = self.rounds.filter { context.now < $0.value.until || $0.value.requested == nil }
        guard context.now >= self.nextRound else { return }
        self.nextRound = context.now + context.options.pullInterval
        for peer in context.choose(context.options.pullPeerNum, of: peers) {
            let nonce = context.random.next()
            self.rounds[nonce] = Round(peer: peer, until: context.now + context.options.digestWait)
            let hello = Gossip_GossipHello.with {
                $0.nonce = nonce
                $0.msgType = .blockMsg
            }
            context.send(view.message(.chanAndOrg, .hello(hello)), to: peer)
        }
    }

    /// Asks for what digests have shown, each block from one of those who have it.
    private mutating func request(
        _ isWanted: (BlockNumber) -> Bool,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) {
        let ripe = self.rounds.filter { $0.value.requested == nil && context.now >= $0.value.until }
        var owners: [BlockNumber: [UInt64]] = [:]
        for (nonce, round) in ripe {
            for number in round.digests where isWanted(number) { owners[number, default: []].append(nonce) }
        }
        var chosen: [UInt64: Set<BlockNumber>] = [:]
        for (number, nonces) in owners.sorted(by: { $0.key < $1.key }) {
            let nonce = nonces.sorted()[context.random(below: nonces.count)]
            chosen[nonce, default: []].insert(number)
        }
        for (nonce, round) in ripe.sorted(by: { $0.key < $1.key }) {
            guard let numbers = chosen[nonce] else {
                self.rounds[nonce] = nil
                continue
            }
            self.rounds[nonce]?.requested = numbers
            self.rounds[nonce]?.until = context.now + context.options.responseWait
            let request = Gossip_DataRequest.with {
                $0.nonce = nonce
                $0.digests = numbers.sorted().map { Data("\($0)".utf8) }
                $0.msgType = .blockMsg
            }
            context.send(view.message(.chanAndOrg, .dataReq(request)), to: round.peer)
        }
    }

    // MARK: - What this peer asked for

    /// Notes which blocks a peer has.
    ///
    /// - Returns: what is wrong with the message, if anything is.
    mutating func receive(_ digest: Gossip_DataDigest, from sender: PKIID) -> String? {
        guard digest.digests.count <= Self.digestCapacity else {
            return
                "sent a digest of \(digest.digests.count) blocks; no more than \(Self.digestCapacity) are read"
        }
        guard let round = self.rounds[digest.nonce], round.peer == sender, round.requested == nil else {
            return nil
        }
        self.rounds[digest.nonce]?.digests = Set(digest.digests.compactMap { Self.number($0) })
        return nil
    }

    /// The blocks in an update that was asked for.
    mutating func receive(_ update: Gossip_DataUpdate, from sender: PKIID) -> [Gossip_Payload] {
        guard let round = self.rounds[update.nonce], round.peer == sender, let requested = round.requested
        else { return [] }
        self.rounds[update.nonce] = nil
        var open = requested
        return update.data.prefix(requested.count).compactMap { envelope in
            guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload),
                case .dataMsg(let data) = message.content, open.remove(data.payload.seqNum) != nil
            else { return nil }
            return data.payload
        }
    }

    // MARK: - What others ask for

    /// Answers a hello with the blocks that are here; says nothing if there are none, as Fabric.
    ///
    /// - Returns: what is wrong with the message, if anything is.
    mutating func receive(
        _ hello: Gossip_GossipHello,
        from sender: PKIID,
        _ recent: RecentBlocks,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) -> String? {
        let numbers = recent.numbers
        guard !numbers.isEmpty else { return nil }
        guard self.visits.count < Self.visitCapacity.ofAll,
            self.visits.values.count(where: { $0.peer == sender }) < Self.visitCapacity.ofPeer
        else { return "begins more pulls of blocks than are answered at a time" }
        self.visits[hello.nonce] = Visit(
            peer: sender,
            until: context.now + context.options.digestWait + context.options.requestWait
        )
        let digest = Gossip_DataDigest.with {
            $0.nonce = hello.nonce
            $0.digests = numbers.map { Data("\($0)".utf8) }
            $0.msgType = .blockMsg
        }
        context.send(view.message(.chanAndOrg, .dataDig(digest)), to: sender)
        return nil
    }

    /// Answers a request with the blocks that are here, once for each hello.
    ///
    /// - Returns: what is wrong with the message, if anything is.
    mutating func receive(
        _ request: Gossip_DataRequest,
        from sender: PKIID,
        _ recent: RecentBlocks,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) -> String? {
        guard request.digests.count <= Self.digestCapacity else {
            return "asks for \(request.digests.count) blocks at once; \(Self.digestCapacity) are answered"
        }
        guard let visit = self.visits[request.nonce], visit.peer == sender, context.now < visit.until else {
            return nil
        }
        self.visits[request.nonce] = nil
        var byteCount = 0
        var update = Gossip_DataUpdate()
        update.nonce = request.nonce
        update.msgType = .blockMsg
        for number in Set(request.digests.compactMap { Self.number($0) }).sorted() {
            guard let payload = recent[number],
                let item = try? Gossip_Envelope(unsigned: Self.item(payload, view))
            else { continue }
            byteCount += item.payload.count
            guard update.data.isEmpty || byteCount <= Self.answerByteCapacity else { break }
            update.data.append(item)
        }
        guard !update.data.isEmpty else { return nil }
        context.send(view.message(.chanAndOrg, .dataUpdate(update)), to: sender)
        return nil
    }

    /// A block as it travels by push, and as an item of an update.
    static func item(_ payload: Gossip_Payload, _ view: ChannelView) -> Gossip_GossipMessage {
        view.message(.chanAndOrg, .dataMsg(.with { $0.payload = payload }))
    }

    private static func number(_ digest: Data) -> BlockNumber? {
        guard digest.count <= 20 else { return nil }
        return BlockNumber(String(decoding: digest, as: UTF8.self))
    }
}
