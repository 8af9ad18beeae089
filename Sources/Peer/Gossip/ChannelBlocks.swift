internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Ledger
internal import SwiftProtobuf

/// Does what gossip wants done about blocks: reads them for other peers, has those that came committed, and follows the
/// organization's leader.
struct ChannelBlocks: GossipBlocks {
    let channels: ChannelRegistry
    let intakes: BlockIntakes
    let readers: BlockingExecutor
    /// What a requester, a serialized identity, may have of a block's private data, as `PvtDataPayload` messages.
    ///
    /// Reads the disk.
    let privateData: @Sendable (PeerChannel, BlockNumber, Data) -> [Data]

    /// Bytes of blocks that are read for one answer, at most, unless a single block is larger.
    private static let answerByteCapacity = 32 << 20

    func perform(
        _ effect: BlocksEffect,
        on channel: ChannelID,
        answer: @escaping @Sendable (BlocksInput) async -> Void
    ) {
        guard let channel = self.channels[channel] else { return }
        let intake = self.intakes[channel.id]
        intake.connect(answer)
        switch effect {
        case .lead(let leads): intake.leads = leads
        case .read(let numbers, let requester, let nonce):
            Task(executorPreference: self.readers) {
                let payloads = await self.payloads(numbers, of: channel, for: requester.identity)
                await answer(.read(payloads, for: requester.peer, nonce: nonce))
            }
        case .commit(let blocks):
            Task(executorPreference: self.readers) {
                await Self.keepPrivateData(of: blocks, on: channel)
                intake.give(blocks.map(\.block), height: channel.ledger.height)
                guard let last = blocks.last?.block.header.number else { return }
                try? await channel.committed.waitForBlock(last)
                // At once, so that gossip asks for more.
                guard let header = channel.ledger.lastHeader else { return }
                await answer(.committed(header))
            }
        }
    }

    /// Blocks, as many as there are in a row.
    private func payloads(
        _ numbers: ClosedRange<BlockNumber>,
        of channel: PeerChannel,
        for requester: Data
    ) async -> [Gossip_Payload] {
        var payloads: [Gossip_Payload] = []
        var byteCount = 0
        for number in numbers {
            guard let block = try? channel.block(number), let bytes = try? block.serializedBytes() as Data
            else { break }
            let privateData = self.privateData(channel, number, requester)
            byteCount += bytes.count + privateData.reduce(0) { $0 + $1.count }
            guard payloads.isEmpty || byteCount <= Self.answerByteCapacity else { break }
            payloads.append(
                .with {
                    $0.seqNum = number
                    $0.data = bytes
                    $0.privateData = privateData
                }
            )
        }
        return payloads
    }

    /// Keeps the private data that came along, as if it had been pushed: the commit takes what fits its hashes, and what
    /// can't be kept is fetched later.
    private static func keepPrivateData(of blocks: [PeerBlock], on channel: PeerChannel) async {
        let transient = channel.ledger.transient
        for given in blocks where !given.privateData.isEmpty {
            let envelopes = given.block.data.data
            var seen: Set<UInt64> = []
            for bytes in given.privateData.prefix(envelopes.count) {
                guard let payload = try? Gossip_PvtDataPayload(serializedBytes: bytes),
                    let set = try? Rwset_TxPvtReadWriteSet(serializedBytes: payload.payload),
                    let index = Int(exactly: payload.txSeqInBlock), index < envelopes.count,
                    seen.insert(payload.txSeqInBlock).inserted,
                    let transaction = DecodedTransaction.indexedIdentifier(of: envelopes[index])
                else { continue }
                let height = given.block.header.number
                let kept = Transientstore_TxPvtReadWriteSetWithConfigInfo.with {
                    $0.endorsedAt = height
                    $0.pvtRwset = set
                }
                guard let bytes: Data = try? kept.serializedBytes() else { continue }
                try? transient.add(transaction: transaction, height: height, bytes: bytes)
            }
        }
    }
}
