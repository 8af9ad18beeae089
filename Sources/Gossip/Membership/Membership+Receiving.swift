internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

extension Membership {
    /// What became of an alive message.
    enum Verdict {
        /// It is new, and its author has signed it.
        case new
        /// Its author has said so, or more, before.
        case old
        /// Its author cannot be told: the certificate isn't known here.
        case unknown
        /// Nobody honest passes it on.
        case refused
    }

    mutating func receive(_ message: ReceivedMessage, _ context: inout GossipContext) {
        switch message.message.content {
        case .aliveMsg(let alive):
            guard self.accept(message.envelope, from: message.sender, &context) == .new,
                let peer = PKIID(alive.membership.pkiID), let record = self.records[peer]
            else { return }
            for _ in 0..<max(1, context.options.propagateIterations) {
                self.spread(record.member.envelope, of: record.member, except: message.sender, &context)
            }
        case .memReq: self.answer(message, &context)
        case .memRes(let response): self.take(response, from: message.sender, &context)
        default: break
        }
    }

    /// Another peer tells whom it knows.
    private mutating func take(
        _ response: Gossip_MembershipResponse,
        from sender: PKIID,
        _ context: inout GossipContext
    ) {
        guard response.alive.count + response.dead.count <= Self.largestAnswer else {
            return context.blame(sender, "answer", "names more than \(Self.largestAnswer) peers")
        }
        for envelope in response.alive {
            // Who passes on one that is forged passes on others.
            guard self.accept(envelope, from: sender, &context) != .refused else { return }
        }
        for envelope in response.dead {
            guard let alive = Self.alive(in: envelope), let peer = PKIID(alive.membership.pkiID) else {
                return
            }
            guard self.records[peer] == nil else { continue }
            guard self.accept(envelope, from: sender, isDead: true, &context) != .refused else { return }
        }
    }

    static func alive(in envelope: Gossip_Envelope) -> Gossip_AliveMessage? {
        guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload), message.hasLegalTag,
            case .aliveMsg(let alive) = message.content, alive.hasMembership, alive.hasTimestamp
        else { return nil }
        return alive
    }

    /// Judges an alive message, and takes note of what it says if it is new.
    ///
    /// `sender` passed it on; with `isDead` as of somebody who is dead.
    mutating func accept(
        _ envelope: Gossip_Envelope,
        from sender: PKIID,
        isDead: Bool = false,
        _ context: inout GossipContext
    ) -> Verdict {
        guard let alive = Self.alive(in: envelope), let peer = PKIID(alive.membership.pkiID) else {
            context.blame(sender, "alive message", "passes on an alive message that says nothing")
            return .refused
        }
        let time = Moment(alive.timestamp)
        if let known = self.records[peer]?.time ?? self.forgotten[peer], time <= known { return .old }
        guard alive.membership.endpoint.utf8.count <= Self.longestEndpoint else {
            context.blame(sender, "alive message", "passes on an alive message with an endless address")
            return .refused
        }
        let (latest, overflows) = context.wallClock.addingReportingOverflow(Self.farthestFuture)
        guard overflows || time.incarnation <= latest else {
            context.blame(
                sender,
                "future",
                "passes on that peer \(peer) started more than an hour from now; is a clock wrong?"
            )
            // It is its author's fault, and others may not mind.
            return .unknown
        }
        if peer != context.local.pkiID {
            switch self.learnIdentity(of: peer, alive, from: sender, &context) {
            case .new: break
            case let other: return other
            }
        }
        guard let secret = self.verified(envelope, of: peer, from: sender, &context) else { return .refused }
        guard peer != context.local.pkiID else {
            self.meet(alive, internalEndpoint: secret.endpoint, &context)
            return .old
        }
        return self.note(alive, of: peer, secret, isDead: isDead, &context)
    }

    private func learnIdentity(
        of peer: PKIID,
        _ alive: Gossip_AliveMessage,
        from sender: PKIID,
        _ context: inout GossipContext
    ) -> Verdict {
        if context.identities.known[peer] != nil { return .new }
        guard !alive.identity.isEmpty else { return .unknown }
        guard (try? PKIID(identity: alive.identity)) == peer else {
            context.blame(sender, "forged identity", "passes on an identity under another's name")
            return .refused
        }
        // It may be of an organization that this peer has no channel with.
        guard (try? context.identities.learn(alive.identity, now: context.now)) != nil else {
            return .unknown
        }
        return .new
    }

    /// The envelope without what this peer must not know, and the author's address for its own organization; `nil` if a
    /// signature is wrong.
    private func verified(
        _ envelope: Gossip_Envelope,
        of peer: PKIID,
        from sender: PKIID,
        _ context: inout GossipContext
    ) -> (envelope: Gossip_Envelope, endpoint: String?)? {
        guard context.identities.hasSigned(peer, envelope, now: context.now) else {
            context.blame(
                sender,
                "forged alive message",
                "passes on an alive message that peer \(peer) never signed"
            )
            return nil
        }
        guard envelope.hasSecretEnvelope, context.identities.isOfOwnOrganization(peer) else {
            return (envelope.withoutSecret, nil)
        }
        let hidden = Gossip_Envelope.with {
            $0.payload = envelope.secretEnvelope.payload
            $0.signature = envelope.secretEnvelope.signature
        }
        guard context.identities.hasSigned(peer, hidden, now: context.now),
            let secret = try? Gossip_Secret(serializedBytes: hidden.payload),
            secret.internalEndpoint.utf8.count <= Self.longestEndpoint
        else {
            context.blame(sender, "forged secret", "passes on a secret that peer \(peer) never signed")
            return nil
        }
        return (envelope, secret.internalEndpoint)
    }

    private mutating func note(
        _ alive: Gossip_AliveMessage,
        of peer: PKIID,
        _ secret: (envelope: Gossip_Envelope, endpoint: String?),
        isDead: Bool,
        _ context: inout GossipContext
    ) -> Verdict {
        guard let organization = context.identities.mspID(of: peer) else { return .unknown }
        // Peers of different organizations see each other if both have an external endpoint, whoever tells of them.
        let areOpen = !alive.membership.endpoint.isEmpty && !context.local.externalEndpoint.isEmpty
        guard organization == context.local.mspID || areOpen else { return .unknown }
        let earlier = self.records[peer]
        guard earlier != nil || self.makeRoom(for: organization, &context) else { return .unknown }
        let member = AliveMember(
            pkiID: peer,
            mspID: organization,
            externalEndpoint: alive.membership.endpoint,
            internalEndpoint: secret.endpoint ?? earlier?.member.internalEndpoint,
            envelope: secret.envelope
        )
        self.records[peer] = Record(
            member: member,
            time: Moment(alive.timestamp),
            lastSeen: context.now,
            expires: context.now + context.options.aliveExpiration,
            isAlive: !isDead
        )
        guard !isDead else { return .new }
        if earlier?.isAlive != true {
            let place = member.endpoint.map { " at \($0)" } ?? ""
            context.note(.info, "peer \(peer) of \(organization) is alive\(place)")
        }
        context.alive[peer] = member
        return .new
    }

    /// Forgets the peer of a full organization that matters least: one that has been dead for long.
    ///
    /// The living stay.
    private mutating func makeRoom(for organization: MSPID, _ context: inout GossipContext) -> Bool {
        let most = context.options.peersPerOrganization
        guard self.records.count >= most else { return true }
        let others = self.records.filter { $0.value.member.mspID == organization }
        guard others.count >= most else { return true }
        let dead = others.filter { !$0.value.isAlive }
            .min { ($0.value.lastSeen, $0.key) < ($1.value.lastSeen, $1.key) }
        guard let dead else {
            context.blame(
                context.local.pkiID,
                "members of \(organization)",
                "is this peer: \(organization) has more than \(most) peers; the rest is not seen"
            )
            return false
        }
        self.forget(dead.key, &context)
        return true
    }

    /// Tells some others that a peer is alive, as far as they may know of it.
    func spread(
        _ envelope: Gossip_Envelope,
        of member: AliveMember,
        except sender: PKIID?,
        _ context: inout GossipContext
    ) {
        let own = context.local.mspID
        let targets = context.someMembers(context.options.propagatePeerNum) { target in
            guard target.pkiID != sender, target.pkiID != member.pkiID else { return false }
            let isInside = target.mspID == own
            if member.mspID == own { return isInside || !member.externalEndpoint.isEmpty }
            // Who can't be reached from outside need not know anybody there.
            return (isInside || target.mspID == member.mspID) && !target.externalEndpoint.isEmpty
        }
        for target in targets {
            context.send(target.mspID == own ? envelope : envelope.withoutSecret, to: target.pkiID)
        }
    }
}
