import Channel
import FabricProtos
import Foundation
import SwiftProtobuf

import enum WeftContract.JSONValue

@testable import Peer

/// Interprets the scripts of the recorded proposals: each operation is one call of the shim.
///
/// The language is described in the README of the vectors. Texts that the shim of the recorded contract made are
/// made here.
struct ScriptContract: Contract {
    func invoke(_ stub: ContractStub) async -> Protos_Response {
        guard stub.arguments.count == 2, stub.function == "run" else {
            return .failure("expected run <script>")
        }
        let script: JSONValue
        do {
            script = try JSONValue(parsing: stub.arguments[1])
        } catch {
            return .failure("bad script: \(error)")
        }
        guard case .array(let operations) = script else { return .failure("bad script: not a list") }
        var results: [JSONValue] = []
        for (index, operation) in operations.enumerated() {
            guard case .object(let members) = operation else { return .failure("bad script") }
            let fields = ScriptFields(members: members)
            if fields.text("op") == "Return" {
                return .with {
                    $0.status = Int32(fields.number("status"))
                    $0.message = fields.text("message")
                    $0.payload = fields.value
                }
            }
            do {
                results.append(try await self.perform(fields, stub))
            } catch {
                guard members["continueOnError"] == .boolean(true) else {
                    return .failure("op \(index): \(error)")
                }
                results.append(.object(["error": .string("\(error)")]))
            }
        }
        return .success(JSONValue.array(results).encoded)
    }

    private func perform(_ fields: ScriptFields, _ stub: ContractStub) async throws -> JSONValue {
        if let result = try await self.performPublic(fields, stub) { return result }
        if let result = try await self.performPrivate(fields, stub) { return result }
        if let result = try await self.performQuery(fields, stub) { return result }
        switch fields.text("op") {
        case "StartWriteBatch", "FinishWriteBatch": return .string("ok")
        case "SetEvent":
            try stub.setEvent(fields.text("name"), fields.value)
            return .string("ok")
        case "GetTransient": return hex(stub.transient[fields.text("name")])
        case "GetTxID": return .string(stub.transactionID)
        case "GetChannelID": return .string(stub.channelID)
        case "GetCreator": return hex(stub.creatorBytes)
        case "GetBinding": return hex(stub.binding)
        case "GetTxTimestamp":
            return .array([.integer(stub.timestamp.seconds), .integer(Int64(stub.timestamp.nanos))])
        case "InvokeChaincode": return try await self.call(fields, stub)
        case let name: throw ContractError("unknown operation \(name)")
        }
    }

    private func performPublic(_ fields: ScriptFields, _ stub: ContractStub) async throws -> JSONValue? {
        let key = try fields.key
        switch fields.text("op") {
        case "GetState": return hex(try await stub.get(key))
        case "PutState":
            guard !key.isEmpty else { throw ContractError("key must not be an empty string") }
            try await peer("PUT_STATE", stub) { try await stub.put(key, fields.value) }
        case "DelState": try await peer("DEL_STATE", stub) { try await stub.delete(key) }
        case "PutMany":
            for index in 0..<fields.number("count") { try await stub.put(key + digits(index), fields.value) }
        case "GetMany":
            var values: [JSONValue] = []
            for index in 0..<fields.number("count") {
                values.append(hex(try await stub.get(key + digits(index))))
            }
            return .array(values)
        case "GetMultipleStates": return .array(try await stub.get(fields.texts("keys")).map(hex))
        case "Increment":
            let old = try await stub.get(key).flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
            let new = String(old + fields.number("by"))
            try await stub.put(key, Data(new.utf8))
            return .string(new)
        case "GetStateValidationParameter": return hex(try await stub.validationParameter(of: key))
        case "SetStateValidationParameter":
            try await stub.setValidationParameter(
                of: key,
                Data(hexadecimal: fields.text("policyHex")) ?? Data()
            )
        default: return nil
        }
        return .string("ok")
    }

    private func performPrivate(_ fields: ScriptFields, _ stub: ContractStub) async throws -> JSONValue? {
        let key = try fields.key
        let collection = fields.text("collection")
        switch fields.text("op") {
        case "GetPrivateData":
            return hex(try await peer("GET_STATE", stub) { try await stub.privateValue(collection, key) })
        case "GetMultiplePrivateData":
            return .array(try await stub.privateValues(collection, fields.texts("keys")).map(hex))
        case "GetPrivateDataHash": return hex(try await stub.privateHash(collection, key))
        case "PutPrivateData", "PutPrivateDataFromTransient":
            guard !key.isEmpty else { throw ContractError("key must not be an empty string") }
            let value =
                fields.text("op") == "PutPrivateData"
                ? fields.value : stub.transient[fields.text("name")] ?? Data()
            try await peer("PUT_STATE", stub) { try await stub.putPrivate(collection, key, value) }
        case "DelPrivateData":
            try await peer("DEL_STATE", stub) { try await stub.deletePrivate(collection, key) }
        case "PurgePrivateData":
            try await peer("PURGE_PRIVATE_DATA", stub) { try await stub.purgePrivate(collection, key) }
        case "GetPrivateDataValidationParameter":
            return hex(try await stub.privateValidationParameter(collection, key))
        case "SetPrivateDataValidationParameter":
            let policy = Data(hexadecimal: fields.text("policyHex")) ?? Data()
            try await stub.setPrivateValidationParameter(collection, key, policy)
        default: return nil
        }
        return .string("ok")
    }

    private func performQuery(_ fields: ScriptFields, _ stub: ContractStub) async throws -> JSONValue? {
        let (start, end) = (fields.text("start"), fields.text("end"))
        let (type, attributes) = (fields.text("objectType"), fields.texts("attrs"))
        let (size, bookmark) = (fields.number("pageSize"), fields.text("bookmark"))
        switch fields.text("op") {
        case "GetStateByRange": return try await self.rows(stub.range(from: start, to: end), fields)
        case "GetPrivateDataByRange":
            let rows = try await peer("GET_STATE_BY_RANGE", stub) {
                try await stub.privateRange(fields.text("collection"), from: start, to: end)
            }
            return try await self.rows(rows, fields)
        case "GetStateByPartialCompositeKey": return try await self.rows(stub.range(type, attributes), fields)
        case "GetPrivateDataByPartialCompositeKey":
            return try await self.rows(stub.privateRange(fields.text("collection"), type, attributes), fields)
        case "GetStateByRangeWithPagination":
            return self.page(
                try await peer("GET_STATE_BY_RANGE", stub) {
                    try await stub.page(from: start, to: end, size: size, bookmark: bookmark)
                }
            )
        case "GetStateByPartialCompositeKeyWithPagination":
            return self.page(try await stub.page(type, attributes, size: size, bookmark: bookmark))
        case "GetAllStatesCompositeKeyWithPagination":
            return self.page(try stub.rows(from: "\u{0}", to: "\u{1}", pageSize: size, bookmark: bookmark))
        case "GetHistoryForKey":
            let history = try await stub.history(of: try fields.key)
            var entries: [JSONValue] = []
            while fields.number("limit") == 0 || entries.count < fields.number("limit"),
                let entry = try await history.next()
            {
                entries.append(
                    .array([
                        .string(entry.txID), hex(entry.value), .integer(entry.timestamp.seconds),
                        .integer(Int64(entry.timestamp.nanos)), .boolean(entry.isDelete),
                    ])
                )
            }
            return .array(entries)
        case "GetQueryResult":
            throw ContractError(
                "GET_QUERY_RESULT failed: transaction ID: \(stub.transactionID): ExecuteQuery not supported for leveldb"
            )
        default: return nil
        }
    }

    private func rows(_ rows: StateRows, _ fields: ScriptFields) async throws -> JSONValue {
        var taken: [JSONValue] = []
        while fields.number("limit") == 0 || taken.count < fields.number("limit"),
            let row = try await rows.next()
        {
            taken.append(.array([hex(Data(row.key.utf8)), hex(row.value)]))
        }
        return .array(taken)
    }

    private func page(_ page: StatePage) -> JSONValue {
        .array([
            .array(page.rows.map { .array([hex(Data($0.key.utf8)), hex($0.value)]) }),
            .integer(Int64(page.rows.count)),
            hex(Data(page.bookmark.utf8)),
        ])
    }

    private func call(_ fields: ScriptFields, _ stub: ContractStub) async throws -> JSONValue {
        var arguments = fields.texts("args").map { Data($0.utf8) }
        if let script = fields.members["script"] { arguments = [Data("run".utf8), script.encoded] }
        do {
            let response = try await stub.invoke(
                fields.text("chaincode"),
                arguments,
                channel: fields.text("channel")
            )
            return .array([
                .integer(Int64(response.status)), .string(response.message), hex(response.payload),
            ])
        } catch {
            // The shim turns a refusal by the peer into a response that carries the text as payload.
            let text = "INVOKE_CHAINCODE failed: transaction ID: \(stub.transactionID): \(error)"
            return .array([.integer(500), .string(""), hex(Data(text.utf8))])
        }
    }
}

/// Adds what the peer puts before its answer to a request of a contract that failed.
private func peer<Value>(
    _ request: String,
    _ stub: ContractStub,
    _ body: () async throws -> Value
) async throws -> Value {
    do {
        return try await body()
    } catch {
        let text = "\(error)"
        // What the shim itself refuses never reaches the peer.
        guard !text.hasPrefix("first character of the key") else { throw error }
        throw ContractError("\(request) failed: transaction ID: \(stub.transactionID): \(text)")
    }
}

private func hex(_ bytes: Data?) -> JSONValue { bytes.map { .string($0.hexadecimal) } ?? .null }

private func digits(_ number: Int) -> String { String(String(100_000 + number).dropFirst()) }

/// The members of one operation of a script.
struct ScriptFields {
    var members: [String: JSONValue]

    func text(_ name: String) -> String { self.members.string(name) }
    func number(_ name: String) -> Int { Int(self.members.integer(name)) }

    func texts(_ name: String) -> [String] {
        guard case .array(let items)? = self.members[name] else { return [] }
        return items.compactMap { if case .string(let text) = $0 { text } else { nil } }
    }

    var key: String {
        get throws {
            if self.members["ck"] != nil {
                let parts = self.texts("ck")
                return try CompositeKey.make(parts[0], Array(parts.dropFirst()))
            }
            if self.members["keyHex"] != nil {
                let bytes = Data(hexadecimal: self.text("keyHex")) ?? Data()
                guard let key = String(validating: bytes, as: UTF8.self) else {
                    throw ContractError("the key is not UTF-8")
                }
                return key
            }
            return self.text("key")
        }
    }

    var value: Data {
        if self.members["valueHex"] != nil { return Data(hexadecimal: self.text("valueHex")) ?? Data() }
        let once = self.text("value")
        return Data(String(repeating: once, count: max(1, self.number("repeat"))).utf8)
    }
}
