import Foundation
import TestSupport
import Testing

@testable import Archive

@Suite struct GzipTests {
    @Test(arguments: [0, 1, 511, 65_536, 1_000_003])
    func whatIsPackedUnpacksToTheSame(count: Int) throws {
        var random = SplitMix64(seed: UInt64(count))
        let data = Data((0..<count).map { _ in UInt8.random(in: 0...9, using: &random) })
        let packed = try Gzip.pack(data)
        #expect(try Gzip.unpack(packed, limit: count) == data)
        #expect(try Gzip.pack(data) == packed)
    }

    @Test func severalMembersFollowEachOther() throws {
        let both = try Gzip.pack(Data("one ".utf8)) + Gzip.pack(Data("two".utf8))
        #expect(try Gzip.unpack(both, limit: 100) == Data("one two".utf8))
    }

    @Test func aSmallFileThatStandsForAVeryLargeOneIsRefused() throws {
        let bomb = try Gzip.pack(Data(count: 50 << 20))
        #expect(bomb.count < 100_000)
        let error = #expect(throws: ArchiveError.self) { try Gzip.unpack(bomb, limit: 1 << 20) }
        #expect(error?.description == "it unpacks to more than 1048576 bytes")
    }

    @Test func damagedFilesAreRefused() throws {
        let packed = try Gzip.pack(Data("some text that is packed".utf8))
        for length in 0..<packed.count {
            #expect(throws: ArchiveError.self) { try Gzip.unpack(packed.prefix(length), limit: 1000) }
        }
        var flipped = packed
        flipped[flipped.count - 6] ^= 1
        #expect(throws: ArchiveError.self) { try Gzip.unpack(flipped, limit: 1000) }
        #expect(throws: ArchiveError.self) { try Gzip.unpack(Data("no gzip".utf8), limit: 1000) }
        #expect(throws: ArchiveError.self) { try Gzip.unpack(packed + Data([1, 2, 3]), limit: 1000) }
    }
}
