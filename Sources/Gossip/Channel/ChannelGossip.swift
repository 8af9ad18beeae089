package import Channel
package import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Gossip of one channel: who takes part, how high their ledgers are, and how blocks travel between them.
///
/// - Source: Fabric v3.1, `gossip/gossip/channel`, `gossip/state`, `gossip/election`.
package struct ChannelGossip: Sendable {
    private var view: ChannelView
    private var stateInfos: StateInfos
    private var recent: RecentBlocks
    private var pull = BlockPull()
    private var serving = BlockServing()
    private var transfer: StateTransfer
    private var election: LeaderElection

    /// - Parameters:
    ///   - configuration: the channel's configuration in force.
    ///   - context: the step in which the channel was joined.
    package init(_ configuration: ChannelConfiguration, _ context: GossipContext) {
        self.view = ChannelView(configuration)
        self.stateInfos = StateInfos(wallClock: context.wallClock)
        self.recent = RecentBlocks(capacity: context.options.maxBlockCountToStore)
        self.transfer = StateTransfer(context.options)
        self.election = LeaderElection(wallClock: context.wallClock)
    }

    // MARK: - What others ask

    package var channel: ChannelID { self.view.id }

    /// The peers that take part and are alive, without this one.
    package var members: [PKIID: ChannelMember] { self.stateInfos.members }

    /// What this peer last told of itself, signed; `nil` before the first tick.
    package var ownStateInfo: Gossip_Envelope? { self.stateInfos.own.envelope }

    /// Whether this peer takes the channel's blocks from the ordering service.
    package var isLeader: Bool { self.election.isLeader }

    /// How many blocks from other peers wait for those before them.
    package var bufferedBlocks: Int { self.transfer.buffer.count }

    /// Whether other peers have been asked for blocks that have not come yet.
    package var isTransferring: Bool { self.transfer.isActive }

    // MARK: - What happens

    /// Takes note of a new configuration.
    package mutating func configure(_ configuration: ChannelConfiguration, _ context: inout GossipContext) {
        self.view = ChannelView(configuration)
        self.stateInfos.review(self.view, context)
        self.proceed(&context)
    }

    /// The ledger has grown.
    package mutating func advance(to height: BlockNumber, _ context: inout GossipContext) {
        self.advance(to: height, nil, &context)
    }

    /// The contracts that this peer can endorse have changed.
    package mutating func setChaincodes(_ chaincodes: [Gossip_Chaincode], _ context: inout GossipContext) {
        self.stateInfos.setChaincodes(chaincodes)
    }

    /// This peer leaves the channel: tells the others.
    package mutating func leave(_ context: inout GossipContext) {
        self.stateInfos.leave(self.view, &context)
    }

    /// A peer's certificate is no longer accepted, or it has another now.
    package mutating func forget(_ peer: PKIID, _ context: inout GossipContext) {
        self.stateInfos.forget(peer)
        self.transfer.forget(peer)
        self.election.forget(peer)
    }

    package mutating func tick(_ context: inout GossipContext) {
        self.stateInfos.tick(self.view, &context)
        self.serving.tick(context.now)
        let neighbors = self.neighbors(context)
        self.election.tick(neighbors, self.view, &context)
        let pulls = context.options.blockGossipEnabled || !self.election.isLeader
        self.pull.tick(
            pulls ? neighbors : [],
            { [transfer] in transfer.buffer.isOpen($0) },
            self.view,
            &context
        )
        self.proceed(&context)
    }

    package mutating func step(_ input: BlocksInput, _ context: inout GossipContext) {
        switch input {
        case .read(let payloads, let peer, let nonce):
            self.serving.answer(payloads, to: peer, nonce: nonce, self.view, &context)
        case .delivered(let payload): self.spread(payload, &context)
        case .committed(let header):
            guard header.number < .max else { return }
            self.advance(to: header.number + 1, header, &context)
        case .refused(let number, let reason):
            if let sender = self.transfer.refuse(number, now: context.now) {
                self.note("block", by: sender, "gave block \(number), which was refused: \(reason)", &context)
            }
        case .ordererReachable(let isReachable):
            self.transfer.setOrdererReachable(isReachable)
            if !isReachable { self.election.yield(to: self.neighbors(context), self.view, &context) }
            self.proceed(&context)
        }
    }

    package mutating func receive(_ message: ReceivedMessage, _ context: inout GossipContext) {
        let sender = message.sender
        switch message.message.content {
        case .stateInfo(let info):
            self.receive(info, message.envelope, from: sender, isPushed: true, &context)
        case .stateSnapshot(let snapshot): self.receive(snapshot, from: sender, &context)
        case .stateInfoPullReq(let request):
            if let (kind, text) = self.stateInfos.answer(request, from: sender, self.view, &context) {
                self.note(kind, by: sender, text, &context)
            }
        case .stateRequest(let request):
            self.receive(request, nonce: message.message.nonce, from: sender, &context)
        case .stateResponse(let response):
            let nonce = message.message.nonce
            if let text = self.transfer.receive(response, nonce: nonce, from: sender, self.view, context) {
                self.note("response", by: sender, text, &context)
            }
            self.proceed(&context)
        case .dataMsg, .hello, .dataDig, .dataReq, .dataUpdate: self.receiveBlocks(message, &context)
        case .leadershipMsg(let leadership): self.receive(leadership, message, &context)
        default: return
        }
    }

    // MARK: - State infos

    /// - Returns: `false` if the sender did something wrong.
    @discardableResult
    private mutating func receive(
        _ info: Gossip_StateInfo,
        _ envelope: Gossip_Envelope,
        from sender: PKIID,
        isPushed: Bool,
        _ context: inout GossipContext
    ) -> Bool {
        let author = PKIID(info.pkiID)
        switch self.stateInfos.take(envelope, info, self.view, &context) {
        case .ignored: return true
        case .ineligible(let reason):
            if author == sender { self.note("state info", by: sender, reason, &context) }
            return true
        case .refused(let reason):
            self.note("state info", by: sender, reason, &context)
            return false
        case .accepted(let isToBeForwarded):
            // What came by a snapshot was asked for: everybody can.
            guard isPushed, isToBeForwarded, let author else { return true }
            self.stateInfos.spread(envelope, of: author, from: sender, self.view, &context)
            return true
        }
    }

    private mutating func receive(
        _ snapshot: Gossip_StateInfoSnapshot,
        from sender: PKIID,
        _ context: inout GossipContext
    ) {
        guard self.stateInfos.expectsSnapshot(of: sender, now: context.now) else { return }
        if snapshot.elements.count > StateInfos.snapshotCapacity {
            let text =
                "sent a snapshot of \(snapshot.elements.count) state infos; \(StateInfos.snapshotCapacity) are read"
            self.note("snapshot", by: sender, text, &context)
        }
        for envelope in snapshot.elements.prefix(StateInfos.snapshotCapacity) {
            guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload),
                case .stateInfo(let info) = message.content, message.hasLegalTag
            else {
                self.note("snapshot", by: sender, "sent a snapshot with something else in it", &context)
                break
            }
            guard self.receive(info, envelope, from: sender, isPushed: false, &context) else { break }
        }
        self.proceed(&context)
    }

    // MARK: - Blocks

    private mutating func receive(
        _ request: Gossip_RemoteStateRequest,
        nonce: UInt64,
        from sender: PKIID,
        _ context: inout GossipContext
    ) {
        guard self.members[sender] != nil || self.view.isReader(sender, context.identities) else {
            self.note("range", by: sender, "asks for blocks but is no reader of the channel", &context)
            return
        }
        let height = self.transfer.buffer.height
        let fault = self.serving.receive(
            request,
            nonce: nonce,
            from: sender,
            height: height,
            self.view,
            &context
        )
        if let (kind, text) = fault { self.note(kind, by: sender, text, &context) }
    }

    /// Push and pull of single blocks: within the organization, among members of the channel.
    private mutating func receiveBlocks(_ message: ReceivedMessage, _ context: inout GossipContext) {
        let sender = message.sender
        guard context.identities.isOfOwnOrganization(sender) else {
            self.note(
                "push",
                by: sender,
                "gossips about blocks, which only the own organization may",
                &context
            )
            return
        }
        guard self.members[sender] != nil else { return }
        var fault: String?
        switch message.message.content {
        case .dataMsg(let data): self.take(data.payload, from: sender, "push", &context)
        case .hello(let hello):
            fault = self.pull.receive(hello, from: sender, self.recent, self.view, &context)
        case .dataDig(let digest): fault = self.pull.receive(digest, from: sender)
        case .dataReq(let request):
            fault = self.pull.receive(request, from: sender, self.recent, self.view, &context)
        case .dataUpdate(let update):
            for payload in self.pull.receive(update, from: sender) {
                self.take(payload, from: sender, "pull", &context)
            }
        default: return
        }
        if let fault { self.note("pull", by: sender, fault, &context) }
    }

    /// Verifies a block that was pushed or pulled, keeps it, and passes on what was pushed.
    private mutating func take(
        _ payload: Gossip_Payload,
        from sender: PKIID,
        _ kind: String,
        _ context: inout GossipContext
    ) {
        guard self.transfer.buffer.isOpen(payload.seqNum), !self.transfer.isPenalized(sender, context.now)
        else { return }
        do throws(BlockRefusal) {
            var block = try ReceivedBlock(payload, from: sender, self.view)
            try block.verifySignatures(self.view)
            self.transfer.insert(block)
        } catch {
            // Further ahead, a configuration that is not known yet may have made it right.
            guard self.transfer.buffer.isConfigured(for: payload.seqNum) else { return }
            self.transfer.blame(sender, now: context.now)
            return self.note(kind, by: sender, "gave a wrong block: \(error)", &context)
        }
        if self.recent.wants(payload.seqNum) {
            self.recent.add(payload)
            if kind == "push" { self.push(payload, except: sender, &context) }
        }
        self.proceed(&context)
    }

    /// Spreads a block that came from the ordering service.
    private mutating func spread(_ payload: Gossip_Payload, _ context: inout GossipContext) {
        guard context.options.blockGossipEnabled, self.recent.wants(payload.seqNum) else { return }
        self.recent.add(payload)
        self.push(payload, except: nil, &context)
    }

    private func push(_ payload: Gossip_Payload, except sender: PKIID?, _ context: inout GossipContext) {
        let peers = self.neighbors(context).filter { $0 != sender }
        for peer in context.choose(context.options.propagatePeerNum, of: peers) {
            context.send(BlockPull.item(payload, self.view), to: peer)
        }
    }

    private mutating func advance(
        to height: BlockNumber,
        _ header: Common_BlockHeader?,
        _ context: inout GossipContext
    ) {
        self.stateInfos.setHeight(height)
        self.transfer.advance(to: height, header, now: context.now)
        self.proceed(&context)
    }

    private mutating func proceed(_ context: inout GossipContext) {
        let refusals = self.transfer.proceed(
            self.members,
            takesFromOrderers: self.election.isLeader,
            self.view,
            &context
        )
        for (sender, refusal) in refusals {
            self.note("block", by: sender, "gave a wrong block: \(refusal)", &context)
        }
    }

    // MARK: - Leaders

    private mutating func receive(
        _ leadership: Gossip_LeadershipMessage,
        _ message: ReceivedMessage,
        _ context: inout GossipContext
    ) {
        guard let author = PKIID(leadership.pkiID), context.identities.isOfOwnOrganization(message.sender),
            context.identities.isOfOwnOrganization(author)
        else {
            let text = "sent a message of leader election that is not of the own organization"
            return self.note("leader election", by: message.sender, text, &context)
        }
        guard self.members[author] != nil else { return }
        guard context.identities.hasSigned(author, message.envelope, now: context.now) else {
            let text = "sent a message of leader election that its author has not signed"
            return self.note("leader election", by: message.sender, text, &context)
        }
        self.election.receive(leadership, of: author, self.view, &context)
    }

    /// The channel's members of the own organization.
    private func neighbors(_ context: GossipContext) -> [PKIID] {
        self.members.values.filter { $0.mspID == context.local.mspID }.map(\.pkiID).sorted()
    }

    private func note(_ kind: String, by peer: PKIID, _ text: String, _ context: inout GossipContext) {
        context.blame(peer, in: self.view, kind, text)
    }
}
