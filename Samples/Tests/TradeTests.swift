import Testing
import WeftContractTesting

@testable import Trade

@Test func aLotIsSoldByItsOwner() async throws {
    let harness = try await ContractHarness(Trade(), organizations: ["FarmMSP", "MillMSP"])
    let farmer = try harness.user("farmer", of: "FarmMSP")
    let miller = try harness.user("miller", of: "MillMSP")

    try await harness.submit("Deliver", "lot1", 250, as: farmer)
    await #expect(throws: TransactionRefused.self) {
        try await harness.submit("Sell", "lot1", "MillMSP", as: miller)
    }
    try await harness.submit("Sell", "lot1", "MillMSP", as: farmer)

    let lots = try await harness.evaluate("OwnedBy", "MillMSP", as: miller).decoded(as: [Lot].self)
    #expect(lots == [Lot(id: "lot1", grams: 250, owner: "MillMSP")])
}

@Test func ofTwoSalesAtTheSameTimeOneLoses() async throws {
    let harness = try await ContractHarness(Trade(), organizations: ["FarmMSP", "MillMSP"])
    let farmer = try harness.user("farmer", of: "FarmMSP")
    try await harness.submit("Deliver", "lot1", 250, as: farmer)

    let first = try await harness.endorse("Sell", "lot1", "MillMSP", as: farmer)
    let second = try await harness.endorse("Sell", "lot1", "MillMSP", as: farmer)
    let outcomes = try await harness.commit(first, second)

    #expect(outcomes.map(\.code) == ["VALID", "MVCC_READ_CONFLICT"])
    #expect(outcomes[1].conflicts.map(\.key) == ["lot/lot1"])
}
