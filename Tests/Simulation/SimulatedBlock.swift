package import Consensus

/// A block with what consensus and its driver need: a chain of hashes, envelopes, and who the consenters are.
package struct SimulatedBlock: Equatable, Sendable {
    package var number: UInt64
    package var previousHash: UInt64
    package var envelopes: [UInt64]
    /// The consenters from this block on, if it is a config block.
    package var consenters: [NodeID]

    package var isConfig: Bool { !self.consenters.isEmpty }

    package init(number: UInt64, previousHash: UInt64, envelopes: [UInt64], consenters: [NodeID] = []) {
        self.number = number
        self.previousHash = previousHash
        self.envelopes = envelopes
        self.consenters = consenters
    }

    package static func genesis(consenters: [NodeID]) -> SimulatedBlock {
        SimulatedBlock(number: 0, previousHash: 0, envelopes: [], consenters: consenters)
    }

    /// Not a cryptographic hash: nobody forges here.
    package var hash: UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for word in self.words { hash = (hash ^ word) &* 0x0000_0100_0000_01b3 &+ (hash >> 29) }
        return hash
    }

    private var words: [UInt64] {
        [self.number, self.previousHash, UInt64(self.envelopes.count)] + self.envelopes + self.consenters
    }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        let words = self.words
        bytes.reserveCapacity(8 * words.count)
        for word in words {
            for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * UInt64(shift)))) }
        }
        return bytes
    }

    package init?(bytes: [UInt8]) {
        guard bytes.count % 8 == 0, bytes.count >= 24 else { return nil }
        var words: [UInt64] = []
        for start in stride(from: 0, to: bytes.count, by: 8) {
            var word: UInt64 = 0
            for offset in 0..<8 { word |= UInt64(bytes[start + offset]) << UInt64(8 * offset) }
            words.append(word)
        }
        let count = Int(words[2])
        guard words.count >= 3 + count else { return nil }
        self.init(
            number: words[0],
            previousHash: words[1],
            envelopes: Array(words[3..<(3 + count)]),
            consenters: Array(words[(3 + count)...])
        )
    }
}
