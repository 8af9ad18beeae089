internal import Foundation

/// The contract that every service has besides its own: it tells what the others can do.
///
/// - Source: Fabric's contract API, contract `org.hyperledger.fabric`.
struct MetadataContract: Contract {
    static var name: String { "org.hyperledger.fabric" }

    private let contracts: [any Contract]

    init(_ contracts: [any Contract]) {
        self.contracts = contracts
    }

    var transactions: [Transaction] {
        Evaluate("GetMetadata", run: self.metadata)
    }

    private func metadata(_ context: TransactionContext) throws -> String {
        String(decoding: try self.json(), as: UTF8.self)
    }

    /// The metadata of all contracts, this one included.
    func json() throws -> Data {
        var probe = SchemaProbe()
        var described: [String: ContractMetadata.Description] = [:]
        for (index, contract) in (self.contracts + [self]).enumerated() {
            let name = type(of: contract).name
            described[name] = ContractMetadata.Description(
                name: name,
                info: type(of: contract).information,
                isStandard: index == 0 ? true : nil,
                transactions: contract.transactions.map { .init($0, &probe) }
            )
        }
        let metadata = ContractMetadata(
            info: self.contracts.first.map { type(of: $0).information } ?? Self.information,
            contracts: described,
            components: .init(schemas: probe.components.mapValues(ContractMetadata.Component.init))
        )
        return try ContractValue.encode(metadata)
    }
}

/// What clients are told of a service's contracts.
///
/// - Source: Fabric's contract metadata schema, "Hyperledger Fabric Contract Definition JSON Schema".
struct ContractMetadata: Encodable {
    var schema = "https://hyperledger.github.io/fabric-chaincode-node/main/api/contract-schema.json"
    var info: ContractInformation
    var contracts: [String: Description]
    var components: Components

    private enum CodingKeys: String, CodingKey {
        case schema = "$schema"
        case info, contracts, components
    }

    struct Description: Encodable {
        var name: String
        var info: ContractInformation
        var isStandard: Bool?
        var transactions: [TransactionDescription]

        private enum CodingKeys: String, CodingKey {
            case name, info, transactions
            case isStandard = "default"
        }
    }

    struct Components: Encodable {
        var schemas: [String: Component]
    }

    /// A type with members; its schema begins with its name.
    struct Component: Encodable {
        var id: String?
        var schema: JSONSchema

        init(_ schema: JSONSchema) { self.schema = schema }

        func encode(to encoder: any Encoder) throws { try self.schema.encode(to: encoder) }
    }

    struct TransactionDescription: Encodable {
        struct Parameter: Encodable {
            var name: String
            var description: String?
            var schema: JSONSchema
        }

        var name: String
        var tag: [String]
        var parameters: [Parameter]?
        var returns: JSONSchema?

        init(_ transaction: Transaction, _ probe: inout SchemaProbe) {
            self.name = transaction.name
            self.tag = [
                transaction.isReadOnly ? "evaluate" : "submit",
                transaction.isReadOnly ? "EVALUATE" : "SUBMIT",
            ]
            var parameters: [Parameter] = []
            for parameter in transaction.parameters ?? [] {
                parameters.append(
                    Parameter(
                        name: parameter.name,
                        description: parameter.description,
                        schema: probe.schema(of: parameter.type)
                    )
                )
            }
            self.parameters = parameters.isEmpty ? nil : parameters
            if let result = transaction.result as? any Decodable.Type {
                self.returns = probe.schema(of: result)
            }
        }
    }
}
