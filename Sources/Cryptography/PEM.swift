package import FoundationEssentials

/// One block of PEM text (RFC 7468), read as leniently as Go's `encoding/pem` does.
///
/// Text before the block, CRLF, a missing final newline, and headers are accepted; what follows is ``rest``.
package struct PEMBlock: Sendable, Hashable {
    /// What stands after `BEGIN`, such as `CERTIFICATE`.
    package var type: String
    /// Whether `Name: value` lines precede the base64 text (old encrypted keys have them).
    package var hasHeaders: Bool
    package var contents: Data
    /// What follows the block in the text.
    package var rest: Data

    /// Finds the first well-formed block in `text`; `nil` if there is none.
    package init?(firstIn text: Data) {
        var lines = Lines(text)
        while let line = lines.next() {
            guard let type = Self.label(line, after: "-----BEGIN ") else { continue }
            let resume = lines
            if let block = Self(type: type, body: &lines) {
                self = block
                return
            }
            lines = resume
        }
        return nil
    }

    /// All well-formed blocks of `text`, in order.
    package static func all(in text: Data) -> [PEMBlock] {
        var blocks: [PEMBlock] = []
        var rest = text
        while let block = PEMBlock(firstIn: rest) {
            blocks.append(block)
            rest = block.rest
        }
        return blocks
    }

    private init?(type: String, body lines: inout Lines) {
        self.type = type
        self.hasHeaders = false
        var base64: [UInt8] = []
        while let line = lines.next() {
            if let end = Self.label(line, after: "-----END ") {
                guard end == type, let contents = Data(base64Encoded: Data(base64)) else { return nil }
                self.contents = contents
                self.rest = lines.rest
                return
            }
            if line.starts(with: Array("-----BEGIN ".utf8)) { return nil }
            if base64.isEmpty, line.contains(UInt8(ascii: ":")) {
                self.hasHeaders = true
                continue
            }
            base64.append(
                contentsOf: line.lazy.filter { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
            )
        }
        return nil
    }

    private static func label(_ line: Data, after prefix: String) -> String? {
        let suffix = Array("-----".utf8)
        guard line.starts(with: Array(prefix.utf8)), line.count >= prefix.utf8.count + suffix.count,
            line.suffix(suffix.count).elementsEqual(suffix)
        else { return nil }
        return String(decoding: line.dropFirst(prefix.utf8.count).dropLast(suffix.count), as: UTF8.self)
    }

    /// Canonical PEM text: 64 characters a line, LF, a final newline.
    package static func encode(_ contents: Data, type: String) -> Data {
        let base64 = Array(contents.base64EncodedData())
        var text = Data("-----BEGIN \(type)-----\n".utf8)
        text.reserveCapacity(base64.count + base64.count / 64 + 80)
        for start in stride(from: 0, to: base64.count, by: 64) {
            text.append(contentsOf: base64[start..<min(start + 64, base64.count)])
            text.append(UInt8(ascii: "\n"))
        }
        text.append(contentsOf: "-----END \(type)-----\n".utf8)
        return text
    }
}

/// The lines of a text, without their ends and trailing blanks.
private struct Lines {
    private(set) var rest: Data

    init(_ text: Data) { self.rest = text }

    mutating func next() -> Data? {
        guard !self.rest.isEmpty else { return nil }
        let end = self.rest.firstIndex(of: UInt8(ascii: "\n")) ?? self.rest.endIndex
        var line = self.rest[self.rest.startIndex..<end]
        self.rest = end < self.rest.endIndex ? self.rest[(end + 1)...] : Data()
        while let last = line.last,
            last == UInt8(ascii: "\r") || last == UInt8(ascii: " ") || last == UInt8(ascii: "\t")
        {
            line.removeLast()
        }
        return line
    }
}
