package import Foundation

/// Reads the files in which vectors keep blocks: a length as a varint, then the block, again and again.
package struct BlockFile: Sequence, IteratorProtocol {
    private var rest: Data

    package init(contentsOf file: URL) throws {
        self.rest = try Data(contentsOf: file)
    }

    /// The next block's bytes; `nil` at the end, or where the file is cut short.
    package mutating func next() -> Data? {
        var length = 0
        var shift = 0
        while let byte = self.rest.popFirst(), shift < 56 {
            length |= Int(byte & 0x7f) << shift
            shift += 7
            if byte & 0x80 == 0 { break }
        }
        guard length > 0, length <= self.rest.count else { return nil }
        defer { self.rest = self.rest.dropFirst(length) }
        return Data(self.rest.prefix(length))
    }
}
