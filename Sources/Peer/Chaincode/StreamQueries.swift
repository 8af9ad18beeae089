internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Queries: several rows in a message, and more on demand.
///
/// - Source: Fabric v3.1, `core/chaincode/query_response_generator.go`.
extension StreamRequests {
    func range(_ request: Protos_GetStateByRange) throws -> Data {
        let page = try Self.page(request.metadata)
        guard request.collection.isEmpty else {
            let rows = try self.stub.privateRows(
                request.collection,
                from: request.startKey,
                to: request.endKey
            )
            return try self.open(.state(rows, namespace: self.stub.chaincodeName))
        }
        guard page.pageSize == 0, page.bookmark.isEmpty else { return try self.page(request, page) }
        let rows = try self.stub.rows(from: request.startKey, to: request.endKey)
        return try self.open(.state(rows, namespace: self.stub.chaincodeName))
    }

    /// A page comes in one message.
    private func page(_ request: Protos_GetStateByRange, _ page: Protos_QueryMetadata) throws -> Data {
        let found = try self.stub.rows(
            from: request.startKey,
            to: request.endKey,
            pageSize: Int(page.pageSize),
            bookmark: page.bookmark
        )
        var response = Protos_QueryResponse()
        response.results = try found.rows.map { try $0.result(in: self.stub.chaincodeName) }
        response.id = self.newIdentifier()
        response.metadata = try Protos_QueryResponseMetadata.with {
            $0.fetchedRecordsCount = Int32(clamping: found.rows.count)
            $0.bookmark = found.bookmark
        }.serializedData()
        return try response.serializedData()
    }

    func history(_ request: Protos_GetHistoryForKey) throws -> Data {
        try self.open(.history(HistoryBatches(self.stub.writes(of: request.key))))
    }

    /// Refused: rich queries need CouchDB.
    ///
    /// A contract may put the text into its response, so it must be that of Fabric's peers with LevelDB.
    func richQuery(_ request: Protos_GetQueryResult) throws {
        let page = try Self.page(request.metadata)
        if !request.collection.isEmpty { _ = try self.stub.authorize(.read, request.collection) }
        let isPaged = request.collection.isEmpty && page != Protos_QueryMetadata()
        let function = isPaged ? "ExecuteQueryWithMetadata" : "ExecuteQuery"
        throw ContractError("\(function) not supported for leveldb")
    }

    private static func page(_ metadata: Data) throws(ContractError) -> Protos_QueryMetadata {
        do {
            return try Protos_QueryMetadata(serializedBytes: metadata)
        } catch {
            throw ContractError("unmarshal failed: \(error)")
        }
    }

    func next(_ request: Protos_QueryStateNext) throws -> Data {
        guard let iterator = self.iterators[request.id] else {
            throw ContractError("query iterator not found")
        }
        return try self.batch(iterator, request.id)
    }

    /// Closing succeeds also if there is nothing to close.
    func close(_ request: Protos_QueryStateClose) throws -> Data {
        self.iterators.removeValue(forKey: request.id)?.close()
        return try Protos_QueryResponse.with { $0.id = request.id }.serializedData()
    }

    private func newIdentifier() -> String {
        self.iteratorsOpened += 1
        return String(self.iteratorsOpened)
    }

    private func open(_ iterator: StreamIterator) throws -> Data {
        guard self.iterators.count < self.options.iterators else {
            throw ContractError(
                "the transaction has \(self.options.iterators) open iterators; close those that it is done with"
            )
        }
        return try self.batch(iterator, self.newIdentifier())
    }

    private func batch(_ iterator: StreamIterator, _ identifier: String) throws -> Data {
        // An iterator that fails is gone, as one that has come to its end is.
        self.iterators[identifier] = nil
        let (results, hasMore) = try iterator.nextBatch()
        if hasMore { self.iterators[identifier] = iterator }
        return try Protos_QueryResponse.with {
            $0.results = results
            $0.hasMore_p = hasMore
            $0.id = identifier
        }.serializedData()
    }
}

/// A query of which there is more to send.
enum StreamIterator {
    case state(StateRows, namespace: String)
    case history(HistoryBatches)

    /// The rows of the next message, and whether there are more.
    func nextBatch() throws -> (results: [Protos_QueryResultBytes], hasMore: Bool) {
        switch self {
        case .state(let rows, let namespace):
            let batch = try rows.nextBatch()
            return (try batch.rows.map { try $0.result(in: namespace) }, batch.hasMore)
        case .history(let changes):
            let batch = try changes.next()
            let results = try batch.changes.map { change in
                let bytes = try change.serializedData()
                return Protos_QueryResultBytes.with { $0.resultBytes = bytes }
            }
            return (results, batch.hasMore)
        }
    }

    func close() {
        if case .state(let rows, _) = self { rows.close() }
    }
}

/// The values that a key has had, by messages.
final class HistoryBatches {
    private let fetch: () throws -> Queryresult_KeyModification?
    /// Fetched already: how it is known that there are more.
    private var ahead: Queryresult_KeyModification?
    private var fetched = 0

    init(_ fetch: @escaping () throws -> Queryresult_KeyModification?) {
        self.fetch = fetch
    }

    func next() throws -> (changes: [Queryresult_KeyModification], hasMore: Bool) {
        var changes = [self.ahead.take()].compactMap { $0 }
        while self.fetched < StateRows.totalLimit, let change = try self.fetch() {
            self.fetched += 1
            guard changes.count < StateRows.batchSize else {
                self.ahead = change
                return (changes, true)
            }
            changes.append(change)
        }
        return (changes, false)
    }
}

extension StateRow {
    /// The row as a `queryresult.KV`.
    fileprivate func result(in namespace: String) throws -> Protos_QueryResultBytes {
        let row = Queryresult_KV.with {
            $0.namespace = namespace
            $0.key = self.key
            $0.value = self.value
        }
        let bytes = try row.serializedData()
        return .with { $0.resultBytes = bytes }
    }
}
