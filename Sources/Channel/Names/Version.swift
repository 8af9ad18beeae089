package import Foundation

/// The number of a block in its channel; the genesis block is 0.
package typealias BlockNumber = UInt64

/// The point of the ledger at which a key was last written: block, and transaction within the block.
///
/// Fabric calls it a height. Versions are compared exactly in the multi-version check.
package struct Version: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var block: BlockNumber
    package var transaction: UInt64

    package init(block: BlockNumber, transaction: UInt64) {
        self.block = block
        self.transaction = transaction
    }

    package var description: String { "(\(self.block), \(self.transaction))" }

    package static func < (left: Version, right: Version) -> Bool {
        (left.block, left.transaction) < (right.block, right.transaction)
    }

    /// Both numbers in the order-preserving form: bytes compare as the versions do.
    package var encoded: Data {
        var bytes = Data(capacity: 18)
        bytes.appendOrderPreserving(self.block)
        bytes.appendOrderPreserving(self.transaction)
        return bytes
    }

    /// Reads ``encoded``; `nil` if `encoded` is cut short, too long, or not in its shortest form.
    package init?(encoded: Data) {
        var rest = encoded
        guard let block = rest.popOrderPreserving(), let transaction = rest.popOrderPreserving(), rest.isEmpty
        else { return nil }
        self.init(block: block, transaction: transaction)
    }
}

extension Data {
    /// Appends one byte with the count of significant bytes (0 to 8), then those bytes, most significant first.
    ///
    /// - Source: Fabric v3, package `common/ledger/util`, order-preserving varints.
    package mutating func appendOrderPreserving(_ number: UInt64) {
        let count = 8 - number.leadingZeroBitCount / 8
        self.append(UInt8(count))
        for index in stride(from: count - 1, through: 0, by: -1) {
            self.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * index)))
        }
    }

    /// Takes one number written by ``appendOrderPreserving(_:)`` from the front; `nil` if there is none.
    package mutating func popOrderPreserving() -> UInt64? {
        guard let count = self.first, count <= 8, self.count > Int(count) else { return nil }
        let digits = self.dropFirst().prefix(Int(count))
        guard digits.first != 0 else { return nil }
        self = self.dropFirst(1 + Int(count))
        return digits.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
