import Testing
import WeftContract
import WeftContractTesting

@testable import AssetTransfer

@Suite(.timeLimit(.minutes(5))) struct AssetTransferTests {
    @Test func anAssetIsCreatedReadAndHandedOn() async throws {
        let harness = try await ContractHarness(AssetTransfer())
        let alice = try harness.user("alice", of: "Org1MSP")
        try await harness.submit("CreateAsset", "a1", "amber", 4, "Ana", 120, as: alice)

        let asset = try await harness.evaluate("ReadAsset", "a1", as: alice).decoded(as: Asset.self)
        #expect(asset == Asset(id: "a1", color: "amber", size: 4, owner: "Ana", appraisedValue: 120))

        let bob = try harness.user("bob", of: "Org2MSP")
        let transfer = try await harness.submit("TransferAsset", "a1", "Bodo", as: bob)
        #expect(transfer.result.text == "Ana")
        #expect(transfer.result.event?.name == "AssetTransferred")
        #expect(try transfer.result.event?.decoded(as: Asset.self).owner == "Bodo")

        let anas = try await harness.evaluate("GetAssetsByOwner", "Ana", as: bob).decoded(
            as: [Asset].self
        )
        let bodos = try await harness.evaluate("GetAssetsByOwner", "Bodo", as: bob).decoded(as: [Asset].self)
        #expect(anas.isEmpty)
        #expect(bodos.map(\.id) == ["a1"])
    }

    @Test func whatIsNotThereOrTwiceThereIsRefused() async throws {
        let harness = try await ContractHarness(AssetTransfer())
        let alice = try harness.user("alice", of: "Org1MSP")
        try await harness.submit("InitLedger", as: alice)
        await #expect(throws: TransactionRefused.self) {
            try await harness.submit("CreateAsset", "crate1", "amber", 4, "Ana", 120, as: alice)
        }
        do {
            _ = try await harness.evaluate("ReadAsset", "none", as: alice)
            Issue.record("an asset that was never made was read")
        } catch let refusal as TransactionRefused {
            #expect(refusal.message == "there is no asset none")
            #expect(refusal.status == 404)
        }
        #expect(try await harness.evaluate("AssetExists", "crate2", as: alice).decoded(as: Bool.self))
        try await harness.submit("DeleteAsset", "crate2", as: alice)
        #expect(try await !harness.evaluate("AssetExists", "crate2", as: alice).decoded(as: Bool.self))
        #expect(
            try await harness.evaluate("GetAllAssets", as: alice).decoded(as: [Asset].self).map(\.id)
                == ["crate1", "crate3"]
        )
    }

    @Test func ofTwoTransfersAtTheSameTimeOneLosesAndTheKeyIsNamed() async throws {
        let harness = try await ContractHarness(AssetTransfer())
        let alice = try harness.user("alice", of: "Org1MSP")
        try await harness.submit("CreateAsset", "a1", "amber", 4, "Ana", 120, as: alice)

        let first = try await harness.endorse("TransferAsset", "a1", "Bodo", as: alice)
        let second = try await harness.endorse("TransferAsset", "a1", "Chiara", as: alice)
        let outcomes = try await harness.commit(first, second)

        #expect(outcomes.map(\.code) == ["VALID", "MVCC_READ_CONFLICT"])
        let conflict = try #require(outcomes.last?.conflicts.first)
        #expect(conflict.key == "asset/a1")
        #expect(conflict.winner == first.result.transactionID)
        let asset = try await harness.evaluate("ReadAsset", "a1", as: alice).decoded(as: Asset.self)
        #expect(asset.owner == "Bodo")
    }

    @Test func theHistoryTellsEveryOwner() async throws {
        let harness = try await ContractHarness(AssetTransfer())
        let alice = try harness.user("alice", of: "Org1MSP")
        try await harness.submit("CreateAsset", "a1", "amber", 4, "Ana", 120, as: alice)
        try await harness.submit("TransferAsset", "a1", "Bodo", as: alice)
        try await harness.submit("DeleteAsset", "a1", as: alice)
        let history = try await harness.evaluate("GetAssetHistory", "a1", as: alice)
            .decoded(as: [AssetTransfer.Change].self)
        #expect(history.map { $0.asset?.owner } == [nil, "Bodo", "Ana"])
    }
}
