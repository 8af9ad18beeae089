package import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// A block that is about to be encoded.
///
/// An orderer encodes each block three times: as an entry of consensus, and for its readers. SwiftProtobuf's two passes over
/// half a megabyte, and the copies around them, were a tenth of the time that ordering its envelopes took, their signature
/// checks left out.
///
/// - Source: Protocol Buffers, "Encoding": the same bytes as SwiftProtobuf's, which are Go's.
package struct BlockEncoding {
    private let block: Common_Block
    private let header: [UInt8]
    private let dataSize: Int
    private let metadataSize: Int

    /// `nil` for a block with fields that this version doesn't know.
    package init?(_ block: Common_Block) {
        guard block.unknownFields.data.isEmpty, block.header.unknownFields.data.isEmpty,
            block.data.unknownFields.data.isEmpty, block.metadata.unknownFields.data.isEmpty,
            block.hasHeader, block.hasData, block.hasMetadata
        else { return nil }
        self.block = block
        var header = WireMessage()
        header.field(1, block.header.number)
        header.field(2, block.header.previousHash)
        header.field(3, block.header.dataHash)
        self.header = header.bytes
        self.dataSize = block.data.data.reduce(0) { $0 + WireMessage.size(ofElement: $1) }
        self.metadataSize = block.metadata.metadata.reduce(0) { $0 + WireMessage.size(ofElement: $1) }
    }

    /// How many bytes ``write(to:)`` writes.
    package var size: Int {
        [self.header.count, self.dataSize, self.metadataSize].reduce(0) {
            $0 + 1 + WireMessage.varintSize(UInt64($1)) + $1
        }
    }

    package var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: self.size) { buffer, count in
            self.write(to: UnsafeMutableRawBufferPointer(buffer))
            count = self.size
        }
    }

    /// Writes the block to the first ``size`` bytes of `buffer`.
    package func write(to buffer: UnsafeMutableRawBufferPointer) {
        precondition(buffer.count >= self.size, "there is no room for the block")
        var writer = Writer(rest: buffer)
        writer.head(1, count: self.header.count)
        self.header.withUnsafeBytes { writer.append($0) }
        writer.head(2, count: self.dataSize)
        for envelope in self.block.data.data { writer.element(envelope) }
        writer.head(3, count: self.metadataSize)
        for slot in self.block.metadata.metadata { writer.element(slot) }
    }

    /// Writes into memory whose size was computed before.
    private struct Writer {
        var rest: UnsafeMutableRawBufferPointer

        mutating func element(_ value: Data) {
            self.head(1, count: value.count)
            value.withUnsafeBytes { self.append($0) }
        }

        /// The head of a length-delimited field.
        mutating func head(_ number: UInt8, count: Int) {
            self.byte(number << 3 | 2)
            var rest = count
            while rest >= 0x80 {
                self.byte(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            self.byte(UInt8(rest))
        }

        private mutating func byte(_ value: UInt8) {
            self.rest[0] = value
            self.rest = UnsafeMutableRawBufferPointer(rebasing: self.rest.dropFirst())
        }

        mutating func append(_ bytes: UnsafeRawBufferPointer) {
            self.rest.copyMemory(from: bytes)
            self.rest = UnsafeMutableRawBufferPointer(rebasing: self.rest.dropFirst(bytes.count))
        }
    }
}

extension Common_Block {
    /// The bytes of the block, as `serializedBytes()` gives them.
    ///
    /// - Throws: What SwiftProtobuf throws.
    package func encoded() throws -> [UInt8] {
        try BlockEncoding(self)?.bytes ?? self.serializedBytes()
    }
}
