import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import Simulation
import SwiftProtobuf

@testable import Orderer

/// Blocks that a lying leader proposes instead of an honest one.
struct BlockLies {
    enum Lie: CaseIterable {
        case forgedEnvelope, orderedBefore, twice, wrongLastConfig, forgedConfig
        case otherChannel, wrongType, tooMany, wrongDataHash, wrongPreviousHash
    }

    let honest: ProposedBlock
    let liar: SigningIdentity
    let identities: ChainIdentities
    /// What is made up is numbered from here on.
    let first: UInt64

    /// A block that nobody may vote for; `nil` if there is none of this kind now.
    func block(_ lie: Lie, _ cluster: ChainCluster) throws -> ProposedBlock? {
        var envelopes = self.honest.block.data.data
        var lastConfig = self.honest.lastConfig
        switch lie {
        case .forgedEnvelope:
            var envelope = try self.identities.envelope(self.first, size: 50)
            envelope.signature = try self.identities.envelope(self.first + 1, size: 50).signature
            envelopes = [try envelope.serializedBytes()]
        case .orderedBefore:
            guard let old = cluster.dice.pick(cluster.lately) else { return nil }
            envelopes = [old]
        case .twice: envelopes += envelopes
        case .wrongLastConfig: lastConfig += 1
        case .forgedConfig:
            guard let configuration = cluster.invariants.configuration else { return nil }
            envelopes = [try self.config(configuration.config)]
            lastConfig = self.honest.block.header.number
        case .otherChannel:
            envelopes = [
                try self.identities.envelope(self.first, size: 50, channel: "other").serializedBytes()
            ]
        case .wrongType:
            envelopes = [
                try self.identities.envelope(self.first, size: 50, type: .message).serializedBytes()
            ]
        case .tooMany:
            envelopes = try (0..<12).map {
                try self.identities.envelope(self.first + $0, size: 50).serializedBytes()
            }
        case .wrongDataHash, .wrongPreviousHash: break
        }
        return try self.block(envelopes, lastConfig) { header in
            if lie == .wrongDataHash { header.dataHash = Data(repeating: 1, count: 32) }
            if lie == .wrongPreviousHash { header.previousHash = Data(repeating: 1, count: 32) }
        }
    }

    /// A configuration that no administrator has signed.
    private func config(_ current: Common_Config) throws -> Data {
        var config = Common_ConfigEnvelope()
        config.config = current
        config.config.sequence += 1
        return try Common_Envelope.signed(
            .config,
            channel: ChainIdentities.channel,
            data: config.serializedBytes(),
            signer: self.liar,
            nonce: ChainIdentities.nonce(self.first),
            timestamp: Date(timeIntervalSince1970: 1_700_000_000)
        ).serializedBytes()
    }

    /// Another block that is as good.
    func otherBlock(_ cluster: ChainCluster) throws -> ProposedBlock? {
        let envelopes = self.honest.block.data.data
        guard !self.honest.block.isConfigBlock else { return nil }
        if envelopes.count > 1, cluster.dice.chance(700) {
            return try self.block(Array(envelopes.dropLast()), self.honest.lastConfig)
        }
        let waiting = cluster.clients.outstanding.sorted { $0.key < $1.key }.map(\.value.envelope)
        guard let envelope = cluster.dice.pick(waiting) else { return nil }
        let bytes: Data = try envelope.serializedBytes()
        guard !envelopes.contains(bytes) else { return nil }
        return try self.block([bytes], self.honest.lastConfig)
    }

    /// The block without the envelopes of some clients.
    func censored(_ cluster: ChainCluster) throws -> ProposedBlock? {
        guard !self.honest.block.isConfigBlock else { return nil }
        let kept = self.honest.block.data.data.filter { Digest.sha256($0).first.map { $0 % 2 == 0 } ?? true }
        guard !kept.isEmpty, kept.count < self.honest.block.data.data.count else { return nil }
        return try self.block(kept, self.honest.lastConfig)
    }

    private func block(
        _ envelopes: [Data],
        _ lastConfig: BlockNumber,
        _ change: (inout Common_BlockHeader) -> Void = { _ in }
    ) throws -> ProposedBlock {
        var block = Common_Block.next(after: nil, envelopes: envelopes)
        block.header.number = self.honest.block.header.number
        block.header.previousHash = self.honest.block.header.previousHash
        change(&block.header)
        return try ProposedBlock(block, lastConfig: lastConfig)
    }
}
