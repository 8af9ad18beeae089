import Channel
import FabricProtos
import Foundation
import Gossip
import Simulation
import SwiftProtobuf

/// One network of peers under random faults, with an orderer that never fails, private data, and peers that lie.
///
/// The peers' engines are real, and so are certificates, signatures, blocks and policies; what a peer's driver, ledger
/// and transient store do is done here.
package final class GossipRun {
    /// What outlives a restart of a peer.
    struct Storage {
        /// How many blocks it has.
        var height = 1
        /// Private values that it has committed, or keeps for a transaction to come.
        var values: Set<Int> = []
        /// Whether it takes blocks from the orderer.
        var leads = false
        var reachesOrderer = true
        /// Blocks that other peers gave, until they are committed.
        var waiting: [PeerBlock] = []
    }

    let seed: UInt64
    let mutation: GossipMutation?
    let identities: GossipIdentities
    let world: GossipWorld
    let perOrganization: Int
    let hidden: Set<Int>
    let liars: Set<Int>
    /// The peer whose certificate is revoked, by the configuration that this block brings.
    let revoked: Int
    let revocation: BlockNumber
    /// The configuration before, and after.
    let configurations: [ChannelConfiguration]
    let collections: [SimulatedCollection]
    let traces: ((String) -> Void)?

    var dice: Dice
    var chain: [Common_Block] = []
    var storages: [Storage]
    var values: [SimulatedValue] = []
    /// Endorsed transactions that wait for a block.
    var endorsed: [Int] = []
    /// Pushes and pulls on their way, by the number that the engine knows them by.
    var pushes: [UInt64: Int] = [:]
    var pulls: [UInt64: [Int]] = [:]
    var lastRequest: UInt64 = 0
    /// Peers that stay down when the faults end.
    var gone: Set<Int> = []
    var loadEnd: Moment = 150.seconds
    var violation: String?
    var faults = 0
    var commits = 0
    var delivered = 0
    var counts = Counts()
    /// Alive messages that went around, for replays.
    var recorded: [Gossip_Envelope] = []
    /// The newest alive message of each peer.
    var newest: [PKIID: Gossip_PeerTime] = [:]

    init(seed: UInt64, mutation: GossipMutation?, largest: Int, trace: ((String) -> Void)?) throws {
        self.seed = seed
        self.mutation = mutation
        self.traces = trace
        var dice = Dice(seed: seed &* 0x9e37_79b9 &+ 29)
        let organizations = dice.between(2, 4)
        self.perOrganization = max(3, dice.between(3, max(3, largest / organizations)))
        let count = organizations * self.perOrganization
        let perOrganization = self.perOrganization
        self.identities = try GossipIdentities(organizations: organizations, peers: perOrganization)
        // The first of each organization is its anchor peer.
        var others = (0..<count).filter { $0 % perOrganization != 0 }
        func draw(_ number: Int) -> Set<Int> {
            var drawn: Set<Int> = []
            for _ in 0..<number {
                if !others.isEmpty { drawn.insert(others.remove(at: dice.below(others.count))) }
            }
            return drawn
        }
        self.revoked = draw(1).first ?? 1
        self.liars = draw(dice.between(1, 2))
        self.hidden = draw(dice.below(2))
        self.revocation = BlockNumber(dice.between(30, 90))
        self.configurations = [
            try self.identities.channel(),
            try self.identities.channel(revoked: [
                self.revoked / perOrganization: [self.revoked % perOrganization]
            ]),
        ]
        self.collections = try SimulatedCollection.all(self.identities)
        var options = GossipOptions()
        options.useLeaderElection = dice.chance(300)
        options.orgLeader = !options.useLeaderElection
        options.blockGossipEnabled = dice.chance(300)
        options.stateEnabled = dice.chance(500)
        if mutation == .neverExpire { options.aliveExpiration = .seconds(100_000) }
        self.world = try GossipWorld(
            self.identities,
            seed: dice.number(),
            options: options,
            hidden: self.hidden,
            trustsSignatures: mutation == .trustSignatures
        )
        self.storages = Array(repeating: Storage(), count: count)
        self.dice = dice
        try self.order()
        self.listen()
        for number in self.storages.indices { self.boot(number) }
    }

    var channel: ChannelID { self.configurations[0].channelID }
    var now: Moment { self.world.now }

    func organization(of number: Int) -> Int { number / self.perOrganization }

    func name(of number: Int) -> PKIID { self.world.peers[number].local.pkiID }

    func trace(_ text: @autoclosure () -> String) {
        self.traces?("\(self.now / 1_000) ms: \(text())")
    }

    func violated(_ text: String) {
        guard self.violation == nil else { return }
        self.violation = "after \(self.now / 1_000) ms: \(text)"
        self.trace(text)
    }

    func after(_ length: Moment, _ action: @escaping (GossipRun) -> Void) {
        self.world.after(length) { [unowned self] _ in action(self) }
    }

    // MARK: - Peers

    private func listen() {
        self.world.onEffect = { [unowned self] _, number, effect in self.perform(effect, of: number) }
        self.world.onArrival = { [unowned self] _, envelope, sender, number in
            self.checkArrival(envelope, from: sender, at: number)
        }
        self.world.afterArrival = { [unowned self] _, envelope, number in
            self.checkMembers(envelope, at: number)
        }
        self.world.onSend = { [unowned self] _, number, envelope, peer in
            self.leaving(envelope, number, to: peer)
        }
        if self.mutation == .reviveStale {
            self.world.altersArrival = { [unowned self] _, envelope, _, _ in self.refreshed(envelope) }
        }
        if self.mutation == .trustBlocks {
            self.world.altersArrival = { [unowned self] _, envelope, sender, number in
                self.commitUnseen(envelope, from: sender, at: number)
                return envelope
            }
        }
    }

    /// The configuration after so many blocks.
    func configuration(at height: Int) -> ChannelConfiguration {
        let isLater = height > Int(self.revocation) && self.mutation != .keepRevoked
        return self.configurations[isLater ? 1 : 0]
    }

    /// Tells a peer that has started what its ledger holds.
    func boot(_ number: Int) {
        self.world.give(.configured(self.configuration(at: self.storages[number].height)), to: number)
        self.tellHeight(number)
        self.give(.ordererReachable(self.storages[number].reachesOrderer), to: number)
    }

    func give(_ input: BlocksInput, to number: Int) {
        self.world.give(.blocks(self.channel, input), to: number)
    }

    func stop(_ number: Int) {
        self.trace("peer \(number) stops")
        self.counts.crashes += 1
        self.storages[number].leads = false
        self.storages[number].waiting = []
        self.world.stop(number)
    }

    func start(_ number: Int) {
        guard !self.world.peers[number].isUp else { return }
        self.trace("peer \(number) starts")
        do {
            try self.world.start(number)
            self.boot(number)
        } catch {
            self.violated("peer \(number) cannot start: \(error)")
        }
    }

    private func perform(_ effect: GossipEffect, of number: Int) {
        switch effect {
        case .note(let note):
            if note.level == .warning { self.trace("peer \(number) notes: \(note.text)") }
            self.checkNotes(of: number)
        case .blocks(_, let effect): self.perform(effect, of: number)
        case .privateData(_, let effect): self.perform(effect, of: number)
        default: break
        }
    }

    // MARK: - Mutations

    private func leaving(_ envelope: Gossip_Envelope, _ number: Int, to peer: PKIID) -> Gossip_Envelope? {
        self.checkLeaving(envelope, from: number, to: peer)
        guard self.mutation == .tellSecrets, !envelope.hasSecretEnvelope, Messages.author(of: envelope) != nil
        else {
            return envelope
        }
        // The sender knows the secret part of what its own organization says.
        return self.recorded.last { $0.payload == envelope.payload && $0.hasSecretEnvelope } ?? envelope
    }

    /// An old alive message as if it were a new one.
    private func refreshed(_ envelope: Gossip_Envelope) -> Gossip_Envelope {
        guard var message = try? Gossip_GossipMessage(serializedBytes: envelope.payload),
            case .aliveMsg(var alive) = message.content, let author = PKIID(alive.membership.pkiID),
            let last = self.newest[author], last.isNewer(than: alive.timestamp),
            let number = self.world.number(of: author),
            alive.membership.endpoint == self.world.peers[number].local.externalEndpoint
        else { return envelope }
        alive.timestamp = last
        alive.timestamp.seqNum += 1
        self.newest[author] = alive.timestamp
        message.aliveMsg = alive
        return (try? Gossip_Envelope(message, signedBy: self.world.peers[number].local.sign)) ?? envelope
    }
}
