import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Synchronization
import Testing

@testable import Orderer

/// A leader that lies is refused and replaced, and what clients sent is ordered all the same.
@Suite(.serialized, .timeLimit(.minutes(10))) struct LyingLeaderTests {
    enum Lie: CaseIterable, Sendable {
        case forgedEnvelope, strangersEnvelope, orderedBefore, twice, wrongLastConfig, forgedConfig,
            otherChannel
        case wrongType, tooMany, wrongDataHash
    }

    /// Lets consenter 1 propose `lie` instead of what it wants to, from block 2 on.
    private func lie(_ lie: Lie, on cluster: TestBFTCluster, ordered: Data) throws {
        let network = cluster.network
        let liar = try #require(cluster.member(1))
        let signer = BFTSigner(
            channel: network.channelID,
            signer: RenewableIdentity(liar.identity),
            nonce: { Data(count: 24) }
        )
        let genesis = cluster.genesis
        cluster.setRoute { message in
            guard message.from == 1, case .proposal(var proposal) = message.content,
                proposal.ballot.round.height > 1,
                let honest = try? ProposedBlock(payload: proposal.payload),
                let lied = try? Self.block(lie, honest, network, genesis, ordered)
            else { return message }
            proposal.payload = lied.payload
            proposal.ballot.digest = lied.digest
            let vote = try? signer.sign(.vote(.prepare, proposal.ballot), as: 1)
            proposal.signature = vote ?? []
            return BFTMessage(from: 1, to: message.to, content: .proposal(proposal))
        }
    }

    private static func block(
        _ lie: Lie,
        _ honest: ProposedBlock,
        _ network: TestNetwork,
        _ genesis: Common_Block,
        _ ordered: Data
    ) throws -> ProposedBlock {
        var envelopes = honest.block.data.data
        var lastConfig = honest.lastConfig
        switch lie {
        case .forgedEnvelope:
            var envelope = try network.envelope()
            envelope.signature = try network.envelope().signature
            envelopes = [try envelope.serializedBytes()]
        case .strangersEnvelope:
            let stranger = try network.stranger.issue("user", "client")
            envelopes = [try network.envelope(by: stranger).serializedBytes()]
        case .orderedBefore: envelopes = [ordered]
        case .twice: envelopes += envelopes
        case .wrongLastConfig: lastConfig += 1
        case .forgedConfig:
            var config = try genesis.configEnvelope()
            config.config.sequence += 1
            config.lastUpdate = try network.update(from: genesis.configEnvelope().config) { group in
                group.groups["Orderer"]?.values["BatchTimeout"]?.value = try Orderer_BatchTimeout.with {
                    $0.timeout = "3s"
                }.serializedBytes()
            }
            let orderer = try network.ordererOrganization.issue("liar", "orderer")
            envelopes = [
                try Common_Envelope.signed(
                    .config,
                    channel: network.channelID.description,
                    data: config.serializedBytes(),
                    signer: orderer,
                    nonce: secureRandomBytes(24),
                    timestamp: Date()
                ).serializedBytes()
            ]
            lastConfig = honest.block.header.number
        case .otherChannel: envelopes = [try network.envelope(channel: "other").serializedBytes()]
        case .wrongType: envelopes = [try network.envelope(type: .message).serializedBytes()]
        case .tooMany: envelopes = try (0..<11).map { _ in try network.envelope().serializedBytes() }
        case .wrongDataHash: break
        }
        var block = Common_Block.next(after: nil, envelopes: envelopes)
        block.header.number = honest.block.header.number
        block.header.previousHash = honest.block.header.previousHash
        if lie == .wrongDataHash { block.header.dataHash = Data(repeating: 1, count: 32) }
        return try ProposedBlock(block, lastConfig: lastConfig)
    }

    @Test("a block that is a lie is refused, and its leader replaced", arguments: Lie.allCases)
    func refuses(lie: Lie) async throws {
        let cluster = try TestBFTCluster(4, options: .leaderTimeout("100s"))
        try cluster.start()
        try await cluster.ready()
        let first = try cluster.network.envelope()
        #expect(try await cluster.order(first, through: 2).status == .success)
        try self.lie(lie, on: cluster, ordered: first.serializedBytes())
        let start = ContinuousClock.now
        let second = try cluster.network.envelope()
        let answer = try await cluster.order(second, through: 3)
        #expect(answer.status == .success, "\(answer.info)")
        // A lie is noticed when it is read, not when time is up.
        #expect(ContinuousClock.now - start < .seconds(100))
        try await cluster.reached(3, [2, 3, 4])
        for id: NodeID in [2, 3, 4] {
            let blocks = try cluster.blocks(of: id)
            #expect(
                blocks.dropFirst().map(\.data.data)
                    == [[try first.serializedBytes()], [try second.serializedBytes()]]
            )
            let round = try #require(try BFTRound(of: blocks[2]))
            #expect(round.view >= 1 && round.decisionsInView == 0)
        }
        await cluster.stopAll()
    }

    @Test("a leader that leaves one envelope out while it orders others is replaced")
    func replacesCensor() async throws {
        let cluster = try TestBFTCluster(4)
        // What comes through consenter 3 never reaches the leader.
        cluster.setCensor { from, to in to == 1 && from != 1 }
        try cluster.start()
        try await cluster.ready()
        let isOver = Mutex(false)
        let others = Task {
            while !isOver.withLock({ $0 }) {
                _ = try await cluster.order(cluster.network.envelope(), through: 1)
            }
        }
        let envelope = try cluster.network.envelope()
        let answer = try await cluster.order(envelope, through: 3)
        isOver.withLock { $0 = true }
        try await others.value
        #expect(answer.status == .success, "\(answer.info)")
        let bytes: Data = try envelope.serializedBytes()
        let block = try #require(try cluster.blocks(of: 3).first { $0.data.data.contains(bytes) })
        let round = try #require(try BFTRound(of: block))
        #expect(round.view % 4 != 0)
        await cluster.stopAll()
    }

    @Test("a leader that is silent or cut off is replaced", arguments: [true, false])
    func replacesSilent(isDeaf: Bool) async throws {
        let cluster = try TestBFTCluster(4)
        try cluster.start()
        try await cluster.ready()
        #expect(try await cluster.order(cluster.network.envelope(), through: 2).status == .success)
        cluster.setRoute { $0.from == 1 || (isDeaf && $0.to == 1) ? nil : $0 }
        #expect(try await cluster.order(cluster.network.envelope(), through: 2).status == .success)
        #expect(cluster.channel(2)?.standing.leader != 1)
        // What it missed it gets when it is back.
        cluster.setRoute { $0 }
        #expect(try await cluster.order(cluster.network.envelope(), through: 1).status == .success)
        try await cluster.reached(4)
        await cluster.stopAll()
    }
}
