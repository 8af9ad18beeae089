import WeftContract

struct Lot: Codable, Equatable, Sendable {
    var id: String
    var grams: Int
    var owner: String
}

@main
struct Trade: Contract, ContractService {
    let lots = Assets<String, Lot>("lot", key: \.id).indexed("owner", by: \.owner)

    var transactions: [Transaction] {
        Submit("Deliver", "id", "grams", run: deliver)
        Submit("Sell", "id", "buyer", run: sell)
        Evaluate("Read", "id", run: read)
        Evaluate("OwnedBy", "owner", run: ownedBy)
    }

    /// Whoever delivers a lot owns it.
    func deliver(_ context: TransactionContext, id: String, grams: Int) async throws {
        guard grams > 0 else { throw ContractError("a lot weighs more than nothing", status: 400) }
        try await lots.in(context).create(Lot(id: id, grams: grams, owner: context.creator.mspID))
    }

    /// Only its owner sells a lot.
    func sell(_ context: TransactionContext, id: String, buyer: String) async throws -> Lot {
        let owner = try await lots.in(context).get(id).owner
        try context.creator.require(organization: owner)
        let lot = try await lots.in(context).update(id) { $0.owner = buyer }
        try context.emit("sold", lot)
        return lot
    }

    func read(_ context: TransactionContext, id: String) async throws -> Lot {
        try await lots.in(context).get(id)
    }

    func ownedBy(_ context: TransactionContext, owner: String) async throws -> [Lot] {
        try await lots.in(context).all(by: "owner", owner).collected()
    }
}
