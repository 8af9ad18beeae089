package import Foundation

/// tar archives, in memory: the formats ustar, PAX and GNU, as far as names and sizes go.
///
/// Nothing is written to disk here; ``Entry/isConfined`` says whether an entry's name would stay below a folder.
///
/// - Source: POSIX.1-2017, `pax`; the manual of GNU tar, "Basic Tar Format".
package enum Tar {
    package struct Entry: Equatable, Sendable {
        package enum Kind: Equatable, Sendable {
            case file, folder
            /// A link, a device, a pipe or something unknown, by the type's character.
            case other(Character)
        }

        package var path: String
        package var kind: Kind
        package var contents: Data

        /// Whether the path leads nowhere but below the folder that it is meant from.
        package var isConfined: Bool {
            !self.path.isEmpty && !self.path.hasPrefix("/") && !self.path.contains("\0")
                && !self.path.contains("\\")
                && !self.path.split(separator: "/").contains("..")
        }

        /// The path without a leading `./`.
        package var name: String {
            self.path.hasPrefix("./") ? String(self.path.dropFirst(2)) : self.path
        }
    }

    private static let blockSize = 512

    /// Reads an archive.
    ///
    /// - Parameters:
    ///   - archive: the archive's bytes.
    ///   - limit: the most entries that are taken.
    /// - Returns: the entries in their order.
    /// - Throws: ``ArchiveError`` if the archive is damaged, cut short, or has more than `limit` entries.
    package static func entries(of archive: Data, limit: Int = 10_000) throws(ArchiveError) -> [Entry] {
        var rest = archive[...]
        var entries: [Entry] = []
        var longName: String?
        var extended: [String: String] = [:]
        while rest.count >= Self.blockSize {
            let header = Header(rest.prefix(Self.blockSize))
            rest = rest.dropFirst(Self.blockSize)
            guard !header.isEmpty else { return entries }
            guard header.hasRightSum else {
                throw ArchiveError("entry \(entries.count + 1) of the tar archive is damaged")
            }
            let size = extended["size"].flatMap(Int.init) ?? header.size
            guard let size, size >= 0, size <= rest.count else {
                throw ArchiveError("the tar archive is cut short in entry \(entries.count + 1)")
            }
            let contents = Data(rest.prefix(size))
            rest = rest.dropFirst(
                min(rest.count, (size + Self.blockSize - 1) / Self.blockSize * Self.blockSize)
            )
            switch header.type {
            case "x": extended = try Self.records(contents)
            case "g": break
            case "L": longName = String(decoding: contents.prefix { $0 != 0 }, as: UTF8.self)
            default:
                guard entries.count < limit else {
                    throw ArchiveError("the tar archive has more than \(limit) entries")
                }
                let path = extended["path"] ?? longName ?? header.path
                entries.append(Entry(path: path, kind: header.kind(path), contents: contents))
                (longName, extended) = (nil, [:])
            }
        }
        return entries
    }

    /// An archive of files, readable by everybody and without times: the same files always give the same bytes.
    ///
    /// - Throws: ``ArchiveError`` if a name has more than 100 bytes.
    package static func archive(_ files: [(path: String, contents: Data)]) throws(ArchiveError) -> Data {
        var archive = Data()
        for file in files {
            guard file.path.utf8.count <= 100 else {
                throw ArchiveError("the name \(file.path) has more than 100 bytes")
            }
            archive.append(Header.make(file.path, size: file.contents.count))
            archive.append(file.contents)
            archive.append(Data(count: -file.contents.count & (Self.blockSize - 1)))
        }
        archive.append(Data(count: 2 * Self.blockSize))
        return archive
    }

    /// The records of an extended header: `length key=value` and a line's end.
    private static func records(_ data: Data) throws(ArchiveError) -> [String: String] {
        var records: [String: String] = [:]
        var rest = data[...]
        while let space = rest.firstIndex(of: UInt8(ascii: " ")) {
            guard let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > 0,
                length <= rest.count
            else { throw ArchiveError("an extended header of the tar archive is damaged") }
            let record = rest.prefix(length)
            rest = rest.dropFirst(length)
            guard let begin = record.firstIndex(of: UInt8(ascii: " ")) else { continue }
            let text = String(decoding: record[begin...].dropFirst().dropLast(), as: UTF8.self)
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { records[String(parts[0])] = String(parts[1]) }
        }
        return records
    }

    /// The block before an entry's contents.
    private struct Header {
        private let bytes: [UInt8]

        init(_ bytes: Data) { self.bytes = [UInt8](bytes) }

        var isEmpty: Bool { self.bytes.allSatisfy { $0 == 0 } }

        private func text(_ range: Range<Int>) -> String {
            String(decoding: self.bytes[range].prefix { $0 != 0 }, as: UTF8.self)
        }

        private func octal(_ range: Range<Int>) -> Int? {
            Int(self.text(range).trimmingCharacters(in: .whitespaces), radix: 8)
        }

        var path: String {
            let prefix = self.text(257..<262) == "ustar" && self.bytes[262] == 0 ? self.text(345..<500) : ""
            return prefix.isEmpty ? self.text(0..<100) : "\(prefix)/\(self.text(0..<100))"
        }

        /// `nil` if it is no number, or one that needs more than eight octal digits beyond 8 GiB.
        var size: Int? { self.octal(124..<136) }

        var type: Character { Character(Unicode.Scalar(self.bytes[156])) }

        func kind(_ path: String) -> Entry.Kind {
            switch self.type {
            case "0", "\0": path.hasSuffix("/") ? .folder : .file
            case "5": .folder
            default: .other(self.type)
            }
        }

        /// The sum of all bytes, with spaces in place of the sum itself.
        var hasRightSum: Bool { self.octal(148..<156) == Self.sum(self.bytes) }

        private static func sum(_ bytes: [UInt8]) -> Int {
            bytes.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
        }

        static func make(_ path: String, size: Int) -> Data {
            func padded(_ number: Int, _ digits: Int) -> String {
                let text = String(number, radix: 8)
                return String(repeating: "0", count: max(0, digits - text.count)) + text
            }
            func field(_ text: String, _ length: Int) -> [UInt8] {
                Array((Array(text.utf8) + [UInt8](repeating: 0, count: length)).prefix(length))
            }
            var bytes = field(path, 100) + field("0000644", 8) + field("0000000", 8) + field("0000000", 8)
            bytes +=
                field(padded(size, 11), 12) + field("00000000000", 12) + field("        ", 8) + field("0", 1)
            bytes += field("", 100) + field("ustar", 6) + field("00", 2) + field("", 247)
            let sum = field(padded(Self.sum(bytes), 6), 7) + [UInt8(ascii: " ")]
            bytes.replaceSubrange(148..<156, with: sum)
            return Data(bytes)
        }
    }
}
