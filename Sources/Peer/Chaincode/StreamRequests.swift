internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Answers what a contract asks for during one transaction, through the transaction's stub.
///
/// Belongs to the task that runs the transaction and is used by it alone.
///
/// - Source: Fabric v3.1, `core/chaincode/handler.go`, the functions `Handle…`.
final class StreamRequests {
    let stub: ContractStub
    let options: ChaincodeStreamRules.Options
    var iterators: [String: StreamIterator] = [:]
    var iteratorsOpened = 0
    private var bytes = 0

    init(_ stub: ContractStub, _ options: ChaincodeStreamRules.Options) {
        self.stub = stub
        self.options = options
    }

    /// The answer to `request`: RESPONSE, or ERROR with the reason.
    func answer(_ request: Protos_ChaincodeMessage) async -> Protos_ChaincodeMessage {
        do {
            try self.count(request)
            return request.response(try await self.payload(request))
        } catch {
            return request.failure("\(error)")
        }
    }

    private func count(_ request: Protos_ChaincodeMessage) throws(ContractError) {
        let (sum, overflow) = self.bytes.addingReportingOverflow(request.payload.count)
        guard !overflow, sum <= self.options.transactionBytes else {
            throw ContractError(
                """
                the transaction's requests come to more than \(self.options.transactionBytes) bytes, which is the most \
                that one may send; make several transactions of it
                """
            )
        }
        self.bytes = sum
    }

    private func payload(_ request: Protos_ChaincodeMessage) async throws -> Data {
        let payload = request.payload
        switch request.type {
        case .getState: return try await self.value(decoded(payload))
        case .getStateMultiple: return try await self.values(decoded(payload))
        case .getPrivateDataHash: return try await self.hash(decoded(payload))
        case .putState: try self.put(decoded(payload))
        case .delState: try await self.delete(decoded(payload))
        case .purgePrivateData: try await self.purge(decoded(payload))
        case .getStateMetadata: return try self.metadata(decoded(payload))
        case .putStateMetadata: try self.putMetadata(decoded(payload))
        case .writeBatchState: try await self.write(decoded(payload))
        case .getStateByRange: return try self.range(decoded(payload))
        case .getHistoryForKey: return try self.history(decoded(payload))
        case .queryStateNext: return try self.next(decoded(payload))
        case .queryStateClose: return try self.close(decoded(payload))
        case .getQueryResult: try self.richQuery(decoded(payload))
        case .invokeChaincode: return try await self.invoke(decoded(payload), request)
        default: throw ContractError("peers don't answer \(request.type.name)")
        }
        return Data()
    }

    // MARK: Reading

    /// A value, empty if there is none.
    private func value(_ request: Protos_GetState) async throws -> Data {
        guard request.collection.isEmpty else {
            return try await self.stub.privateValue(request.collection, request.key) ?? Data()
        }
        return try await self.stub.get(request.key) ?? Data()
    }

    private func values(_ request: Protos_GetStateMultiple) async throws -> Data {
        try self.checkBatch(request.keys.count, "keys of GET_STATE_MULTIPLE")
        let values =
            request.collection.isEmpty
            ? try await self.stub.get(request.keys)
            : try await self.stub.privateValues(request.collection, request.keys)
        return try Protos_GetStateMultipleResult.with { $0.values = values.map { $0 ?? Data() } }
            .serializedData()
    }

    private func hash(_ request: Protos_GetState) async throws -> Data {
        try await self.stub.privateHash(request.collection, request.key) ?? Data()
    }

    private func metadata(_ request: Protos_GetStateMetadata) throws -> Data {
        let entries = try self.stub.metadata(request.collection, request.key)
        let result = Protos_StateMetadataResult.with { result in
            result.entries = entries.map { entry in
                .with {
                    $0.metakey = entry.name
                    $0.value = entry.value
                }
            }
        }
        return try result.serializedData()
    }

    // MARK: Writing

    private func put(_ request: Protos_PutState) throws {
        try self.stub.write(request.collection, request.key, request.value)
    }

    private func delete(_ request: Protos_DelState) async throws {
        if request.collection.isEmpty {
            try await self.stub.delete(request.key)
        } else {
            try await self.stub.deletePrivate(request.collection, request.key)
        }
    }

    private func purge(_ request: Protos_DelState) async throws {
        guard !request.collection.isEmpty else { throw ContractError("only applicable for private data") }
        try await self.stub.purgePrivate(request.collection, request.key)
    }

    private func putMetadata(_ request: Protos_PutStateMetadata) throws {
        let entry = Kvrwset_KVMetadataEntry.with {
            $0.name = request.metadata.metakey
            $0.value = request.metadata.value
        }
        try self.stub.setMetadata(request.collection, request.key, entry)
    }

    /// The records one after the other; the first that fails ends it.
    private func write(_ batch: Protos_WriteBatchState) async throws {
        try self.checkBatch(batch.rec.count, "records of WRITE_BATCH_STATE")
        for record in batch.rec {
            switch record.type {
            case .putState: try self.stub.write(record.collection, record.key, record.value)
            case .delState:
                try await self.delete(
                    .with {
                        $0.key = record.key
                        $0.collection = record.collection
                    }
                )
            case .purgePrivateData:
                try await self.purge(
                    .with {
                        $0.key = record.key
                        $0.collection = record.collection
                    }
                )
            case .putStateMetadata:
                try self.putMetadata(
                    .with {
                        $0.key = record.key
                        $0.collection = record.collection
                        $0.metadata = record.metadata
                    }
                )
            default: throw ContractError("unknown operation type")
            }
        }
    }

    private func checkBatch(_ count: Int, _ what: String) throws(ContractError) {
        guard count <= Int(self.options.batch) else {
            throw ContractError(
                "\(count) \(what) in one message; READY said that \(self.options.batch) are the most"
            )
        }
    }

    // MARK: Other contracts

    /// Calls another contract; the answer is the message with which it ended, inside this one's.
    private func invoke(
        _ spec: Protos_ChaincodeSpec,
        _ request: Protos_ChaincodeMessage
    ) async throws -> Data {
        var ended = Protos_ChaincodeMessage.with {
            $0.type = .completed
            $0.txid = request.txid
            $0.channelID = request.channelID
        }
        do {
            ended.payload = try await self.stub.invoke(spec.chaincodeID.name, spec.input.args)
                .serializedData()
        } catch let failure as TransactionFailure {
            ended.type = .error
            ended.payload = Data(failure.text.utf8)
        }
        return try ended.serializedData()
    }
}

/// The message that a request's payload holds.
private func decoded<Request: Message>(_ payload: Data) throws(ContractError) -> Request {
    do {
        return try Request(serializedBytes: payload)
    } catch {
        throw ContractError("unmarshal failed: \(error)")
    }
}

/// A contract ended a transaction with ERROR: it has no response that could be endorsed.
package struct TransactionFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// What the contract said.
    package var text: String

    package init(_ text: String) { self.text = text }

    package var description: String { "transaction returned with failure: \(self.text)" }
}
