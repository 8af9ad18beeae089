public import Foundation

/// A key with its committed value.
public struct StateRow: Equatable, Sendable {
    /// The key as the ledger has it.
    public var key: String
    /// The value.
    public var value: Data

    /// The value as something that was put as such.
    ///
    /// - Throws: ``ContractError`` if it is something else.
    public func decoded<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        do {
            return try ContractValue.decode(type, from: self.value)
        } catch {
            throw ContractError("the value of key \"\(self.key.printableKey)\": \(error)")
        }
    }
}

/// Some rows of a range, and where to go on.
public struct StatePage: Equatable, Sendable {
    /// The rows, in ascending order of their keys.
    public var rows: [StateRow]
    /// What to pass for the next page; empty after the last.
    public var bookmark: String
}

/// One change of a key.
public struct HistoryEntry: Equatable, Sendable {
    /// The transaction that made it.
    public var transactionID: String
    /// The transaction's time, as its creator gave it.
    public var timestamp: Date
    /// The new value; `nil` if the key was deleted.
    public var value: Data?

    /// The new value as something that was put as such; `nil` if the key was deleted.
    ///
    /// - Throws: ``ContractError`` if it is something else.
    public func decoded<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value? {
        guard let value else { return nil }
        do {
            return try ContractValue.decode(type, from: value)
        } catch {
            throw ContractError("the value that transaction \(self.transactionID) wrote: \(error)")
        }
    }
}

/// Rows that the peer sends in batches as they are asked for.
///
/// Ends with the transaction at the latest.
public struct LedgerSequence<Element: Sendable>: AsyncSequence, Sendable {
    let begin: @Sendable () async throws -> Batch
    let next: @Sendable (_ identifier: String) async throws -> Batch

    /// The rows of one answer.
    struct Batch: Sendable {
        var elements: [Element]
        /// The query's name at the peer; `nil` if there is no more.
        var continuation: String?
    }

    /// Goes through the rows once.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let rows: LedgerSequence
        var batch: Batch?
        var index = 0

        /// The next row; `nil` after the last.
        public mutating func next() async throws -> Element? {
            var batch: Batch
            if let current = self.batch { batch = current } else { batch = try await self.rows.begin() }
            while self.index == batch.elements.count {
                guard let continuation = batch.continuation else {
                    self.batch = batch
                    return nil
                }
                batch = try await self.rows.next(continuation)
                self.index = 0
            }
            self.batch = batch
            defer { self.index += 1 }
            return batch.elements[self.index]
        }
    }

    /// Asks the peer anew.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(rows: self) }

    /// All rows.
    public func collected() async throws -> [Element] {
        var all: [Element] = []
        for try await element in self { all.append(element) }
        return all
    }
}

/// Rows of the state, in ascending order of their keys.
public typealias StateRows = LedgerSequence<StateRow>
/// The changes of a key, newest first.
public typealias KeyHistory = LedgerSequence<HistoryEntry>

extension String {
    /// A key for people: composite keys with slashes.
    var printableKey: String { CompositeKey(parsing: self)?.description ?? self }
}
