/// A smart contract: a name, and the transactions that clients may call.
///
/// ```swift
/// import WeftContract
///
/// struct Asset: Codable, Sendable {
///     var id: String
///     var owner: String
/// }
///
/// @main
/// struct AssetTransfer: Contract, ContractService {
///     let assets = Assets<String, Asset>("asset", key: \.id).indexed("owner", by: \.owner)
///
///     var transactions: [Transaction] {
///         Submit("Create", "id", "owner", run: create)
///         Submit("Transfer", "id", "newOwner", run: transfer)
///         Evaluate("Read", "id", run: read)
///     }
///
///     func create(_ context: TransactionContext, id: String, owner: String) async throws {
///         try await assets.in(context).create(Asset(id: id, owner: owner))
///     }
///
///     func transfer(_ context: TransactionContext, id: String, newOwner: String) async throws -> Asset {
///         try await assets.in(context).update(id) { $0.owner = newOwner }
///     }
///
///     func read(_ context: TransactionContext, id: String) async throws -> Asset {
///         try await assets.in(context).get(id)
///     }
/// }
/// ```
///
/// The program that this compiles to is a chaincode service: it runs against peers of Weft and of Fabric, which connect
/// to it, or start it. `WeftContractTesting` runs contracts in process, on a channel in memory.
///
/// Every organization's peer executes a transaction for itself, and all must come to the same result to the byte. So a
/// contract takes the time from ``TransactionContext/timestamp``, draws no random numbers, reads no files, and does not
/// depend on the order of a `Set` or `Dictionary`. What this library writes as JSON has its members in a fixed order.
///
/// A value of the type is made once, serves all transactions at the same time, and keeps nothing of them: what lasts
/// is in the ledger.
///
/// - Source: Fabric's contract API, whose calls and metadata a contract of this library answers in the same way.
public protocol Contract: Sendable {
    /// The name that clients may put before a transaction's name, as in `AssetTransfer:Read`; the type's name unless
    /// the contract says otherwise.
    static var name: String { get }
    /// What the contract is for; part of its metadata.
    static var information: ContractInformation { get }

    /// The transactions, each with its name, the names of its parameters, and the method that runs.
    @TransactionsBuilder var transactions: [Transaction] { get }

    /// What answers calls that name none of the transactions; without it, they are refused with status 404 and the
    /// names that there are.
    var otherwise: UntypedMethod? { get }
}

extension Contract {
    /// The type's name.
    public static var name: String { String(describing: Self.self) }
    /// The contract's name as title, and version 1.0.
    public static var information: ContractInformation { ContractInformation(title: Self.name) }
    /// Nothing: such calls are refused.
    public var otherwise: UntypedMethod? { nil }
}

/// What a contract says of itself in its metadata.
public struct ContractInformation: Codable, Equatable, Sendable {
    /// The contract's name for people.
    public var title: String
    /// The version of what clients can call.
    public var version: String
    /// What it is for.
    public var description: String?

    /// Makes the information.
    public init(title: String, version: String = "1.0", description: String? = nil) {
        self.title = title
        self.version = version
        self.description = description
    }
}
