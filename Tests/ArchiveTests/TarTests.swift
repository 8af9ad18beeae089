import Foundation
import TestSupport
import Testing

@testable import Archive

@Suite struct TarTests {
    /// A header as other programs write it, with a type and a sum of its own.
    private static func entry(_ path: String, type: Character, contents: Data = Data()) throws -> Data {
        var bytes = [UInt8](try Tar.archive([(path, contents)]).dropLast(1024))
        bytes[156] = type.asciiValue ?? 0
        let sum = bytes[..<512].enumerated()
            .reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
        let digits = String(sum, radix: 8)
        let field = String(repeating: "0", count: 6 - digits.count) + digits
        bytes.replaceSubrange(148..<156, with: Array(field.utf8) + [0, 32])
        return Data(bytes)
    }

    @Test func filesComeBackInTheirOrder() throws {
        let files = [("b.json", Data("{}".utf8)), ("a/c.txt", Data(count: 513)), ("empty", Data())]
        let entries = try Tar.entries(of: Tar.archive(files))
        #expect(entries.map(\.path) == ["b.json", "a/c.txt", "empty"])
        #expect(entries.map(\.contents) == files.map(\.1))
        #expect(entries.allSatisfy { $0.kind == .file && $0.isConfined })
    }

    @Test func programsAndLongNamesComeBack() throws {
        let long = String(repeating: "d/", count: 90) + "file"
        let files = [(long, Data("1".utf8)), ("run", Data("2".utf8))]
        let entries = try Tar.entries(of: Tar.archive(files, programs: ["run"]))
        #expect(entries.map(\.path) == [long, "run"])
        #expect(entries.map(\.isExecutable) == [false, true])
        #expect(entries.map(\.contents) == files.map(\.1))
    }

    @Test func longNamesOfBothKindsAreRead() throws {
        let long = String(repeating: "d/", count: 90) + "file"
        let record = " path=\(long)\n"
        let length = record.utf8.count + 3
        let extended = try Self.entry("x", type: "x", contents: Data("\(length)\(record)".utf8))
        let gnu = try Self.entry("././@LongLink", type: "L", contents: Data(long.utf8) + Data([0]))
        let file = try Self.entry("short", type: "0", contents: Data("1".utf8))
        #expect(
            try Tar.entries(of: extended + file + gnu + file + file).map(\.path) == [long, long, "short"]
        )
    }

    @Test(arguments: ["/etc/passwd", "../up", "a/../../b", "", "a\\..\\b"])
    func namesThatLeadOutOfTheFolderAreTold(path: String) {
        #expect(!Tar.Entry(path: path, kind: .file, contents: Data()).isConfined)
    }

    @Test(arguments: ["1", "2", "3", "4", "6"] as [Character])
    func linksAndDevicesAreTold(type: Character) throws {
        let entries = try Tar.entries(of: try Self.entry("name", type: type))
        #expect(entries.map(\.kind) == [.other(type)])
    }

    @Test func foldersAreTold() throws {
        let archive = try Self.entry("folder/", type: "5") + Self.entry("old/", type: "0")
        #expect(try Tar.entries(of: archive).map(\.kind) == [.folder, .folder])
    }

    @Test func tooManyEntriesAreRefused() throws {
        let archive = try Tar.archive((0..<11).map { ("f\($0)", Data()) })
        #expect(throws: ArchiveError.self) { try Tar.entries(of: archive, limit: 10) }
    }

    /// Nothing that an archive holds may end the process.
    @Test(arguments: seeds(4)) func damagedArchivesDoNoHarm(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let whole =
            try Self.entry("x", type: "x", contents: Data("12 path=abc\n".utf8))
            + Tar.archive([("a", Data(count: 700)), ("b", Data())])
        var refused = 0
        for _ in 0..<2_000 {
            var damaged = whole.prefix(Int.random(in: 0...whole.count, using: &random))
            for _ in 0..<Int.random(in: 0..<4, using: &random) where !damaged.isEmpty {
                damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(
                    in: 0...255,
                    using: &random
                )
            }
            // What is still read is within the bounds, and from the archive.
            guard let entries = try? Tar.entries(of: damaged, limit: 2) else {
                refused += 1
                continue
            }
            #expect(entries.count <= 2)
            #expect(entries.reduce(0) { $0 + $1.contents.count } <= damaged.count)
        }
        #expect(refused > 0 && refused < 2_000)
    }
}
