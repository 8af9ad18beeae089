import WeftContract

/// Something that has an owner and a value.
struct Asset: Codable, Equatable, Sendable {
    var id: String
    var color: String
    var size: Int
    var owner: String
    /// In whole units of currency.
    var appraisedValue: Int
}

/// The contract that everybody begins with: assets are created, read, changed, handed to another owner and deleted.
///
/// The transactions and their arguments are those of Fabric's sample of that name, so its clients work with this one.
@main
struct AssetTransfer: Contract, ContractService {
    static let information = ContractInformation(
        title: "Asset transfer",
        version: "1.0",
        description: "Assets with an owner and a value."
    )

    let assets = Assets<String, Asset>("asset", key: \.id).indexed("owner", by: \.owner)

    var transactions: [Transaction] {
        Submit("InitLedger", run: initLedger)
        Submit("CreateAsset", "id", "color", "size", "owner", "appraisedValue", run: createAsset)
        Evaluate("ReadAsset", "id", run: readAsset)
        Submit("UpdateAsset", "id", "color", "size", "owner", "appraisedValue", run: updateAsset)
        Submit("DeleteAsset", "id", run: deleteAsset)
        Evaluate("AssetExists", "id", run: assetExists)
        Submit("TransferAsset", "id", "newOwner", run: transferAsset)
        Evaluate("GetAllAssets", run: allAssets)
        Evaluate("GetAssetsByOwner", "owner", run: assetsByOwner)
        Evaluate("GetAssetHistory", "id", run: history)
    }

    func initLedger(_ context: TransactionContext) async throws {
        let assets = [
            Asset(id: "crate1", color: "amber", size: 4, owner: "Ana", appraisedValue: 120),
            Asset(id: "crate2", color: "indigo", size: 7, owner: "Bodo", appraisedValue: 90),
            Asset(id: "crate3", color: "olive", size: 2, owner: "Chiara", appraisedValue: 460),
        ]
        for asset in assets { try await self.assets.in(context).put(asset) }
    }

    func createAsset(
        _ context: TransactionContext,
        id: String,
        color: String,
        size: Int,
        owner: String,
        appraisedValue: Int
    ) async throws {
        guard size > 0 else {
            throw ContractError("an asset's size must be above 0; it is \(size)", status: 400)
        }
        let asset = Asset(id: id, color: color, size: size, owner: owner, appraisedValue: appraisedValue)
        try await self.assets.in(context).create(asset)
    }

    func readAsset(_ context: TransactionContext, id: String) async throws -> Asset {
        try await self.assets.in(context).get(id)
    }

    func updateAsset(
        _ context: TransactionContext,
        id: String,
        color: String,
        size: Int,
        owner: String,
        appraisedValue: Int
    ) async throws {
        try await self.assets.in(context).update(id) {
            $0 = Asset(id: id, color: color, size: size, owner: owner, appraisedValue: appraisedValue)
        }
    }

    func deleteAsset(_ context: TransactionContext, id: String) async throws {
        try await self.assets.in(context).delete(id)
    }

    func assetExists(_ context: TransactionContext, id: String) async throws -> Bool {
        try await self.assets.in(context).contains(id)
    }

    /// Answers who had the asset before.
    func transferAsset(_ context: TransactionContext, id: String, newOwner: String) async throws -> String {
        let assets = self.assets.in(context)
        let formerOwner = try await assets.get(id).owner
        let asset = try await assets.update(id) { $0.owner = newOwner }
        try context.emit("AssetTransferred", asset)
        return formerOwner
    }

    func allAssets(_ context: TransactionContext) async throws -> [Asset] {
        try await self.assets.in(context).all().collected()
    }

    func assetsByOwner(_ context: TransactionContext, owner: String) async throws -> [Asset] {
        try await self.assets.in(context).all(by: "owner", owner).collected()
    }

    func history(_ context: TransactionContext, id: String) async throws -> [Change] {
        try await context.state.history(of: self.assets.stateKey(id)).collected().map {
            Change(transactionID: $0.transactionID, asset: try $0.decoded())
        }
    }

    /// One change of an asset; without the asset, it was deleted.
    struct Change: Codable, Sendable {
        var transactionID: String
        var asset: Asset?
    }
}
