internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// The exchange of certificates: a few peers are asked now and then which they know, and for those that are missing.
///
/// - Source: Fabric v3.1, packages `gossip/gossip/algo`, `gossip/gossip/pull` and `gossip/gossip` (`certStore`).
struct IdentityPull: Sendable {
    /// A round of questions.
    private struct Round: Sendable {
        /// The number under which each peer was asked.
        var nonces: [UInt64: PKIID] = [:]
        /// Who has what is missing here.
        var owners: [PKIID: [PKIID]] = [:]
        /// What was asked of whom; it is told once.
        var requested: [PKIID: Set<PKIID>] = [:]
        var digestsEnd: Duration
        var end: Duration?
    }

    private var round: Round?
    private var nextRound: Duration?
    /// Numbers under which others have asked, until when they may go on.
    private var hellos: [PKIID: [(nonce: UInt64, end: Duration)]] = [:]
    private var own: Gossip_Envelope?

    /// How many names a digest, a request or an update may have.
    static let mostItems = 10_000
    /// How many missing certificates one round asks for.
    static let mostRequested = 1_000
    /// How many questions of one peer may be open.
    static let openHellos = 4

    /// This peer has another certificate.
    mutating func begin() { self.own = nil }

    // MARK: - Asking

    mutating func tick(_ context: inout GossipContext) {
        self.hellos = self.hellos.compactMapValues { hellos in
            let open = hellos.filter { $0.end > context.now }
            return open.isEmpty ? nil : open
        }
        if let round {
            if let end = round.end {
                if context.now >= end { self.round = nil }
            } else if context.now >= round.digestsEnd {
                self.request(&context)
            }
        }
        guard context.now >= self.nextRound ?? .zero, self.round == nil else { return }
        self.nextRound = context.now + context.options.pullInterval
        self.ask(&context)
    }

    private mutating func ask(_ context: inout GossipContext) {
        let members = context.someMembers(context.options.pullPeerNum)
        guard !members.isEmpty else { return }
        var round = Round(digestsEnd: context.now + context.options.digestWait)
        for member in members {
            let nonce = context.random.next()
            round.nonces[nonce] = member.pkiID
            context.send(
                .with {
                    $0.tag = .empty
                    $0.hello.nonce = nonce
                    $0.hello.msgType = .identityMsg
                },
                to: member.pkiID
            )
        }
        self.round = round
    }

    /// Asks one of those who have it for each certificate that is missing.
    private mutating func request(_ context: inout GossipContext) {
        guard var round = self.round else { return }
        round.end = context.now + context.options.responseWait
        for item in round.owners.keys.sorted().prefix(Self.mostRequested) {
            guard let owners = round.owners[item], !owners.isEmpty else { continue }
            round.requested[owners[context.random(below: owners.count)], default: []].insert(item)
        }
        round.owners = [:]
        for (nonce, peer) in round.nonces.sorted(by: { $0.key < $1.key }) {
            guard let items = round.requested[peer] else { continue }
            context.send(
                .with {
                    $0.tag = .empty
                    $0.dataReq.nonce = nonce
                    $0.dataReq.msgType = .identityMsg
                    $0.dataReq.digests = items.sorted().map(\.bytes)
                },
                to: peer
            )
        }
        self.round = round
    }

    // MARK: - Messages

    mutating func receive(_ message: ReceivedMessage, _ context: inout GossipContext) {
        switch message.message.content {
        case .hello(let hello) where hello.msgType == .identityMsg:
            self.answer(hello, from: message.sender, &context)
        case .dataDig(let digest) where digest.msgType == .identityMsg:
            self.take(digest, from: message.sender, &context)
        case .dataReq(let request) where request.msgType == .identityMsg:
            self.answer(request, from: message.sender, &context)
        case .dataUpdate(let update) where update.msgType == .identityMsg:
            self.take(update, from: message.sender, &context)
        default: break
        }
    }

    private mutating func answer(
        _ hello: Gossip_GossipHello,
        from sender: PKIID,
        _ context: inout GossipContext
    ) {
        var open = self.hellos[sender, default: []].filter { $0.end > context.now }
        guard open.count < Self.openHellos else {
            return context.blame(sender, "hello", "asks for certificates too often")
        }
        open.append((hello.nonce, context.now + context.options.requestWait))
        self.hellos[sender] = open
        let items = self.store(&context).keys.filter { self.mayTell(of: $0, to: sender, context) }.sorted()
        guard !items.isEmpty else { return }
        context.send(
            .with {
                $0.tag = .empty
                $0.dataDig.nonce = hello.nonce
                $0.dataDig.msgType = .identityMsg
                $0.dataDig.digests = items.map(\.bytes)
            },
            to: sender
        )
    }

    private mutating func answer(
        _ request: Gossip_DataRequest,
        from sender: PKIID,
        _ context: inout GossipContext
    ) {
        guard let open = self.hellos[sender],
            let index = open.firstIndex(where: { $0.nonce == request.nonce })
        else { return }
        // One answer to each question.
        self.hellos[sender]?.remove(at: index)
        guard request.digests.count <= Self.mostItems else {
            return context.blame(
                sender,
                "request",
                "asks for more than \(Self.mostItems) certificates at once"
            )
        }
        let store = self.store(&context)
        let wanted = Set(request.digests.compactMap { PKIID($0) }).sorted()
        let found = wanted.filter { self.mayTell(of: $0, to: sender, context) }.compactMap { store[$0] }
        guard !found.isEmpty else { return }
        context.send(
            .with {
                $0.tag = .empty
                $0.dataUpdate.nonce = request.nonce
                $0.dataUpdate.msgType = .identityMsg
                $0.dataUpdate.data = Array(found.prefix(Self.mostRequested))
            },
            to: sender
        )
    }

    private mutating func take(
        _ digest: Gossip_DataDigest,
        from sender: PKIID,
        _ context: inout GossipContext
    ) {
        guard self.round?.end == nil, self.round?.nonces[digest.nonce] == sender else { return }
        guard digest.digests.count <= Self.mostItems else {
            return context.blame(sender, "digest", "offers more than \(Self.mostItems) certificates at once")
        }
        for item in Set(digest.digests.compactMap { PKIID($0) }) {
            guard item != context.local.pkiID, context.identities.known[item]?.envelope == nil else {
                continue
            }
            self.round?.owners[item, default: []].append(sender)
        }
    }

    private mutating func take(
        _ update: Gossip_DataUpdate,
        from sender: PKIID,
        _ context: inout GossipContext
    ) {
        guard self.round?.nonces[update.nonce] == sender else { return }
        guard update.data.count <= Self.mostItems else {
            return context.blame(sender, "update", "sends more than \(Self.mostItems) certificates at once")
        }
        for envelope in update.data {
            guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload),
                message.hasLegalTag,
                case .peerIdentity(let item) = message.content, let peer = PKIID(item.pkiID),
                (try? PKIID(identity: item.cert)) == peer
            else {
                return context.blame(sender, "forged identity", "passes on an identity under another's name")
            }
            // Only what was asked for: nobody fills this peer's memory unasked.
            guard self.round?.requested[sender]?.remove(peer) != nil else { continue }
            // It may be of an organization that this peer has no channel with, or revoked here already.
            guard let (_, identity) = try? context.identities.judge(item.cert) else { continue }
            guard context.identities.hasSigned(identity, envelope) else {
                return context.blame(
                    sender,
                    "forged identity",
                    "passes on a certificate that peer \(peer) never signed"
                )
            }
            _ = try? context.identities.learn(item.cert, envelope: envelope.withoutSecret, now: context.now)
        }
    }

    // MARK: - What there is

    /// The signed certificates that can be told of: this peer's, and those that others have passed on.
    private mutating func store(_ context: inout GossipContext) -> [PKIID: Gossip_Envelope] {
        var store = context.identities.known.compactMapValues(\.envelope)
        store[context.local.pkiID] = self.ownIdentity(&context)
        return store
    }

    private mutating func ownIdentity(_ context: inout GossipContext) -> Gossip_Envelope? {
        if let own { return own }
        let local = context.local
        let message = Gossip_GossipMessage.with {
            $0.tag = .empty
            $0.peerIdentity.pkiID = local.pkiID.bytes
            $0.peerIdentity.cert = local.identity
        }
        do {
            self.own = try Gossip_Envelope(message, signedBy: local.sign)
        } catch {
            context.blame(
                local.pkiID,
                "signing identity",
                "is this peer, and cannot sign its certificate: \(error)"
            )
        }
        return self.own
    }

    /// Peers of other organizations are told of this organization and of their own, and only of who has an external
    /// endpoint and is alive.
    ///
    /// - Source: Fabric v3.1, `gossip/gossip`, `sameOrgOrOurOrgPullFilter`.
    private func mayTell(of peer: PKIID, to requester: PKIID, _ context: GossipContext) -> Bool {
        guard !context.identities.isOfOwnOrganization(requester) else { return true }
        guard let organization = context.identities.mspID(of: requester) else { return false }
        guard peer != context.local.pkiID else { return !context.local.externalEndpoint.isEmpty }
        guard let member = context.alive[peer], !member.externalEndpoint.isEmpty else { return false }
        return member.mspID == organization || member.mspID == context.local.mspID
    }
}
