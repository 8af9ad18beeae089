import Channel
import FabricProtos
import Foundation
import GossipSimulation
import Simulation
import SwiftProtobuf

@testable import Gossip

/// Blocks of a channel, signed by its orderer.
struct TestChain {
    let configuration: ChannelConfiguration
    private(set) var blocks: [Common_Block] = []
    private let orderer: SigningIdentity

    init(_ configuration: ChannelConfiguration, _ identities: GossipIdentities, count: Int) throws {
        self.configuration = configuration
        self.orderer = identities.orderer
        for _ in 0..<count { try self.grow() }
    }

    var height: BlockNumber { BlockNumber(self.blocks.count) }

    mutating func grow() throws {
        self.blocks.append(try self.next(after: self.blocks.last?.header, text: "\(self.blocks.count)"))
    }

    /// A block that the orderer has signed.
    func next(
        after header: Common_BlockHeader?,
        text: String,
        channel: String? = nil
    ) throws -> Common_Block {
        let envelope = try Common_Envelope.signed(
            .endorserTransaction,
            channel: channel ?? self.configuration.channelID.description,
            data: Data(text.utf8),
            signer: self.orderer,
            nonce: Data(repeating: 1, count: 24),
            timestamp: Date(timeIntervalSince1970: 1_700_000_000)
        )
        var block = Common_Block.next(after: header, envelopes: [try envelope.serializedData()])
        try block.sign(
            lastConfig: 0,
            consenterMetadata: Data(),
            by: self.orderer,
            nonce: Data(repeating: 2, count: 24)
        )
        return block
    }

    func payload(_ number: BlockNumber) throws -> Gossip_Payload {
        try Self.payload(self.blocks[Int(number)])
    }

    static func payload(_ block: Common_Block) throws -> Gossip_Payload {
        let data = try block.serializedData()
        return .with {
            $0.seqNum = block.header.number
            $0.data = data
        }
    }
}

/// Peers that keep a channel's blocks, in a network under virtual time.
final class BlockWorld {
    let world: GossipWorld
    let identities: GossipIdentities
    var chain: TestChain
    private(set) var heights: [BlockNumber]
    /// Who takes blocks from the ordering service.
    private(set) var leaders: Set<Int> = []
    /// Blocks that a peer was given to commit and that are not the channel's.
    private(set) var forgeries = 0
    private(set) var commits = 0
    /// Whether a peer answers requests for blocks, and with what.
    var serve: (Int, [Gossip_Payload]) -> [Gossip_Payload]? = { $1 }

    init(
        organizations: Int = 2,
        peers: Int = 2,
        blocks: Int,
        heights: [BlockNumber],
        seed: UInt64 = 1,
        hidden: Set<Int> = [],
        options: GossipOptions = GossipOptions()
    ) throws {
        self.identities = try GossipIdentities(organizations: organizations, peers: peers)
        let configuration = try self.identities.channel()
        self.chain = try TestChain(configuration, self.identities, count: blocks)
        self.heights = heights
        self.world = try GossipWorld(self.identities, seed: seed, options: options, hidden: hidden)
        self.world.onEffect = { [unowned self] _, number, effect in self.perform(effect, of: number) }
        self.world.configureAll(configuration)
        for number in heights.indices { self.tellHeight(number) }
    }

    var channel: ChannelID { self.chain.configuration.channelID }

    func gossip(_ number: Int) -> ChannelGossip? {
        self.world.peers[number].engine.channels[self.channel]?.blocks
    }

    func name(_ number: Int) -> PKIID { self.world.peers[number].local.pkiID }

    func warnings(_ number: Int) -> [String] {
        self.world.peers[number].notes.filter { $0.level == .warning }.map(\.text)
    }

    func give(_ input: BlocksInput, to number: Int) {
        self.world.give(.blocks(self.channel, input), to: number)
    }

    /// Blocks that the ordering service has made and nobody has yet.
    func grow(by count: Int) throws {
        for _ in 0..<count { try self.chain.grow() }
    }

    /// A message of the channel.
    func message(
        _ tag: Gossip_GossipMessage.Tag,
        nonce: UInt64 = 0,
        _ content: Gossip_GossipMessage.OneOf_Content
    ) -> Gossip_GossipMessage {
        ChannelView(self.chain.configuration).message(tag, nonce: nonce, content)
    }

    /// Has a peer say something that its engine would not.
    func send(
        _ message: Gossip_GossipMessage,
        signedBy signer: Int? = nil,
        from number: Int,
        to target: Int
    ) {
        let peers = self.world.peers
        guard
            let envelope = try? signer.map({ try Gossip_Envelope(message, signedBy: peers[$0].local.sign) })
                ?? Gossip_Envelope(unsigned: message)
        else { return }
        self.world.post(envelope, from: number, to: target)
    }

    func restart(_ number: Int) throws {
        self.leaders.remove(number)
        try self.world.start(number, channels: [self.chain.configuration])
        self.tellHeight(number)
    }

    func stop(_ number: Int) {
        self.leaders.remove(number)
        self.world.stop(number)
    }

    /// A block comes from the ordering service to those who take blocks from there.
    func order() throws {
        try self.chain.grow()
        guard let block = self.chain.blocks.last else { return }
        let payload = try TestChain.payload(block)
        for number in self.leaders.sorted() where self.heights[number] == block.header.number {
            self.heights[number] += 1
            self.tellHeight(number)
            self.give(.delivered(payload), to: number)
        }
    }

    private func tellHeight(_ number: Int) {
        guard self.heights[number] > 0 else { return }
        self.give(.committed(self.chain.blocks[Int(self.heights[number]) - 1].header), to: number)
    }

    private func perform(_ effect: GossipEffect, of number: Int) {
        guard case .blocks(_, let effect) = effect else { return }
        switch effect {
        case .lead(let isLeader):
            if isLeader { self.leaders.insert(number) } else { self.leaders.remove(number) }
        case .read(let range, let requester, let nonce):
            let payloads = range.prefix { $0 < self.chain.height }.compactMap { try? self.chain.payload($0) }
            guard let answer = self.serve(number, payloads) else { return }
            self.world.after(1.milliseconds) { _ in
                self.give(.read(answer, for: requester.peer, nonce: nonce), to: number)
            }
        case .commit(let blocks):
            self.world.after(5.milliseconds) { _ in
                for block in blocks { self.commit(block.block, at: number) }
            }
        }
    }

    private func commit(_ block: Common_Block, at number: Int) {
        let height = self.heights[number]
        guard block.header.number == height else { return }
        if block != self.chain.blocks[Int(height)] { self.forgeries += 1 }
        self.commits += 1
        self.heights[number] += 1
        self.tellHeight(number)
    }
}
