package import FabricProtos
package import Foundation
internal import WeftContract

/// The built-in contract `kv`: bytes under keys, for benchmarks and first steps.
///
/// | arguments | does | answers |
/// |---|---|---|
/// | `put` key value [key value …] | writes without reading | nothing |
/// | `get` key | reads | the value; status 404 if there is none |
/// | `update` key value | reads, then writes: of two at the same time one conflicts | nothing |
/// | `delete` key [key …] | deletes without reading | nothing |
/// | `range` start end [limit] | reads keys from start up to, not including, end; empty: open | JSON array of {"key", "value"} with values in base64 |
package struct KeyValueContract: Contract {
    package static let name = "kv"

    package init() {}

    package func invoke(_ stub: ContractStub) async -> Protos_Response {
        do {
            return .success(try await self.dispatch(stub))
        } catch let missing as MissingKey {
            return .failure("key \"\(missing.key)\" has no value", status: 404)
        } catch {
            return .failure(String(describing: error))
        }
    }

    /// Everything but `range`, which may read the whole state, for as many keys as a transaction usually has.
    package func isQuick(_ arguments: [Data]) -> Bool {
        arguments.first != Data("range".utf8) && arguments.count <= 9
    }

    private struct MissingKey: Error { var key: String }

    private func dispatch(_ stub: ContractStub) async throws -> Data {
        let parameters = Array(stub.arguments.dropFirst())
        switch stub.function {
        case "put":
            guard !parameters.isEmpty, parameters.count.isMultiple(of: 2) else {
                throw ContractError("put needs pairs of key and value; \(parameters.count) arguments given")
            }
            for index in stride(from: 0, to: parameters.count, by: 2) {
                try await stub.put(try stub.text(parameters[index]), parameters[index + 1])
            }
            return Data()
        case "get":
            guard parameters.count == 1 else { throw ContractError("get needs one key") }
            let key = try stub.text(parameters[0])
            guard let value = try await stub.get(key) else { throw MissingKey(key: key) }
            return value
        case "update":
            guard parameters.count == 2 else { throw ContractError("update needs a key and a value") }
            let key = try stub.text(parameters[0])
            _ = try await stub.get(key)
            try await stub.put(key, parameters[1])
            return Data()
        case "delete":
            guard !parameters.isEmpty else { throw ContractError("delete needs at least one key") }
            for key in parameters { try await stub.delete(try stub.text(key)) }
            return Data()
        case "range":
            return try await self.range(stub, parameters)
        case let function:
            throw ContractError("unknown function \"\(function)\"; known: put, get, update, delete, range")
        }
    }

    private func range(_ stub: ContractStub, _ parameters: [Data]) async throws -> Data {
        guard (2...3).contains(parameters.count) else {
            throw ContractError("range needs start and end, and may have a limit")
        }
        var limit = Int.max
        if parameters.count == 3 {
            guard let number = Int(try stub.text(parameters[2])), number > 0 else {
                throw ContractError("the limit of a range must be a whole number above 0")
            }
            limit = number
        }
        let start = try stub.text(parameters[0])
        let rows = try await stub.range(from: start, to: try stub.text(parameters[1]))
        var items: [JSONValue] = []
        while items.count < limit, let row = try await rows.next() {
            items.append(
                .object(["key": .string(row.key), "value": .string(row.value.base64EncodedString())])
            )
        }
        rows.close()
        return JSONValue.array(items).encoded
    }
}
