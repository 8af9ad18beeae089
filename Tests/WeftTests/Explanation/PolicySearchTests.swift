import Channel
import FabricProtos
import Foundation
import Peer
import SwiftProtobuf
import Testing

import struct Channel.Version

@testable import weft

/// What was in force when a transaction was judged, by the blocks before it.
@Suite struct PolicySearchTests {
    private static let key = StateKey("cc", "k")
    private static let policy = Data([1, 2, 3])

    private static func written(
        _ changes: [(key: StateKey, change: KeyChange)],
        _ block: UInt64,
        policies: [StateKey: Data?] = [:],
        definition: Lifecycle_CommitChaincodeDefinitionArgs? = nil
    ) -> WrittenTransaction {
        WrittenTransaction(
            place: TransactionPlace(version: Version(block: block, transaction: 0), id: "\(block)"),
            code: .valid,
            changes: changes,
            policies: policies,
            definition: definition
        )
    }

    @Test func theNewestPolicyOfAKeyIsTaken() {
        var search = PolicySearch(keys: [Self.key], chaincodes: [])
        let isOpen1 = search.take([Self.written([(Self.key, .value)], 9)])
        #expect(isOpen1)
        let isOpen2 = search.take([Self.written([(Self.key, .metadata(policy: Self.policy))], 8)])
        #expect(!isOpen2)
        _ = search.take([Self.written([(Self.key, .metadata(policy: Data([9])))], 7)])
        #expect(search.policies == [Self.key: Self.policy])
    }

    @Test func aPolicyThatIsWrittenBesideAValueCounts() {
        var search = PolicySearch(keys: [Self.key], chaincodes: [])
        let along = Self.written([(Self.key, .value)], 9, policies: [Self.key: Self.policy])
        let isOpen3 = search.take([along])
        #expect(!isOpen3)
        #expect(search.policies == [Self.key: Self.policy])
    }

    @Test func removingAKeyRemovesItsPolicy() throws {
        var search = PolicySearch(keys: [Self.key], chaincodes: [])
        let isOpen4 = search.take([Self.written([(Self.key, .removal)], 9)])
        #expect(!isOpen4)
        let rules = FoundRules(policies: search.policies)
        #expect(try rules.keyPolicy(of: .plain("k"), in: "cc") == nil)
    }

    @Test func aPolicyThatTheSameBlockChangesIsToldWithItsWriter() {
        var search = PolicySearch(keys: [Self.key], chaincodes: [])
        let change = (key: Self.key, change: KeyChange.metadata(policy: Self.policy))
        search.takeOwnBlock([Self.written([change], 12)])
        search.takeOwnBlock([Self.written([(StateKey("cc", "other"), .metadata(policy: nil))], 12)])
        #expect(search.changedKeys.map(\.key) == [Self.key])
        #expect(search.changedKeys.first?.writer.id == "12")
        #expect(search.policies.isEmpty)
    }

    @Test func theNewestDefinitionBeforeTheTransactionIsTaken() throws {
        let sequence = StateKey(ChaincodeName.lifecycle, LifecycleState.sequenceKey(of: "cc"))
        func definition(_ number: Int64) -> Lifecycle_CommitChaincodeDefinitionArgs {
            .with {
                $0.name = "cc"
                $0.sequence = number
            }
        }
        var search = PolicySearch(keys: [], chaincodes: ["cc"])
        let isOpen5 = search.take([])
        #expect(isOpen5)
        let isOpen6 = search.take([Self.written([(sequence, .value)], 9, definition: definition(3))])
        #expect(!isOpen6)
        _ = search.take([Self.written([(sequence, .value)], 8, definition: definition(2))])
        let found = ChaincodeDefinition(try #require(search.committed["cc"]))
        #expect(found.sequence == 3)
        // What the transaction leaves out is what peers put in.
        #expect(found.validationPlugin == "vscc")
        #expect(found.validationParameter == ChaincodeParameters.standardValidationParameter)
    }
}
