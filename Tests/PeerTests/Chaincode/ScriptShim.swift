import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Synchronization

import struct WeftContract.CompositeKey
import enum WeftContract.JSONValue

@testable import Peer

/// A contract at the other end of a chaincode stream, which interprets the scripts of the recorded proposals: each
/// operation is one or more messages, as Fabric's shim for Go sends them.
final class ScriptShim: Sendable {
    private let send: @Sendable (Protos_ChaincodeMessage) -> Void
    private let packageID: String
    private let waiters = Mutex<
        [ChaincodeStreamRules.Transaction: CheckedContinuation<Protos_ChaincodeMessage, Never>]
    >([:])

    /// - Parameters:
    ///   - packageID: what it registers as.
    ///   - send: takes what goes to the peer.
    init(packageID: String, send: @escaping @Sendable (Protos_ChaincodeMessage) -> Void) {
        self.packageID = packageID
        self.send = send
    }

    /// Registers, and serves until `messages`, which come from the peer, end.
    func run<Messages: AsyncSequence & Sendable>(
        _ messages: Messages
    ) async throws where Messages.Element == Protos_ChaincodeMessage {
        let identifier = Protos_ChaincodeID.with { $0.name = self.packageID }
        let payload = (try? identifier.serializedData()) ?? Data()
        self.send(
            .with {
                $0.type = .register
                $0.payload = payload
            }
        )
        try await withThrowingDiscardingTaskGroup { group in
            for try await message in messages {
                switch message.type {
                case .transaction, .init_: group.addTask { await self.execute(message) }
                case .response, .error:
                    let key = ChaincodeStreamRules.Transaction(channel: message.channelID, id: message.txid)
                    self.waiters.withLock { $0.removeValue(forKey: key) }?.resume(returning: message)
                default: break
                }
            }
        }
    }

    private func execute(_ message: Protos_ChaincodeMessage) async {
        let transaction = ScriptTransaction(message) { request in
            let key = ChaincodeStreamRules.Transaction(channel: message.channelID, id: message.txid)
            return await withCheckedContinuation { continuation in
                self.waiters.withLock { $0[key] = continuation }
                self.send(request)
            }
        }
        self.send(await transaction.run())
    }
}

/// One transaction of a ``ScriptShim`` or a ``ScriptContract``.
final class ScriptTransaction {
    private let message: Protos_ChaincodeMessage
    private let exchange: @Sendable (Protos_ChaincodeMessage) async -> Protos_ChaincodeMessage
    private var event: Protos_ChaincodeEvent?

    init(
        _ message: Protos_ChaincodeMessage,
        _ exchange: @escaping @Sendable (Protos_ChaincodeMessage) async -> Protos_ChaincodeMessage
    ) {
        self.message = message
        self.exchange = exchange
    }

    func run() async -> Protos_ChaincodeMessage {
        let response = await self.response()
        let payload = (try? response.serializedData()) ?? Data()
        return .with {
            $0.type = .completed
            $0.txid = self.message.txid
            $0.channelID = self.message.channelID
            $0.payload = payload
            if let event { $0.chaincodeEvent = event }
        }
    }

    private func response() async -> Protos_Response {
        guard let input = try? Protos_ChaincodeInput(serializedBytes: self.message.payload),
            input.args.count == 2,
            input.args[0] == Data("run".utf8)
        else { return .failure("expected run <script>") }
        let script: JSONValue
        do {
            script = try JSONValue(parsing: input.args[1])
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
                results.append(try await self.perform(fields))
            } catch {
                guard members["continueOnError"] == .boolean(true) else {
                    return .failure("op \(index): \(error)")
                }
                results.append(.object(["error": .string("\(error)")]))
            }
        }
        return .success(JSONValue.array(results).encoded)
    }

    private func ask(
        _ type: Protos_ChaincodeMessage.TypeEnum,
        _ request: any Message
    ) async throws -> Data {
        let payload = try request.serializedData()
        let answer = await self.exchange(
            .with {
                $0.type = type
                $0.payload = payload
                $0.txid = self.message.txid
                $0.channelID = self.message.channelID
            }
        )
        guard answer.type == .response else {
            throw ContractError(String(decoding: answer.payload, as: UTF8.self))
        }
        return answer.payload
    }

    private func perform(_ fields: ScriptFields) async throws -> JSONValue {
        if let result = try await self.performValues(fields) { return result }
        if let result = try await self.performQuery(fields) { return result }
        switch fields.text("op") {
        case "StartWriteBatch", "FinishWriteBatch": return .string("ok")
        case "SetEvent":
            guard !fields.text("name").isEmpty else {
                throw ContractError("event name can not be empty string")
            }
            self.event = .with {
                $0.eventName = fields.text("name")
                $0.payload = fields.value
            }
            return .string("ok")
        case "InvokeChaincode": return try await self.call(fields)
        case let name: return try self.fact(name, fields)
        }
    }

    /// What the shim knows from the proposal.
    private func fact(_ name: String, _ fields: ScriptFields) throws -> JSONValue {
        let proposal = try UnpackedProposal(self.message.proposal)
        let time = proposal.channelHeader.timestamp
        switch name {
        case "GetTransient": return hex(proposal.transient[fields.text("name")] ?? Data())
        case "GetTxID": return .string(self.message.txid)
        case "GetChannelID": return .string(self.message.channelID)
        case "GetCreator": return hex(proposal.signatureHeader.creator)
        case "GetBinding": return hex(proposal.binding)
        case "GetTxTimestamp": return .array([.integer(time.seconds), .integer(Int64(time.nanos))])
        default: throw ContractError("unknown operation \(name)")
        }
    }

    private func performValues(_ fields: ScriptFields) async throws -> JSONValue? {
        let collection = fields.text("collection")
        let key = try fields.key
        switch fields.text("op") {
        case "GetState", "GetPrivateData": return hex(try await self.get(collection, key))
        case "PutState", "PutPrivateData", "PutPrivateDataFromTransient":
            return try await self.put(fields, collection, key)
        case "DelState", "DelPrivateData": return try await self.delete(.delState, collection, key)
        case "PurgePrivateData": return try await self.delete(.purgePrivateData, collection, key)
        case "PutMany":
            for index in 0..<fields.number("count") {
                try await self.put("", key + digits(index), fields.value)
            }
            return .string("ok")
        case "GetMany":
            var values: [JSONValue] = []
            for index in 0..<fields.number("count") {
                values.append(hex(try await self.get("", key + digits(index))))
            }
            return .array(values)
        case "GetMultipleStates", "GetMultiplePrivateData":
            let request = Protos_GetStateMultiple.with {
                $0.keys = fields.texts("keys")
                $0.collection = collection
            }
            let result = try Protos_GetStateMultipleResult(
                serializedBytes: try await self.ask(.getStateMultiple, request)
            )
            return .array(result.values.map(hex))
        case "Increment":
            let old = Int(String(decoding: try await self.get("", key), as: UTF8.self)) ?? 0
            let new = String(old + fields.number("by"))
            try await self.put("", key, Data(new.utf8))
            return .string(new)
        case "GetPrivateDataHash":
            let request = Protos_GetState.with {
                $0.key = key
                $0.collection = collection
            }
            return hex(try await self.ask(.getPrivateDataHash, request))
        default: return try await self.performMetadata(fields, collection, key)
        }
    }

    private func performMetadata(
        _ fields: ScriptFields,
        _ collection: String,
        _ key: String
    ) async throws -> JSONValue? {
        switch fields.text("op") {
        case "GetStateValidationParameter", "GetPrivateDataValidationParameter":
            let request = Protos_GetStateMetadata.with {
                $0.key = key
                $0.collection = collection
            }
            let result = try Protos_StateMetadataResult(
                serializedBytes: try await self.ask(.getStateMetadata, request)
            )
            return hex(result.entries.first { $0.metakey == "VALIDATION_PARAMETER" }?.value ?? Data())
        case "SetStateValidationParameter", "SetPrivateDataValidationParameter":
            let request = Protos_PutStateMetadata.with {
                $0.key = key
                $0.collection = collection
                $0.metadata.metakey = "VALIDATION_PARAMETER"
                $0.metadata.value = Data(hexadecimal: fields.text("policyHex")) ?? Data()
            }
            _ = try await self.ask(.putStateMetadata, request)
            return .string("ok")
        default: return nil
        }
    }

    private func get(_ collection: String, _ key: String) async throws -> Data {
        let request = Protos_GetState.with {
            $0.key = key
            $0.collection = collection
        }
        return try await self.ask(.getState, request)
    }

    private func put(_ fields: ScriptFields, _ collection: String, _ key: String) async throws -> JSONValue {
        guard !key.isEmpty else { throw ContractError("key must not be an empty string") }
        var value = fields.value
        if fields.text("op") == "PutPrivateDataFromTransient" {
            value = try UnpackedProposal(self.message.proposal).transient[fields.text("name")] ?? Data()
        }
        try await self.put(collection, key, value)
        return .string("ok")
    }

    private func put(_ collection: String, _ key: String, _ value: Data) async throws {
        let request = Protos_PutState.with {
            $0.key = key
            $0.value = value
            $0.collection = collection
        }
        _ = try await self.ask(.putState, request)
    }

    private func delete(
        _ type: Protos_ChaincodeMessage.TypeEnum,
        _ collection: String,
        _ key: String
    ) async throws -> JSONValue {
        let request = Protos_DelState.with {
            $0.key = key
            $0.collection = collection
        }
        _ = try await self.ask(type, request)
        return .string("ok")
    }

    // MARK: Queries

    private func performQuery(_ fields: ScriptFields) async throws -> JSONValue? {
        let (start, end) = (fields.text("start"), fields.text("end"))
        let isPaged = fields.text("op").hasSuffix("WithPagination")
        var request = Protos_GetStateByRange.with { $0.collection = fields.text("collection") }
        switch fields.text("op") {
        case "GetStateByRange", "GetPrivateDataByRange", "GetStateByRangeWithPagination":
            for key in [start, end] where key.unicodeScalars.first == "\u{0}" {
                throw ContractError(
                    "first character of the key [\(key)] contains a null character which is not allowed"
                )
            }
            (request.startKey, request.endKey) = (start.isEmpty ? "\u{1}" : start, end)
        case "GetStateByPartialCompositeKey", "GetPrivateDataByPartialCompositeKey",
            "GetStateByPartialCompositeKeyWithPagination":
            let prefix = try CompositeKey(fields.text("objectType"), fields.texts("attrs")).text
            (request.startKey, request.endKey) = (prefix, prefix + "\u{10FFFF}")
        case "GetAllStatesCompositeKeyWithPagination":
            (request.startKey, request.endKey) = ("\u{0}", "\u{1}")
        case "GetHistoryForKey": return try await self.history(fields)
        case "GetQueryResult":
            _ = try await self.ask(
                .getQueryResult,
                Protos_GetQueryResult.with { $0.query = fields.text("query") }
            )
            return nil
        default: return nil
        }
        if isPaged {
            let page = Protos_QueryMetadata.with {
                $0.pageSize = Int32(fields.number("pageSize"))
                $0.bookmark = fields.text("bookmark")
            }
            request.metadata = try page.serializedData()
        }
        let first = try Protos_QueryResponse(serializedBytes: try await self.ask(.getStateByRange, request))
        let rows: [JSONValue] = try await self.results(first, isPaged ? 0 : fields.number("limit"), isPaged) {
            bytes in
            let row = try Queryresult_KV(serializedBytes: bytes)
            return .array([hexOf(Data(row.key.utf8)), hexOf(row.value)])
        }
        guard isPaged else { return .array(rows) }
        let metadata = try Protos_QueryResponseMetadata(serializedBytes: first.metadata)
        return .array([
            .array(rows), .integer(Int64(metadata.fetchedRecordsCount)), hexOf(Data(metadata.bookmark.utf8)),
        ])
    }

    private func history(_ fields: ScriptFields) async throws -> JSONValue {
        let key = try fields.key
        let request = Protos_GetHistoryForKey.with { $0.key = key }
        let first = try Protos_QueryResponse(serializedBytes: try await self.ask(.getHistoryForKey, request))
        return .array(
            try await self.results(first, fields.number("limit"), false) { bytes in
                let entry = try Queryresult_KeyModification(serializedBytes: bytes)
                return .array([
                    .string(entry.txID), hexOf(entry.value), .integer(entry.timestamp.seconds),
                    .integer(Int64(entry.timestamp.nanos)), .boolean(entry.isDelete),
                ])
            }
        )
    }

    /// Up to `limit` results (0: all), fetched as Fabric's shim for Go does: with the last of a message the next one is
    /// asked for.
    private func results(
        _ first: Protos_QueryResponse,
        _ limit: Int,
        _ isPaged: Bool,
        _ decode: (Data) throws -> JSONValue
    ) async throws -> [JSONValue] {
        var response = first
        var index = 0
        var results: [JSONValue] = []
        while index < response.results.count, limit == 0 || results.count < limit {
            results.append(try decode(response.results[index].resultBytes))
            index += 1
            guard index == response.results.count, response.hasMore_p else { continue }
            let next = Protos_QueryStateNext.with { $0.id = first.id }
            response = try Protos_QueryResponse(serializedBytes: try await self.ask(.queryStateNext, next))
            index = 0
        }
        let close = Protos_QueryStateClose.with { $0.id = first.id }
        _ = try await self.ask(.queryStateClose, close)
        return results
    }

    private func call(_ fields: ScriptFields) async throws -> JSONValue {
        var arguments = fields.texts("args").map { Data($0.utf8) }
        if let script = fields.members["script"] { arguments = [Data("run".utf8), script.encoded] }
        let channel = fields.text("channel")
        let spec = Protos_ChaincodeSpec.with {
            $0.chaincodeID.name = fields.text("chaincode") + (channel.isEmpty ? "" : "/\(channel)")
            $0.input.args = arguments
        }
        let response: Protos_Response
        do {
            let ended = try Protos_ChaincodeMessage(
                serializedBytes: try await self.ask(.invokeChaincode, spec)
            )
            response =
                ended.type == .completed
                ? try Protos_Response(serializedBytes: ended.payload)
                : .with {
                    $0.status = 500
                    $0.payload = ended.payload
                }
        } catch let refusal as ContractError {
            // The shim turns a refusal by the peer into a response that carries the text as payload.
            response = .with {
                $0.status = 500
                $0.payload = Data(refusal.description.utf8)
            }
        }
        return .array([.integer(Int64(response.status)), .string(response.message), hexOf(response.payload)])
    }
}

/// Bytes in hexadecimal; absent values are empty in the protocol.
private func hex(_ bytes: Data) -> JSONValue { bytes.isEmpty ? .null : .string(bytes.hexadecimal) }

private func hexOf(_ bytes: Data) -> JSONValue { .string(bytes.hexadecimal) }

private func digits(_ number: Int) -> String { String(String(100_000 + number).dropFirst()) }
