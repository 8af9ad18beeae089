internal import Cryptography
package import FabricProtos
package import Foundation

extension Common_BlockHeader {
    /// The bytes that are hashed and signed: DER of `SEQUENCE { INTEGER number, OCTET STRING previousHash,
    /// OCTET STRING dataHash }`.
    ///
    /// - Source: Fabric v3, package `protoutil`, block header bytes; X.690 for the encoding.
    package var der: Data {
        var content = Data(capacity: 80)
        content.appendDER(tag: 0x02, Self.integerContent(self.number))
        content.appendDER(tag: 0x04, self.previousHash)
        content.appendDER(tag: 0x04, self.dataHash)
        var sequence = Data(capacity: 84)
        sequence.appendDER(tag: 0x30, content)
        return sequence
    }

    /// The hash that names this block, and that the next block's header carries: SHA-256 of ``der``.
    package var hash: Data { Digest.sha256(self.der) }

    /// The shortest two's complement form of an unsigned number: a zero byte leads when the top bit is set.
    private static func integerContent(_ number: UInt64) -> Data {
        let significant = max(1, 8 - number.leadingZeroBitCount / 8)
        let bytes = Swift.withUnsafeBytes(of: number.bigEndian) { Data($0.suffix(significant)) }
        return bytes[bytes.startIndex] & 0x80 == 0 ? bytes : Data([0]) + bytes
    }
}

extension Data {
    /// Appends one DER element: tag, definite length, content.
    fileprivate mutating func appendDER(tag: UInt8, _ content: Data) {
        self.append(tag)
        if content.count < 0x80 {
            self.append(UInt8(content.count))
        } else {
            let length = Swift.withUnsafeBytes(of: UInt64(content.count).bigEndian) {
                Data($0.drop { $0 == 0 })
            }
            self.append(0x80 | UInt8(length.count))
            self.append(length)
        }
        self.append(content)
    }
}
