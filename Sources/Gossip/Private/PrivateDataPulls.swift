internal import Channel
internal import FabricProtos
internal import Foundation

/// Private data that this peer lacks and asks others for.
///
/// Each thing is asked of one peer at a time: those that endorsed the transaction first, then any whose organization may
/// have it, in random order. What comes counts only if its hashes are those that were endorsed.
///
/// - Source: Fabric v3.1, package `gossip/privdata`, puller.
struct PrivateDataPulls {
    private struct Pull {
        var items: [Item]
        /// Questions that are not answered yet, by their nonce.
        var questions: [UInt64: Question] = [:]
    }

    fileprivate struct Item {
        var wanted: WantedPrivateData
        var asked = Set<PKIID>()
        var result = PulledPrivateData(bytes: nil)
        var state = State.open
        enum State { case open, waiting, ended }
    }

    private struct Question {
        var peer: PKIID
        var items: [Int]
        var deadline: Duration
    }

    private var pulls: [UInt64: Pull] = [:]

    /// Pulls that run at once: the commit's and the reconciliation's, and those of questions from outside.
    static let maximumPulls = 64
    /// Things that one pull may want; what is beyond has to be pulled again.
    static let maximumItems = 10_000
    /// Things that one message asks for.
    static let batch = 1_000
    /// Peers that are asked for one thing in one pull.
    static let maximumAttempts = 5

    mutating func pull(
        _ wanted: [WantedPrivateData],
        _ request: UInt64,
        _ channel: ChannelID,
        _ surroundings: PrivateDataSurroundings?,
        _ context: inout GossipContext
    ) {
        guard let surroundings, self.pulls.count < Self.maximumPulls, self.pulls[request] == nil else {
            let reason =
                surroundings == nil
                ? "gossip does not know the channel yet" : "too much else is being asked for"
            let refused = PulledPrivateData(bytes: nil, reason: reason)
            let results = Array(repeating: refused, count: wanted.count)
            context.effects.append(.privateData(channel, .pulled(request: request, results)))
            return
        }
        var pull = Pull(items: wanted.map { Item(wanted: $0) })
        for index in pull.items.indices.dropFirst(Self.maximumItems) {
            pull.items[index].state = .ended
            pull.items[index].result.reason = "too much is asked for at once"
        }
        self.pulls[request] = pull
        self.ask(request, surroundings, &context)
    }

    /// Takes an answer.
    ///
    /// - Returns: the peer, if it sent what was not endorsed.
    mutating func answered(
        _ response: Gossip_RemotePvtDataResponse,
        _ message: ReceivedMessage,
        _ surroundings: PrivateDataSurroundings,
        _ context: inout GossipContext
    ) -> [PKIID] {
        let nonce = message.message.nonce
        guard
            let (request, question) = self.pulls.lazy.compactMap({ request, pull in
                pull.questions[nonce].map { (request, $0) }
            }).first,
            question.peer == message.sender, var pull = self.pulls[request]
        else { return [] }
        pull.questions[nonce] = nil
        var payloads: [PrivateDataPlace: [Data]] = [:]
        for element in response.elements.prefix(question.items.count) {
            payloads[PrivateDataPlace(element.digest), default: []] += element.payload
        }
        var hasLied = false
        for index in question.items {
            let candidates = payloads[PrivateDataPlace(pull.items[index].wanted.digest)]
            let reason = pull.items[index].take(candidates)
            guard let reason else { continue }
            hasLied = hasLied || reason == Item.wrong
            pull.items[index].failed(reason, question.peer, context)
        }
        self.pulls[request] = pull
        self.ask(request, surroundings, &context)
        return hasLied ? [question.peer] : []
    }

    mutating func tick(_ surroundings: PrivateDataSurroundings, _ context: inout GossipContext) {
        for request in self.pulls.keys.sorted() {
            guard var pull = self.pulls[request] else { continue }
            let late = pull.questions.filter { $0.value.deadline <= context.now }
            guard !late.isEmpty else { continue }
            for (nonce, question) in late.sorted(by: { $0.key < $1.key }) {
                pull.questions[nonce] = nil
                for index in question.items {
                    let reason = "did not answer within \(context.options.pullResponseWait)"
                    pull.items[index].failed(reason, question.peer, context)
                }
            }
            self.pulls[request] = pull
            self.ask(request, surroundings, &context)
        }
    }

    /// Asks the next peers for what is still open; ends the pull if there is nothing more to wait for.
    private mutating func ask(
        _ request: UInt64,
        _ surroundings: PrivateDataSurroundings,
        _ context: inout GossipContext
    ) {
        guard var pull = self.pulls[request] else { return }
        var eligible: [Common_SignaturePolicyEnvelope: (members: CollectionMembers, peers: [PKIID])] = [:]
        var batches: [PKIID: [Int]] = [:]
        for index in pull.items.indices where pull.items[index].state == .open {
            let policy = pull.items[index].wanted.members
            if eligible[policy] == nil {
                let members = CollectionMembers(policy, surroundings.configuration)
                let peers = surroundings.peers(of: members, context)
                // In one order for the whole pull, so that many things go into one message.
                eligible[policy] = (members, context.shuffled(peers))
            }
            guard let (members, peers) = eligible[policy] else { continue }
            if let peer = pull.items[index].nextPeer(peers, members, surroundings, context) {
                pull.items[index].asked.insert(peer)
                pull.items[index].state = .waiting
                batches[peer, default: []].append(index)
            } else {
                pull.items[index].state = .ended
            }
        }
        for (peer, indices) in batches.sorted(by: { $0.key < $1.key }) {
            for start in stride(from: 0, to: indices.count, by: Self.batch) {
                let items = Array(indices.dropFirst(start).prefix(Self.batch))
                let nonce = context.random.next()
                var message = surroundings.message(nonce: nonce)
                message.privateReq.digests = items.map { pull.items[$0].wanted.digest }
                context.send(message, to: peer)
                pull.questions[nonce] = Question(
                    peer: peer,
                    items: items,
                    deadline: context.now + context.options.pullResponseWait
                )
            }
        }
        guard pull.questions.isEmpty else {
            self.pulls[request] = pull
            return
        }
        self.pulls[request] = nil
        context.effects.append(
            .privateData(surroundings.channel, .pulled(request: request, pull.items.map(\.result)))
        )
    }
}

/// What names private data: Fabric's peers need not repeat the transaction's identifier.
private struct PrivateDataPlace: Hashable {
    var namespace: String
    var collection: String
    var block: UInt64
    var transaction: UInt64

    init(_ digest: Gossip_PvtDataDigest) {
        self.namespace = digest.namespace
        self.collection = digest.collection
        self.block = digest.blockSeq
        self.transaction = digest.seqInBlock
    }
}

extension PrivateDataPulls.Item {
    static let wrong = "sent data that is not what was endorsed"

    /// Takes what a peer sent; keeps the most complete.
    ///
    /// - Returns: why another peer must be asked; `nil` if none need be.
    fileprivate mutating func take(_ candidates: [Data]?) -> String? {
        guard let candidates, !candidates.isEmpty else { return "does not have it, or does not give it" }
        var best: (bytes: Data, lacking: Int)?
        for candidate in candidates {
            switch self.wanted.hashes.match(candidate) {
            case .whole:
                self.result = PulledPrivateData(bytes: candidate, attempts: self.result.attempts)
                self.state = .ended
                return nil
            case .part(let lacking):
                if lacking.count < best?.lacking ?? .max { best = (candidate, lacking.count) }
            case .none: continue
            }
        }
        guard let best else { return Self.wrong }
        if best.bytes.count > self.result.bytes?.count ?? -1 { self.result.bytes = best.bytes }
        return "sent it without \(best.lacking) keys, as if they had been purged"
    }

    fileprivate mutating func failed(_ reason: String, _ peer: PKIID, _ context: GossipContext) {
        self.state = .open
        self.result.attempts.append(
            .init(
                mspID: context.identities.mspID(of: peer),
                peer: context.members[peer]?.endpoint ?? peer.description,
                reason: reason
            )
        )
    }

    /// The next peer to ask; `nil`, with the reason noted, if there is none.
    fileprivate mutating func nextPeer(
        _ eligible: [PKIID],
        _ members: CollectionMembers,
        _ surroundings: PrivateDataSurroundings,
        _ context: GossipContext
    ) -> PKIID? {
        guard self.asked.count < PrivateDataPulls.maximumAttempts else {
            self.result.reason = "\(self.asked.count) peers were asked in vain"
            return nil
        }
        let possible = eligible.filter { !self.hasForgotten($0, surroundings, context) }
        let endorsers = self.wanted.endorsers.filter { possible.contains($0) }
        if let next = (endorsers + possible).first(where: { !self.asked.contains($0) }) { return next }
        self.result.reason =
            if eligible.isEmpty {
                "no other peer of \(members.organizations.joined(separator: ", ")) can be reached: is one running, "
                    + "with an external endpoint, and is there an anchor peer?"
            } else if possible.isEmpty {
                "it expires so soon that the peers that can be reached have forgotten it"
            } else {
                "every peer that may have it was asked"
            }
        return nil
    }

    /// Whether a peer has forgotten the data because its lifetime is over, or nearly.
    private func hasForgotten(
        _ peer: PKIID,
        _ surroundings: PrivateDataSurroundings,
        _ context: GossipContext
    ) -> Bool {
        guard self.wanted.blockToLive > 0, let height = surroundings.members[peer] else { return false }
        let (end, isForever) = self.wanted.digest.blockSeq.addingReportingOverflow(self.wanted.blockToLive)
        let (reached, isEndless) = height.addingReportingOverflow(context.options.bTLPullMargin)
        return !isForever && (isEndless || reached >= end)
    }
}
