import Foundation
import KeyValueStore
import TestSupport
import Testing

@testable import Ledger

/// Staged changes read like a store that has them.
@Suite struct StagedChangesTests {
    /// Keys of a few kinds that often meet, also the empty one and prefixes of each other.
    private static func key(_ generator: inout some RandomNumberGenerator) -> Data {
        let count = Int.random(in: 0...3, using: &generator)
        return Data((0..<count).map { _ in [0, 7, 8, 255].randomElement(using: &generator) ?? 0 })
    }

    private static func batch(_ generator: inout some RandomNumberGenerator) -> WriteBatch {
        var batch = WriteBatch()
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            let key = Self.key(&generator)
            if Bool.random(using: &generator) {
                batch.set(Data([UInt8.random(in: 0...255, using: &generator)]), forKey: key)
            } else {
                batch.removeValue(forKey: key)
            }
        }
        return batch
    }

    @Test(arguments: seeds(200)) func readLikeAStoreThatHasThem(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        let base = MemoryStore()
        let expected = MemoryStore()
        let first = Self.batch(&generator)
        base.write(first, durably: true)
        expected.write(first, durably: true)
        let staged = StagedChanges(over: base)
        for _ in 0..<4 {
            let batch = Self.batch(&generator)
            staged.add(batch)
            expected.write(batch, durably: true)
            for _ in 0..<8 {
                let key = Self.key(&generator)
                #expect(try staged.value(forKey: key) == expected.value(forKey: key))
            }
            try Self.walk(staged.makeCursor(), expected.makeCursor(), &generator)
        }
    }

    /// Moves both cursors the same way, to and fro.
    private static func walk(
        _ cursor: any KeyValueCursor,
        _ expected: any KeyValueCursor,
        _ generator: inout some RandomNumberGenerator
    ) throws {
        for _ in 0..<60 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0:
                try cursor.seekToFirst()
                try expected.seekToFirst()
            case 1:
                try cursor.seekToLast()
                try expected.seekToLast()
            case 2, 3:
                let key = Self.key(&generator)
                try cursor.seek(to: key)
                try expected.seek(to: key)
            case 4, 5, 6:
                guard expected.isValid else { continue }
                try cursor.next()
                try expected.next()
            default:
                guard expected.isValid else { continue }
                try cursor.previous()
                try expected.previous()
            }
            #expect(cursor.isValid == expected.isValid)
            #expect(cursor.key == expected.key)
            #expect(cursor.value == expected.value)
        }
    }
}
