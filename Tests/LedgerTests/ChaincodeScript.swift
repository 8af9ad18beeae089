import Channel
import FabricProtos
import Foundation

@testable import Ledger

/// The script language of the contract in the endorsement vectors, as far as it touches the ledger.
///
/// See `Vectors/endorsement/README.md`.
struct ChaincodeScript {
    struct Operation: Decodable {
        let op: String
        let key: String?
        let keyHex: String?
        let ck: [String]?
        let keys: [String]?
        let value: String?
        let valueHex: String?
        let `repeat`: Int?
        let collection: String?
        let start: String?
        let end: String?
        let limit: Int?
        let count: Int?
        let by: Int?
        let pageSize: Int?
        let bookmark: String?
        let objectType: String?
        let attrs: [String]?
        let policyHex: String?
        let continueOnError: Bool?

        var keyText: String {
            if let parts = self.ck { return Self.composite(parts) }
            if let hex = self.keyHex {
                return String(decoding: Data(hexadecimal: hex) ?? Data(), as: UTF8.self)
            }
            return self.key ?? ""
        }

        var valueBytes: Data {
            if let hex = self.valueHex { return Data(hexadecimal: hex) ?? Data() }
            return Data(String(repeating: self.value ?? "", count: self.repeat ?? 1).utf8)
        }

        /// Start and end of the keys that extend a composite key.
        var compositeRange: (String, String) {
            let prefix = Self.composite([self.objectType ?? ""] + (self.attrs ?? []))
            return (prefix, prefix + "\u{10ffff}")
        }

        static func composite(_ parts: [String]) -> String {
            "\u{0}" + parts.map { $0 + "\u{0}" }.joined()
        }
    }

    /// Thrown for what needs more than the ledger.
    struct Unsupported: Error {}

    private let simulator: TransactionSimulator
    private let namespace: String
    private var hasUsedPrivateData = false

    init(_ simulator: TransactionSimulator, chaincode: String) {
        self.simulator = simulator
        self.namespace = chaincode
    }

    /// Runs a script with the reads that a peer adds by itself.
    mutating func run(_ operations: [Operation]) throws {
        try self.readDefinition(["fields/\(self.namespace)/Sequence"])
        for operation in operations {
            do {
                if operation.collection != nil, !self.hasUsedPrivateData {
                    self.hasUsedPrivateData = true
                    try self.readDefinition(
                        ["Collections", "EndorsementInfo", "ValidationInfo"]
                            .map { "fields/\(self.namespace)/\($0)" } + ["metadata/\(self.namespace)"]
                    )
                }
                try self.run(operation)
            } catch let error as SimulationError {
                guard operation.continueOnError == true else { return }
                _ = error
            }
        }
    }

    private func readDefinition(_ names: [String]) throws {
        for name in names {
            _ = try self.simulator.value(namespace: "_lifecycle", key: "namespaces/\(name)")
        }
    }

    private func run(_ operation: Operation) throws {
        if let collection = operation.collection { return try self.run(operation, on: collection) }
        let key = operation.keyText
        switch operation.op {
        case "GetState":
            _ = try self.get(key)
        case "PutState":
            try self.put(key, operation.valueBytes)
        case "DelState":
            try self.simulator.deleteValue(namespace: self.namespace, key: key)
        case "PutMany", "GetMany":
            for index in 0..<(operation.count ?? 0) {
                let numbered = key + String(String(100_000 + index).dropFirst())
                if operation.op == "PutMany" {
                    try self.put(numbered, operation.valueBytes)
                } else {
                    _ = try self.get(numbered)
                }
            }
        case "Increment":
            let number = try self.get(key).flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
            try self.put(key, Data(String(number + (operation.by ?? 0)).utf8))
        case "GetMultipleStates":
            for key in operation.keys ?? [] { _ = try self.get(key) }
        case "SetStateValidationParameter":
            try self.simulator.setMetadata([Self.policy(operation)], namespace: self.namespace, key: key)
        case "GetStateValidationParameter":
            _ = try self.simulator.metadata(namespace: self.namespace, key: key)
        case "GetHistoryForKey":
            _ = try self.simulator.history(namespace: self.namespace, key: key).next()
        case "SetEvent", "StartWriteBatch", "FinishWriteBatch", "Return", "GetTxID", "GetChannelID",
            "GetCreator",
            "GetBinding", "GetTxTimestamp", "GetTransient":
            break
        default:
            try self.query(operation)
        }
    }

    private func query(_ operation: Operation) throws {
        let start = (operation.start ?? "").isEmpty ? "\u{1}" : operation.start ?? ""
        switch operation.op {
        case "GetStateByRange":
            try self.fetch(operation, start, operation.end ?? "")
        case "GetStateByPartialCompositeKey":
            let (start, end) = operation.compositeRange
            try self.fetch(operation, start, end)
        case "GetStateByRangeWithPagination":
            try self.page(operation, start, operation.end ?? "")
        case "GetStateByPartialCompositeKeyWithPagination":
            let (start, end) = operation.compositeRange
            try self.page(operation, start, end)
        case "GetAllStatesCompositeKeyWithPagination":
            try self.page(operation, "\u{0}", "\u{0}\u{10ffff}")
        default:
            throw Unsupported()
        }
    }

    private func run(_ operation: Operation, on collection: String) throws {
        let key = operation.keyText
        let simulator = self.simulator
        let cc = self.namespace
        switch operation.op {
        case "GetPrivateData":
            _ = try simulator.privateValue(namespace: cc, collection: collection, key: key)
        case "GetPrivateDataHash":
            _ = try simulator.privateHash(namespace: cc, collection: collection, key: key)
        case "PutPrivateData":
            try simulator.setPrivateValue(
                operation.valueBytes,
                namespace: cc,
                collection: collection,
                key: key
            )
        case "DelPrivateData":
            try simulator.deletePrivateValue(namespace: cc, collection: collection, key: key)
        case "PurgePrivateData":
            try simulator.purgePrivateValue(namespace: cc, collection: collection, key: key)
        case "GetMultiplePrivateData":
            _ = try simulator.privateValues(namespace: cc, collection: collection, keys: operation.keys ?? [])
        case "SetPrivateDataValidationParameter":
            try simulator.setPrivateMetadata(
                [Self.policy(operation)],
                namespace: cc,
                collection: collection,
                key: key
            )
        case "GetPrivateDataValidationParameter":
            _ = try simulator.privateMetadata(namespace: cc, collection: collection, key: key)
        case "GetPrivateDataByRange":
            let range = try simulator.privateRange(
                namespace: cc,
                collection: collection,
                start: operation.start ?? "",
                end: operation.end ?? ""
            )
            while try range.next() != nil {}
        default:
            throw Unsupported()
        }
    }

    private func get(_ key: String) throws -> Data? {
        try self.simulator.value(namespace: self.namespace, key: key)
    }

    private func put(_ key: String, _ value: Data) throws {
        try self.simulator.setValue(value, namespace: self.namespace, key: key)
    }

    /// A peer fetches 100 rows for each batch, and one more to know whether it is the last.
    ///
    /// The contract's side asks for the
    /// next batch as soon as it has handed out the last row of one.
    private func fetch(_ operation: Operation, _ start: String, _ end: String) throws {
        let wanted = operation.limit.flatMap { $0 > 0 ? $0 : nil } ?? .max
        let range = try self.simulator.range(namespace: self.namespace, start: start, end: end)
        var fetched = 0
        var wantedBatches = 1
        while try range.next() != nil {
            fetched += 1
            guard fetched == 100 * wantedBatches + 1 else { continue }
            if wanted < 100 * wantedBatches { return }
            wantedBatches += 1
        }
    }

    private func page(_ operation: Operation, _ start: String, _ end: String) throws {
        let bookmark = operation.bookmark ?? ""
        _ = try self.simulator.rangePage(
            namespace: self.namespace,
            start: bookmark.isEmpty ? start : bookmark,
            end: end,
            limit: operation.pageSize ?? 0
        )
    }

    private static func policy(_ operation: Operation) -> Kvrwset_KVMetadataEntry {
        var entry = Kvrwset_KVMetadataEntry()
        entry.name = "VALIDATION_PARAMETER"
        entry.value = Data(hexadecimal: operation.policyHex ?? "") ?? Data()
        return entry
    }
}
