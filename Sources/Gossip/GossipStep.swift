package import Channel
package import FabricProtos
package import Foundation

/// What happens to a peer's gossip: everything that it knows of the outside.
package enum GossipInput: Sendable {
    /// Time has passed.
    case tick
    /// A connection's handshake has succeeded, whoever dialled.
    case connected(GossipConnection)
    /// The connection to a peer is gone.
    case disconnected(PKIID)
    /// Nobody could be reached, or nobody acceptable answered, at an address that was to be dialled.
    case unreachable(endpoint: String, reason: String)
    /// A message came in.
    case received(Gossip_Envelope, from: PKIID)
    /// A channel was joined, or its configuration has changed.
    case configured(ChannelConfiguration)
    /// The peer has left a channel.
    case left(ChannelID)
    /// The contracts that this peer can endorse on a channel have changed.
    case contracts(ChannelID, [Gossip_Chaincode])
    /// A channel's ledger has grown.
    case height(ChannelID, BlockNumber)
    /// The peer signs with a new certificate of the same name from now on.
    case renewed(LocalPeer)
    /// Something about a channel's blocks.
    case blocks(ChannelID, BlocksInput)
    /// Something about a channel's private data.
    case privateData(ChannelID, PrivateDataInput)
}

/// What gossip wants done, in this order.
package enum GossipEffect: Sendable {
    /// Send a message to a peer: through its connection, or one that is made to `endpoint`. If there is none and no
    /// endpoint, the message is lost, as it may be on the way.
    case send(Gossip_Envelope, to: PKIID, endpoint: String?)
    /// Connect to an address to learn who is there; answered by `connected` or `unreachable`.
    case dial(endpoint: String)
    /// Close the connection to a peer.
    case disconnect(PKIID, reason: String)
    /// Something that an operator should know; already bounded to what is new.
    case note(GossipNote)
    /// Something about a channel's blocks.
    case blocks(ChannelID, BlocksEffect)
    /// Something about a channel's private data.
    case privateData(ChannelID, PrivateDataEffect)
}

/// A connection whose handshake has succeeded.
package struct GossipConnection: Sendable {
    package var peer: PKIID
    /// The serialized identity that the other side has shown.
    package var identity: Data
    /// The signed `ConnEstablish`: the proof of identity for later questions of rights.
    package var proof: Gossip_Envelope
    /// The address that was dialled; `nil` if the other side dialled.
    package var endpoint: String?

    package init(peer: PKIID, identity: Data, proof: Gossip_Envelope, endpoint: String?) {
        self.peer = peer
        self.identity = identity
        self.proof = proof
        self.endpoint = endpoint
    }
}

/// Something that an operator should know.
package struct GossipNote: Sendable, Equatable {
    package enum Level: Sendable { case debug, info, warning }

    package var level: Level
    package var text: String

    package init(_ level: Level, _ text: String) {
        self.level = level
        self.text = text
    }
}

/// Who the peer is.
package struct LocalPeer: Sendable {
    package var pkiID: PKIID
    package var mspID: MSPID
    /// The serialized identity.
    package var identity: Data
    /// Where peers of other organizations reach it; empty to stay unseen by them.
    package var externalEndpoint: String
    /// Where peers of its own organization reach it.
    package var internalEndpoint: String
    /// Signs with the identity's key.
    package var sign: @Sendable (Data) throws -> Data

    package init(
        pkiID: PKIID,
        mspID: MSPID,
        identity: Data,
        externalEndpoint: String,
        internalEndpoint: String,
        sign: @escaping @Sendable (Data) throws -> Data
    ) {
        self.pkiID = pkiID
        self.mspID = mspID
        self.identity = identity
        self.externalEndpoint = externalEndpoint
        self.internalEndpoint = internalEndpoint
        self.sign = sign
    }
}

/// What every part of gossip has at hand while it takes a step.
package struct GossipContext {
    /// Monotonic time since the peer started.
    package internal(set) var now: Duration
    /// Nanoseconds since 1970, as messages carry them; for nothing else.
    package internal(set) var wallClock: UInt64
    package internal(set) var local: LocalPeer
    package let options: GossipOptions
    /// All chance.
    package var random: Chance
    /// Whom this peer knows by certificate.
    package var identities: Identities
    /// Who is alive, and where.
    package var members: [PKIID: AliveMember] {
        get { self.alive.members }
        set { self.alive = AliveMembers(newValue) }
    }
    /// The same, for those who change one at a time.
    var alive: AliveMembers
    /// What bad peers did, so that each thing is noted once.
    var offences = Offences()
    /// With whom there is a connection, and what they have proved.
    package var connections: [PKIID: GossipConnection]
    /// What is to be done, in order.
    package var effects: [GossipEffect] = []

    package init(
        now: Duration,
        wallClock: UInt64,
        local: LocalPeer,
        options: GossipOptions,
        random: any RandomNumberGenerator & Sendable,
        identities: Identities,
        members: [PKIID: AliveMember],
        connections: [PKIID: GossipConnection]
    ) {
        self.now = now
        self.wallClock = wallClock
        self.local = local
        self.options = options
        self.random = Chance(random)
        self.identities = identities
        self.alive = AliveMembers(members)
        self.connections = connections
    }

    /// Sends an envelope to a peer, wherever it is known to be.
    package mutating func send(_ envelope: Gossip_Envelope, to peer: PKIID) {
        self.effects.append(.send(envelope, to: peer, endpoint: self.members[peer]?.endpoint))
    }

    /// Sends a message that is not signed.
    package mutating func send(_ message: Gossip_GossipMessage, to peer: PKIID) {
        guard let envelope = try? Gossip_Envelope(unsigned: message) else { return }
        self.send(envelope, to: peer)
    }

    package mutating func note(_ level: GossipNote.Level, _ text: String) {
        self.effects.append(.note(GossipNote(level, text)))
    }
}

/// A peer that has been heard from lately, itself or through others.
package struct AliveMember: Sendable {
    package var pkiID: PKIID
    package var mspID: MSPID
    /// What it tells other organizations; empty if it wants to stay unseen.
    package var externalEndpoint: String
    /// What it tells its own organization; `nil` if this peer may not know.
    package var internalEndpoint: String?
    /// Its last alive message, as it came.
    package var envelope: Gossip_Envelope

    package init(
        pkiID: PKIID,
        mspID: MSPID,
        externalEndpoint: String,
        internalEndpoint: String?,
        envelope: Gossip_Envelope
    ) {
        self.pkiID = pkiID
        self.mspID = mspID
        self.externalEndpoint = externalEndpoint
        self.internalEndpoint = internalEndpoint
        self.envelope = envelope
    }

    /// Where this peer reaches it; `nil` if nowhere.
    package var endpoint: String? {
        if let internalEndpoint, !internalEndpoint.isEmpty { return internalEndpoint }
        return self.externalEndpoint.isEmpty ? nil : self.externalEndpoint
    }
}

/// Any source of chance, in a form that the standard library's functions take.
package struct Chance: RandomNumberGenerator, Sendable {
    private var source: any RandomNumberGenerator & Sendable

    package init(_ source: any RandomNumberGenerator & Sendable) { self.source = source }

    package mutating func next() -> UInt64 { self.source.next() }
}
