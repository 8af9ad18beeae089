import Channel
import Foundation
import KeyValueStore
import Testing

@testable import Ledger

/// Private data of before the peer became a member of its collection.
@Suite struct ClaimedPrivateDataTests {
    /// Commits a private write to a collection that the peer is no member of.
    @discardableResult
    private func write(_ chain: inout TestChain, _ collection: String = "c") throws -> TestChain.Transaction {
        let transaction = try chain.transaction {
            try $0.setPrivateValue(Data("1".utf8), namespace: "cc", collection: collection, key: "k")
        }
        var input = chain.input([transaction], withPrivateData: false)
        input.missingPrivateData = [
            MissingPrivateData(transaction: 0, namespace: "cc", collection: collection, isEligible: false)
        ]
        _ = try chain.ledger.commit(input)
        return transaction
    }

    private func missing(_ chain: TestChain) throws -> [BlockNumber] {
        var blocks: [BlockNumber] = []
        try chain.ledger.forEachMissingPrivateData { block, missing in
            #expect(missing.isEligible)
            blocks.append(block)
            return true
        }
        return blocks
    }

    @Test func whatAMemberOfLaterLacksIsMissingOnceItIsAMember() throws {
        var chain = try TestChain()
        let first = try self.write(&chain)
        try self.write(&chain, "other")
        try self.write(&chain)
        #expect(try self.missing(chain).isEmpty)
        #expect(try chain.ledger.claimPrivateData { _, _ in false } == 0)
        #expect(try self.missing(chain).isEmpty)

        #expect(try chain.ledger.claimPrivateData { $0 == "cc" && $1 == "c" } == 2)
        #expect(try self.missing(chain) == [2, 0])
        #expect(
            try chain.ledger.privateStore.foreignCollections()
                == [CollectionName(namespace: "cc", collection: "other")]
        )
        var asked = 0
        let again = try chain.ledger.claimPrivateData { _, collection in
            asked += 1
            return collection == "c"
        }
        #expect(again == 0 && asked == 1, "nothing of it is left to claim")
        let late = LatePrivateWrites(block: 0, set: first.privateWriteSets(at: 0)[0])
        #expect(try chain.ledger.add(late: [late]) == [.added])
        #expect(try self.missing(chain) == [2])
    }

    @Test func whatIsWrittenAfterTheMembershipEndedAgainIsClaimedTheNextTime() throws {
        var chain = try TestChain()
        try self.write(&chain)
        #expect(try chain.ledger.claimPrivateData { _, _ in true } == 1)
        try self.write(&chain)
        #expect(try self.missing(chain) == [0])
        #expect(try chain.ledger.claimPrivateData { _, _ in true } == 1)
        #expect(try self.missing(chain) == [1, 0])
    }

    @Test func aClaimThatEndsHalfWayGoesOnAtTheNextStart() throws {
        var chain = try TestChain()
        for _ in 0..<5 { try self.write(&chain) }
        let name = CollectionName(namespace: "cc", collection: "c")
        let (count, next) = try chain.ledger.privateStore.claim(
            [name],
            from: PrivateKey.allForeign.start,
            step: 2
        )
        #expect(count == 2 && next != nil)
        try chain.reopen()
        #expect(try self.missing(chain) == [1, 0])
        #expect(try chain.ledger.claimPrivateData { _, _ in true } == 3)
        #expect(try self.missing(chain) == [4, 3, 2, 1, 0])
    }

    @Test func ledgersOfOlderVersionsAreClaimedToo() throws {
        var chain = try TestChain()
        try self.write(&chain)
        try self.write(&chain, "other")
        // Without the index, and with one note where the oldest version wrote it.
        let store = chain.stores.private
        var batch = WriteBatch()
        try store.forEach(prefix: PrivateKey.foreignCollectionPrefix) { key, _ in
            batch.removeValue(forKey: key)
            return true
        }
        let note = MissingPrivateData(transaction: 0, namespace: "cc", collection: "c", isEligible: false)
        var old = note
        old.isEligible = true
        batch.removeValue(forKey: PrivateKey.missing(0, note))
        batch.set(Data([0]), forKey: PrivateKey.missing(0, old))
        try store.write(batch, durably: true)

        try chain.reopen()
        #expect(try self.missing(chain).isEmpty)
        #expect(try chain.ledger.privateStore.missing(block: 0) == [note])
        #expect(try chain.ledger.claimPrivateData { _, _ in true } == 2)
        #expect(try self.missing(chain) == [1, 0])
    }
}
