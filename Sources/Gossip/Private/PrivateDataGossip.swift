package import Channel
internal import FabricProtos
internal import Foundation

/// The private data of one channel on its way between peers: what is pushed when a transaction is endorsed, and what is
/// asked for afterwards.
///
/// Nothing is sent to a peer that the collection's policy does not entitle. For a push, that is judged by the peer's
/// validated identity; for an answer, by identity and signature of the message that opened the peer's connection.
///
/// - Source: Fabric v3.1, package `gossip/privdata`.
package struct PrivateDataGossip: Sendable {
    package let channel: ChannelID
    private var configuration: ChannelConfiguration?
    private var pushes = PrivateDataPushes()
    private var pulls = PrivateDataPulls()
    /// What peers have asked for and the driver reads.
    private var reading: [Question: Duration] = [:]
    /// What peers have pushed and the driver stores.
    private var keeping: [Question: Duration] = [:]
    /// Whether peers with a connection are readers of the channel, by what they have proved.
    private var readers: [PKIID: (proof: Gossip_Envelope, isReader: Bool)] = [:]
    /// Whom has been noted something about, so that it is said once.
    private var noted = Set<Complaint>()

    /// A message of a peer, until it is answered.
    private struct Question: Hashable {
        var peer: PKIID
        var nonce: UInt64
    }

    private struct Complaint: Hashable {
        var peer: PKIID
        var kind: Kind
        enum Kind { case noReader, tooMuch, notMember, wrongData }
    }

    /// Questions of one peer that wait for the disk at once; further ones are dropped.
    static let maximumQuestions = (read: 16, keep: 200)
    /// Things that one question may ask for; what is beyond is not answered.
    static let maximumDigests = 10_000
    /// Bytes of private data in one answer; the asker comes again for the rest.
    static let maximumAnswerBytes = 32 << 20
    /// How long an answer of the driver is waited for before its place is given to others.
    static let questionLifetime = Duration.seconds(30)
    /// Peers about whom something is noted; then all may be noted again.
    static let maximumComplaints = 1_000

    package init(channel: ChannelID) {
        self.channel = channel
    }

    // MARK: Steps

    package mutating func configure(
        _ configuration: ChannelConfiguration,
        _ context: inout GossipContext
    ) {
        self.configuration = configuration
        self.readers = [:]
    }

    /// Looks whether something has waited too long; `members` are the heights of the peers that take part in the channel.
    package mutating func tick(members: [PKIID: BlockNumber], _ context: inout GossipContext) {
        let now = context.now
        self.reading = self.reading.filter { now - $0.value < Self.questionLifetime }
        self.keeping = self.keeping.filter { now - $0.value < Self.questionLifetime }
        self.readers = self.readers.filter { context.connections[$0.key] != nil }
        self.pushes.tick(self.channel, &context)
        guard let surroundings = self.surroundings(members) else { return }
        self.pulls.tick(surroundings, &context)
    }

    /// Takes what the driver has to say; `members` are the heights of the peers that take part in the channel.
    package mutating func step(
        _ input: PrivateDataInput,
        members: [PKIID: BlockNumber],
        _ context: inout GossipContext
    ) {
        switch input {
        case .push(let payloads, let request):
            self.pushes.push(payloads, request, self.channel, self.surroundings(members), &context)
        case .pull(let wanted, let request):
            self.pulls.pull(wanted, request, self.channel, self.surroundings(members), &context)
        case .read(let held, let peer, let nonce):
            self.answer(held, Question(peer: peer, nonce: nonce), &context)
        case .kept(let error, let peer, let nonce):
            guard self.keeping.removeValue(forKey: Question(peer: peer, nonce: nonce)) != nil else { return }
            var message = Gossip_GossipMessage()
            message.nonce = nonce
            message.ack.error = error
            context.send(message, to: peer)
        }
    }

    /// Takes a message of this channel, or an acknowledgement, which says no channel: another's is left alone.
    package mutating func receive(
        _ message: ReceivedMessage,
        members: [PKIID: BlockNumber],
        _ context: inout GossipContext
    ) {
        switch message.message.content {
        case .ack(let acknowledgement):
            self.pushes.acknowledged(acknowledgement, message, self.channel, &context)
        case .privateRes(let response):
            guard let surroundings = self.surroundings(members) else { return }
            for liar in self.pulls.answered(response, message, surroundings, &context) {
                self.note(
                    .wrongData,
                    liar,
                    "\(context.name(of: liar)) sent private data of channel \(self.channel) that is not what was "
                        + "endorsed; others are asked",
                    &context
                )
            }
        case .privateData(let pushed): self.keep(pushed, message, &context)
        case .privateReq(let request): self.look(request, message, &context)
        default: return
        }
    }

    private func surroundings(_ members: [PKIID: BlockNumber]) -> PrivateDataSurroundings? {
        self.configuration.map {
            PrivateDataSurroundings(channel: self.channel, configuration: $0, members: members)
        }
    }

    // MARK: What other peers push and ask for

    /// Has the driver keep what a reader of the channel pushes; whether it is what was endorsed shows at the commit.
    private mutating func keep(
        _ pushed: Gossip_PrivateDataMessage,
        _ message: ReceivedMessage,
        _ context: inout GossipContext
    ) {
        let payload = pushed.payload
        guard !payload.privateRwset.isEmpty, !payload.txID.isEmpty, !payload.namespace.isEmpty,
            !payload.collectionName.isEmpty, self.isReader(message.sender, &context)
        else { return }
        let question = Question(peer: message.sender, nonce: message.message.nonce)
        guard
            self.admit(
                question,
                \.keeping,
                limit: Self.maximumQuestions.keep,
                "pushes private data faster than it can be stored; some of it is dropped",
                &context
            )
        else { return }
        context.effects.append(
            .privateData(self.channel, .keep(payload, from: question.peer, nonce: question.nonce))
        )
    }

    /// Has the driver read what a peer asks for.
    private mutating func look(
        _ request: Gossip_RemotePvtDataRequest,
        _ message: ReceivedMessage,
        _ context: inout GossipContext
    ) {
        guard !request.digests.isEmpty, let connection = context.connections[message.sender],
            self.isReader(message.sender, &context)
        else { return }
        let question = Question(peer: message.sender, nonce: message.message.nonce)
        guard
            self.admit(
                question,
                \.reading,
                limit: Self.maximumQuestions.read,
                "asks for private data faster than it can be read; some questions are not answered",
                &context
            )
        else { return }
        let digests = Array(request.digests.prefix(Self.maximumDigests))
        context.effects.append(
            .privateData(self.channel, .read(digests, requester: connection, nonce: question.nonce))
        )
    }

    /// Gives the peer that asked what it is entitled to, and nothing else.
    private mutating func answer(
        _ held: [HeldPrivateData],
        _ question: Question,
        _ context: inout GossipContext
    ) {
        guard self.reading.removeValue(forKey: question) != nil, let configuration,
            let connection = context.connections[question.peer]
        else { return }
        var verdicts: [Common_SignaturePolicyEnvelope: Bool] = [:]
        var response = Gossip_RemotePvtDataResponse()
        var bytes = 0
        var refused = 0
        for data in held {
            let mayHave =
                verdicts[data.members] ?? CollectionMembers(data.members, configuration).includes(connection)
            verdicts[data.members] = mayHave
            guard mayHave else {
                refused += 1
                continue
            }
            let size = data.element.payload.reduce(0) { $0 + $1.count }
            guard response.elements.isEmpty || bytes + size <= Self.maximumAnswerBytes else { break }
            bytes += size
            response.elements.append(data.element)
        }
        if refused > 0 {
            self.note(
                .notMember,
                question.peer,
                "\(context.name(of: question.peer)) asked for private data of collections of channel "
                    + "\(self.channel) that it is no member of; it does not get them",
                &context
            )
        }
        var message = Gossip_GossipMessage()
        message.nonce = question.nonce
        message.channel = Data(self.channel.description.utf8)
        message.tag = .chanOnly
        message.privateRes = response
        context.send(message, to: question.peer)
    }

    /// Finds a place for a question; `false` if it is asked already, or its peer has asked too much.
    private mutating func admit(
        _ question: Question,
        _ waiting: WritableKeyPath<Self, [Question: Duration]>,
        limit: Int,
        _ complaint: String,
        _ context: inout GossipContext
    ) -> Bool {
        guard self[keyPath: waiting][question] == nil else { return false }
        guard self[keyPath: waiting].keys.count(where: { $0.peer == question.peer }) < limit else {
            self.note(
                .tooMuch,
                question.peer,
                "\(context.name(of: question.peer)) \(complaint) (channel \(self.channel))",
                &context
            )
            return false
        }
        self[keyPath: waiting][question] = context.now
        return true
    }

    /// Whether the peer at the other end of a connection has proved that it may read the channel.
    private mutating func isReader(_ peer: PKIID, _ context: inout GossipContext) -> Bool {
        guard let connection = context.connections[peer], let configuration else { return false }
        if let known = self.readers[peer], known.proof == connection.proof { return known.isReader }
        let verdict = Result {
            try configuration.policies.evaluate(Self.readersPolicy, [connection.signedData])
        }
        var isReader = true
        if case .failure(let refusal) = verdict {
            isReader = false
            self.note(
                .noReader,
                peer,
                "\(context.name(of: peer)) does not satisfy \(Self.readersPolicy) of channel \(self.channel); "
                    + "its private data is not taken, and it gets none: \(refusal)",
                &context
            )
        }
        self.readers[peer] = (connection.proof, isReader)
        return isReader
    }

    private static let readersPolicy = "/Channel/Application/Readers"

    private mutating func note(
        _ kind: Complaint.Kind,
        _ peer: PKIID,
        _ text: String,
        _ context: inout GossipContext
    ) {
        if self.noted.count >= Self.maximumComplaints { self.noted = [] }
        guard self.noted.insert(Complaint(peer: peer, kind: kind)).inserted else { return }
        context.note(.warning, text)
    }
}

/// What pushes and pulls look at in a step.
struct PrivateDataSurroundings {
    let channel: ChannelID
    let configuration: ChannelConfiguration
    /// The heights of the other peers that take part in the channel.
    let members: [PKIID: BlockNumber]

    /// The peers of the channel that may have a collection's data, in a fixed order.
    func peers(of collection: CollectionMembers, _ context: GossipContext) -> [PKIID] {
        self.members.keys.sorted().filter { peer in
            guard peer != context.local.pkiID, let known = context.identities.known[peer] else {
                return false
            }
            return collection.contains(known.serialized)
        }
    }

    /// A message of the channel about private data.
    func message(nonce: UInt64) -> Gossip_GossipMessage {
        var message = Gossip_GossipMessage()
        message.nonce = nonce
        message.channel = Data(self.channel.description.utf8)
        message.tag = .chanOnly
        return message
    }
}
