package import Channel
package import FabricProtos
package import Foundation
internal import KeyValueStore

/// The ledger of one channel of a node that is stopped: for tools that look into it and change nothing.
package struct StoppedLedger: Sendable {
    private let log: BlockLog
    /// The state and the indexes; `nil` if the folder has none.
    private let derived: StateReader?

    /// Opens the ledger in `folder`, which holds the folders `log` and `derived`.
    ///
    /// - Throws: `KeyValueStoreError` if there is none, or a node has it open; ``LedgerError`` if it is damaged.
    package init(folder: String) throws {
        var options = LevelDBOptions.forLog
        options.createsIfMissing = false
        self.log = try BlockLog(store: LevelDBStore(folder: "\(folder)/log", options: options))
        options = .forDerived
        options.createsIfMissing = false
        let place = "\(folder)/derived"
        self.derived =
            FileManager.default.fileExists(atPath: "\(place)/CURRENT")
            ? StateReader(store: try LevelDBStore(folder: place, options: options)) : nil
    }

    /// The number of blocks.
    package var height: BlockNumber { self.log.height }

    /// Block `number`; `nil` beyond the end.
    package func block(_ number: BlockNumber) throws -> Common_Block? { try self.log.block(number) }

    /// The block with the first transaction of this identifier, valid or not.
    ///
    /// The index is asked first; blocks that it doesn't cover are read one by one.
    package func block(transaction identifier: String) throws -> Common_Block? {
        if let record = try self.derived?.transaction(identifier) { return try self.log.block(record.block) }
        for number in try min(self.derived?.height() ?? 0, self.height)..<self.height {
            guard let block = try self.log.block(number) else { continue }
            let isThere = block.data.data.contains { envelope in
                DecodedTransaction.indexedIdentifier(of: envelope) == identifier
            }
            if isThere { return block }
        }
        return nil
    }

    /// The value of a key of public state, as the index has it; `nil` if it has none.
    package func value(namespace: String, key: String) throws -> Data? {
        try self.derived?.value(Bytes(namespace.utf8), key.utf8)?.value
    }
}
