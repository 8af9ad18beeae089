internal import Cryptography
package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// The places in a block's metadata.
///
/// Every block has all five; unused ones are empty.
package enum BlockMetadataSlot: Int, CaseIterable, Sendable {
    /// `common.Metadata` with the orderers' signatures over `common.OrdererBlockMetadata`.
    case signatures
    /// `common.Metadata` with `common.LastConfig`; empty when that is block 0.
    case lastConfig
    /// One byte per transaction: its validation code. Written by peers.
    case transactionsFilter
    /// Not used any more.
    case orderer
    /// `common.Metadata` with the commit hash. Written by peers.
    case commitHash
}

extension Common_Block {
    /// The hash that a header carries of its block's data: SHA-256 of the envelopes, one after the other.
    ///
    /// The boundaries between envelopes are not hashed, so ``checkStructure(after:expected:)`` insists that
    /// each envelope is in its canonical form.
    package static func dataHash(_ envelopes: [Data]) -> Data {
        Digest.hash(envelopes, with: .sha256)
    }

    /// Makes the block that follows `previous`, or block 0, with five empty metadata slots.
    package static func next(after previous: Common_BlockHeader?, envelopes: [Data]) -> Common_Block {
        var block = Common_Block()
        block.header.number = previous.map { $0.number + 1 } ?? 0
        block.header.previousHash = previous?.hash ?? Data()
        block.header.dataHash = Self.dataHash(envelopes)
        block.data.data = envelopes
        block.metadata.metadata = BlockMetadataSlot.allCases.map { _ in Data() }
        return block
    }

    /// The bytes in `slot`; empty if the block has no such slot.
    package func metadata(_ slot: BlockMetadataSlot) -> Data {
        self.metadata.metadata.count > slot.rawValue ? self.metadata.metadata[slot.rawValue] : Data()
    }

    /// Replaces the bytes in `slot`, adding empty slots before it where they are missing.
    package mutating func setMetadata(_ slot: BlockMetadataSlot, _ bytes: Data) {
        while self.metadata.metadata.count <= slot.rawValue {
            self.metadata.metadata.append(Data())
        }
        self.metadata.metadata[slot.rawValue] = bytes
    }

    /// Whether this block carries a channel configuration: exactly one transaction, of type CONFIG.
    package var isConfigBlock: Bool {
        guard self.data.data.count == 1,
            let envelope = try? Common_Envelope(serializedBytes: self.data.data[0]),
            let headers = try? EnvelopeHeaders(envelope)
        else { return false }
        return headers.channel.type == Int32(Common_HeaderType.config.rawValue)
    }

    /// The configuration that this config block carries.
    ///
    /// - Throws: ``MalformedBlock`` if this is not a config block.
    package func configEnvelope() throws(MalformedBlock) -> Common_ConfigEnvelope {
        guard self.isConfigBlock else {
            throw self.malformed("it should be a config block: one transaction, of type CONFIG")
        }
        do {
            let envelope = try Common_Envelope(serializedBytes: self.data.data[0])
            return try Common_ConfigEnvelope(serializedBytes: EnvelopeHeaders(envelope).payload.data)
        } catch {
            throw self.malformed("its configuration can't be read: \(error)")
        }
    }

    /// The signatures' slot and the orderers' metadata in it.
    ///
    /// - Throws: ``MalformedBlock`` if the slot's bytes can't be read.
    package func ordererMetadata() throws(MalformedBlock) -> (
        metadata: Common_Metadata, orderer: Common_OrdererBlockMetadata
    ) {
        do {
            let metadata = try Common_Metadata(serializedBytes: self.metadata(.signatures))
            return (metadata, try Common_OrdererBlockMetadata(serializedBytes: metadata.value))
        } catch {
            throw self.malformed("its orderer metadata can't be read: \(error)")
        }
    }

    /// The number of the config block that was in force when this block was made.
    ///
    /// Read from the signatures' slot, or, in blocks of old channels where that is empty, from the
    /// last-config slot.
    ///
    /// - Throws: ``MalformedBlock`` if neither can be read.
    package func lastConfigNumber() throws(MalformedBlock) -> BlockNumber {
        let (metadata, orderer) = try self.ordererMetadata()
        if !metadata.value.isEmpty {
            return orderer.lastConfig.index
        }
        do {
            let metadata = try Common_Metadata(serializedBytes: self.metadata(.lastConfig))
            return try Common_LastConfig(serializedBytes: metadata.value).index
        } catch {
            throw self.malformed("its last-config metadata can't be read: \(error)")
        }
    }

    /// Checks everything about this block that needs no signature.
    ///
    /// In order: number; previous hash; five metadata slots; transactions in canonical form; data hash.
    ///
    /// - Parameters:
    ///   - previous: The header of the block before, or `nil` to accept any previous hash.
    ///   - number: The number that this block must have.
    /// - Throws: ``MalformedBlock``, naming the first thing that is wrong.
    /// - Source: Fabric v3, package `protoutil`, block verification.
    package func checkStructure(
        after previous: Common_BlockHeader?,
        expected number: BlockNumber
    ) throws(MalformedBlock) {
        try self.checkHeader(after: previous, expected: number)
        try self.checkTransactionsAreCanonical()
        let hash = Self.dataHash(self.data.data)
        guard hash == self.header.dataHash else {
            throw self.malformed(
                "its data hash is \(self.header.dataHash.hexadecimal), "
                    + "but its transactions hash to \(hash.hexadecimal)"
            )
        }
    }

    /// Checks what header and metadata alone show: number, previous hash, and that there are five metadata slots.
    ///
    /// - Parameters:
    ///   - previous: The header of the block before, or `nil` to accept any previous hash.
    ///   - number: The number that this block must have.
    /// - Throws: ``MalformedBlock``, naming the first thing that is wrong.
    /// - Source: Fabric v3.1, package `common/deliverclient`, attestation of a block.
    package func checkHeader(
        after previous: Common_BlockHeader?,
        expected number: BlockNumber
    ) throws(MalformedBlock) {
        guard self.header.number == number else {
            throw self.malformed("block \(number) was expected here")
        }
        if let previous, self.header.previousHash != previous.hash {
            throw self.malformed(
                "its previous hash is \(self.header.previousHash.hexadecimal), "
                    + "but block \(previous.number) has hash \(previous.hash.hexadecimal)"
            )
        }
        guard self.metadata.metadata.count >= BlockMetadataSlot.allCases.count else {
            throw self.malformed("it has \(self.metadata.metadata.count) metadata slots, 5 are required")
        }
    }

    /// Checks that each transaction is an envelope with payload and signature in its one canonical encoding.
    ///
    /// Only then does the data hash fix where one ends and the next begins. A config block is exempt.
    private func checkTransactionsAreCanonical() throws(MalformedBlock) {
        guard !self.data.data.isEmpty else {
            throw self.malformed("it has no transactions")
        }
        guard !self.isConfigBlock else { return }
        for (index, bytes) in self.data.data.enumerated() where !Self.isPlainEnvelope(bytes) {
            guard let envelope = try? Common_Envelope(serializedBytes: bytes) else {
                throw self.malformed("transaction \(index) is no envelope")
            }
            guard !envelope.payload.isEmpty, !envelope.signature.isEmpty else {
                throw self.malformed("transaction \(index) lacks its payload or its signature")
            }
            guard let encoded: Data = try? envelope.serializedBytes(), encoded == bytes else {
                throw self.malformed("transaction \(index) is not encoded canonically")
            }
        }
    }

    /// Whether `bytes` are a payload and a signature in canonical encoding and nothing else, as nearly all envelopes
    /// are; those with fields that are not known here need a closer look.
    private static func isPlainEnvelope(_ bytes: Data) -> Bool {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            return self.dropField(1, from: &rest) && self.dropField(2, from: &rest) && rest.isEmpty
        }
    }

    /// Drops a field of bytes that is not empty and whose length is encoded as short as can be.
    private static func dropField(_ number: UInt8, from rest: inout Slice<UnsafeRawBufferPointer>) -> Bool {
        guard rest.popFirst() == number << 3 | 2 else { return false }
        var count = 0
        for shift in stride(from: 0, to: 35, by: 7) {
            guard let byte = rest.popFirst() else { return false }
            count |= Int(byte & 0x7f) << shift
            guard byte & 0x80 == 0 else { continue }
            guard byte != 0 || shift == 0, count > 0, count <= rest.count else { return false }
            rest.removeFirst(count)
            return true
        }
        return false
    }

    private func malformed(_ reason: String) -> MalformedBlock {
        MalformedBlock(number: self.header.number, reason: reason)
    }
}
