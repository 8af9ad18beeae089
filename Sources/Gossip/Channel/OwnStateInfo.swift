internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// What this peer tells of itself on a channel.
struct OwnStateInfo: Sendable {
    var height: BlockNumber = 1 { didSet { self.isChanged = self.isChanged || self.height != oldValue } }
    var chaincodes: [Gossip_Chaincode] = [] {
        didSet {
            guard self.chaincodes != oldValue else { return }
            self.isChanged = true
            self.isUrgent = true
        }
    }
    var hasLeft = false
    /// The newest message, signed; `nil` before the first.
    private(set) var envelope: Gossip_Envelope?

    private var timestamp: Gossip_PeerTime
    /// The name under which it was told.
    private var author: PKIID?
    private var publishedAt: Duration?
    private var isChanged = true
    /// Others can't endorse with this peer's new contracts before they know: no waiting for the next round.
    private var isUrgent = false

    init(incarnation: UInt64) {
        self.timestamp = .with { $0.incNum = incarnation }
    }

    /// Whether it is time to tell: at once after a pause, otherwise once per interval; and now and then although nothing
    /// has changed, so that nobody forgets.
    func isDue(_ context: GossipContext) -> Bool {
        guard let publishedAt, self.author == context.local.pkiID else { return true }
        let age = context.now - publishedAt
        let interval = context.options.publishStateInfoInterval
        if self.isUrgent { return true }
        return self.isChanged
            ? age >= interval : age >= interval * max(1, context.options.stateInfoRetention / 4)
    }

    /// Makes and signs the next message.
    mutating func sign(_ view: ChannelView, _ context: inout GossipContext) -> Gossip_Envelope? {
        // Never the same twice, whatever the clock does.
        self.timestamp.seqNum = max(context.wallClock, self.timestamp.seqNum &+ 1)
        var message = Gossip_GossipMessage()
        message.tag = .chanOrOrg
        message.stateInfo = .with {
            $0.timestamp = self.timestamp
            $0.pkiID = context.local.pkiID.bytes
            $0.channelMac = view.id.mac(of: context.local.pkiID.bytes)
            $0.properties.ledgerHeight = self.height
            $0.properties.leftChannel = self.hasLeft
            $0.properties.chaincodes = self.chaincodes
        }
        self.author = context.local.pkiID
        self.publishedAt = context.now
        self.isChanged = false
        self.isUrgent = false
        do {
            let envelope = try Gossip_Envelope(message, signedBy: context.local.sign)
            self.envelope = envelope
            return envelope
        } catch {
            context.note(
                .warning,
                "channel \(view.id): the state info can't be signed, other peers will not count on this one: \(error)"
            )
            return nil
        }
    }

    /// Takes note of an own message that others still hold: one of an earlier start, when the clock was ahead, would be
    /// newer to them for ever.
    mutating func learn(_ other: Gossip_PeerTime, _ envelope: Gossip_Envelope, _ context: inout GossipContext)
    {
        guard other.isNewer(than: self.timestamp), other.incNum < .max,
            context.identities.hasSigned(context.local.pkiID, envelope, now: context.now)
        else { return }
        self.timestamp.incNum = other.incNum + 1
        self.isChanged = true
        self.isUrgent = true
    }
}
