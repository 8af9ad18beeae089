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
        /// Whether its owner may run it as a program.
        package var isExecutable = false

        package init(path: String, kind: Kind, contents: Data, isExecutable: Bool = false) {
            self.path = path
            self.kind = kind
            self.contents = contents
            self.isExecutable = isExecutable
        }

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
                entries.append(
                    Entry(
                        path: path,
                        kind: header.kind(path),
                        contents: contents,
                        isExecutable: header.isExecutable
                    )
                )
                (longName, extended) = (nil, [:])
            }
        }
        return entries
    }

    /// An archive of files, readable by everybody and without times: the same files always give the same bytes.
    ///
    /// - Parameters:
    ///   - files: the files in their order; a name of more than 100 bytes gets an extended header.
    ///   - programs: paths of the files that may be run.
    /// - Returns: the archive's bytes.
    /// - Throws: ``ArchiveError`` if a file is larger than the format can say.
    package static func archive(
        _ files: [(path: String, contents: Data)],
        programs: Set<String> = []
    ) throws(ArchiveError) -> Data {
        var archive = Data()
        func append(_ header: Data, _ contents: Data) {
            archive.append(header)
            archive.append(contents)
            archive.append(Data(count: -contents.count & (Self.blockSize - 1)))
        }
        for file in files {
            guard file.contents.count < 1 << 33 else {
                throw ArchiveError("\(file.path) has more than 8 GiB")
            }
            if file.path.utf8.count > 100 {
                let record = Self.record("path", file.path)
                append(Header.make("PaxHeaders/name", size: record.count, type: "x"), record)
            }
            let header = Header.make(
                file.path,
                size: file.contents.count,
                mode: programs.contains(file.path) ? "0000755" : "0000644"
            )
            append(header, file.contents)
        }
        archive.append(Data(count: 2 * Self.blockSize))
        return archive
    }

    /// One record of an extended header; its length counts itself.
    private static func record(_ key: String, _ value: String) -> Data {
        let rest = " \(key)=\(value)\n"
        var length = rest.utf8.count
        while "\(length)".utf8.count + rest.utf8.count != length {
            length = "\(length)".utf8.count + rest.utf8.count
        }
        return Data("\(length)\(rest)".utf8)
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

        /// Whether the mode lets the owner run it.
        var isExecutable: Bool { (self.octal(100..<108) ?? 0) & 0o100 != 0 }

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

        static func make(_ path: String, size: Int, mode: String = "0000644", type: String = "0") -> Data {
            func padded(_ number: Int, _ digits: Int) -> String {
                let text = String(number, radix: 8)
                return String(repeating: "0", count: max(0, digits - text.count)) + text
            }
            func field(_ text: String, _ length: Int) -> [UInt8] {
                Array((Array(text.utf8) + [UInt8](repeating: 0, count: length)).prefix(length))
            }
            var bytes = field(path, 100) + field(mode, 8) + field("0000000", 8) + field("0000000", 8)
            bytes +=
                field(padded(size, 11), 12) + field("00000000000", 12) + field("        ", 8) + field(type, 1)
            bytes += field("", 100) + field("ustar", 6) + field("00", 2) + field("", 247)
            let sum = field(padded(Self.sum(bytes), 6), 7) + [UInt8(ascii: " ")]
            bytes.replaceSubrange(148..<156, with: sum)
            return Data(bytes)
        }
    }
}
