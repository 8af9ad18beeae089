internal import Channel
internal import Consensus
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf
internal import Synchronization

/// A block as a BFT leader proposes it: final header and data, and the number of the config block in force.
///
/// Its bytes are those of a `common.Block` with five metadata slots, of which only LAST_CONFIG is filled. There is just
/// one encoding of each block, so a final block tells what was proposed.
struct ProposedBlock: Equatable {
    /// With the LAST_CONFIG slot and without signatures.
    let block: Common_Block
    let lastConfig: BlockNumber
    let payload: [UInt8]

    /// What goes into a proposal of `block`, whose metadata don't matter.
    init(_ block: Common_Block, lastConfig: BlockNumber) throws {
        var proposed = Common_Block()
        proposed.header = block.header
        proposed.data = block.data
        proposed.metadata.metadata = BlockMetadataSlot.allCases.map { _ in Data() }
        var last = Common_LastConfig()
        last.index = lastConfig
        var metadata = Common_Metadata()
        metadata.value = try last.serializedBytes()
        proposed.setMetadata(.lastConfig, try metadata.serializedBytes())
        self.block = proposed
        self.lastConfig = lastConfig
        self.payload = try proposed.serializedBytes()
    }

    /// Reads a proposal.
    ///
    /// - Throws: ``MalformedBlock`` or a `BinaryDecodingError` for what isn't in the one encoding.
    init(payload: [UInt8]) throws {
        let block = try Common_Block(serializedBytes: payload)
        let metadata = try Common_Metadata(serializedBytes: block.metadata(.lastConfig))
        let lastConfig = try Common_LastConfig(serializedBytes: metadata.value).index
        var plain = Common_Block()
        plain.header.number = block.header.number
        plain.header.previousHash = block.header.previousHash
        plain.header.dataHash = block.header.dataHash
        plain.data.data = block.data.data
        let canonical = try ProposedBlock(plain, lastConfig: lastConfig)
        guard canonical.payload == payload else {
            throw MalformedBlock(number: block.header.number, reason: "it isn't encoded as proposals are")
        }
        self = canonical
    }

    /// The header that was proposed, from a block of this channel that is final.
    init(final block: Common_Block) throws {
        try self.init(block, lastConfig: block.lastConfigNumber())
    }

    var digest: [UInt8] { Self.digest(of: self.payload, self) }

    /// What stands for a payload in votes, also for one that is no block.
    static func digest(_ payload: [UInt8]) -> [UInt8] {
        self.digest(of: payload, try? ProposedBlock(payload: payload))
    }

    private static func digest(of payload: [UInt8], _ block: ProposedBlock?) -> [UInt8] {
        let hash = [UInt8](Digest.sha256(Data(payload)))
        guard let block else { return hash }
        return hash + block.lastConfig.bigEndianBytes + [UInt8](block.block.header.der)
    }
}

/// Reads proposals: what was read last is at hand when it is asked for again, as it is some times for each block.
final class ProposalReader: Sendable {
    private let last = Mutex<(block: ProposedBlock, digest: [UInt8])?>(nil)

    /// Reads a proposal.
    ///
    /// - Throws: ``MalformedBlock`` or a `BinaryDecodingError` for what isn't in the one encoding.
    func block(_ payload: [UInt8]) throws -> ProposedBlock {
        if let known = self.known(payload) { return known.block }
        return self.remember(try ProposedBlock(payload: payload)).block
    }

    /// What stands for a payload in votes, also for one that is no block.
    func digest(_ payload: [UInt8]) -> [UInt8] {
        if let known = self.known(payload) { return known.digest }
        guard let block = try? ProposedBlock(payload: payload) else { return ProposedBlock.digest(payload) }
        return self.remember(block).digest
    }

    /// A proposal of this node will be asked for.
    @discardableResult
    func remember(_ block: ProposedBlock) -> (block: ProposedBlock, digest: [UInt8]) {
        let entry = (block: block, digest: block.digest)
        self.last.withLock { $0 = entry }
        return entry
    }

    private func known(_ payload: [UInt8]) -> (block: ProposedBlock, digest: [UInt8])? {
        self.last.withLock { $0 }.flatMap { $0.block.payload == payload ? $0 : nil }
    }
}

/// What a digest of ``ProposedBlock`` says: all that a block signature covers besides the round.
struct ProposalDigest {
    private static let hashBytes = 32

    let lastConfig: BlockNumber
    /// The header's bytes that are hashed and signed.
    let header: Data

    /// `nil` for the digest of a payload that is no block.
    init?(_ digest: [UInt8]) {
        let rest = digest.dropFirst(Self.hashBytes)
        guard rest.count > 8 else { return nil }
        self.lastConfig = rest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        self.header = Data(rest.dropFirst(8))
    }
}

extension UInt64 {
    /// Eight bytes, most significant first.
    var bigEndianBytes: [UInt8] { Swift.withUnsafeBytes(of: self.bigEndian) { [UInt8]($0) } }
}
