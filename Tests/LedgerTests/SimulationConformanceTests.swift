import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import TestSupport
import Testing

@testable import Ledger

/// Runs the scripts that real peers simulated, and compares the read-write sets byte by byte.
@Suite struct SimulationConformanceTests {
    private struct Cases: Decodable {
        struct Case: Decodable {
            struct Action: Decodable {
                let resultsHex: String
                enum CodingKeys: String, CodingKey { case resultsHex = "results_hex" }
            }
            struct Response: Decodable { let message: String }

            let id: String
            let chaincode: String
            let channel: String
            let endorsingPeer: String
            let isInit: Bool
            let script: [ChaincodeScript.Operation]?
            let action: Action?
            let response: Response?

            enum CodingKeys: String, CodingKey {
                case id, chaincode, channel, script, action, response
                case endorsingPeer = "endorsing_peer"
                case isInit = "is_init"
            }
        }
        let cases: [Case]
    }

    private struct PrivateValues: Decodable {
        struct Entry: Decodable {
            let keyHex: String
            let valueHex: String
            enum CodingKeys: String, CodingKey {
                case keyHex = "key_hex"
                case valueHex = "value_hex"
            }
        }
        /// Empty where the peer said that its organization does not belong to the collection.
        struct Collection: Decodable {
            let entries: [Entry]

            init(from decoder: any Decoder) throws {
                self.entries = (try? [Entry](from: decoder)) ?? []
            }
        }
        let values: [String: [String: Collection]]
    }

    /// The recorded chain on a peer of each organization, with the private values that it holds.
    private static func snapshots() throws -> [String: StateSnapshot] {
        let stores = LedgerStores.inMemory()
        let ledger = try Ledger(channelID: ChannelID("vecmain"), stores: stores)
        for block in try RecordedChain.load("main").blocks {
            _ = try ledger.commit(BlockToCommit(recorded: block))
        }
        let file = VectorReport.folder("endorsement").appendingPathComponent("private-values.json")
        let recorded = try JSONDecoder().decode(PrivateValues.self, from: Data(contentsOf: file))
        let shared = ledger.snapshot()
        return try recorded.values.mapValues { collections in
            let store = MemoryStore()
            var batch = WriteBatch()
            try stores.derived.forEach(from: Data(), to: nil) { key, value in
                batch.set(value, forKey: key)
                return true
            }
            for (collection, held) in collections {
                let namespace = DerivedNamespace.values(Bytes("scriptcc".utf8), Bytes(collection.utf8))
                for entry in held.entries {
                    let key = try #require(Data(hexadecimal: entry.keyHex))
                    let value = try #require(Data(hexadecimal: entry.valueHex))
                    // One value outlived its hash, which a transaction removed without the private data.
                    let hash = try shared.hashed(
                        namespace: "scriptcc",
                        collection: collection,
                        keyHash: Digest.sha256(key)
                    )
                    guard let hash else { continue }
                    batch.set(
                        VersionedValue(value: value, version: hash.version).encoded,
                        forKey: DerivedKey.state(namespace, key)
                    )
                }
            }
            store.write(batch, durably: false)
            return StateSnapshot(
                height: ledger.height,
                reader: StateReader(store: store),
                log: ledger.log,
                metadataNamespaces: try StateReader(store: store).namespacesWithMetadata()
            )
        }
    }

    @Test func readWriteSetsAreThoseOfRealPeers() throws {
        let snapshots = try Self.snapshots()
        let file = VectorReport.folder("endorsement").appendingPathComponent("cases.json")
        let cases = try JSONDecoder().decode(Cases.self, from: Data(contentsOf: file)).cases
        var compared = 0
        for vector in cases {
            guard vector.chaincode == "scriptcc", vector.channel == "vecmain", !vector.isInit,
                let script = vector.script, !script.contains(where: { $0.collection == "nope" }),
                let expected = vector.action?.resultsHex,
                // Refused by the peer or the contract, not by the ledger.
                !(vector.response?.message.contains("permission") ?? false),
                !(vector.response?.message.contains("could not be found") ?? false),
                !(vector.response?.message.contains("empty string") ?? false),
                !(vector.response?.message.contains("not allowed in the input") ?? false),
                !(vector.response?.message.contains("null character") ?? false)
            else { continue }
            let msp = vector.endorsingPeer.replacingOccurrences(of: "peer0.", with: "") + "MSP"
            let snapshot = try #require(snapshots[msp])
            let simulator = TransactionSimulator(snapshot: snapshot, transactionID: vector.id)
            var run = ChaincodeScript(simulator, chaincode: vector.chaincode)
            do {
                try run.run(script)
            } catch is ChaincodeScript.Unsupported {
                continue
            }
            let found = try simulator.results().publicBytes.hexadecimal
            #expect(found == expected, "\(vector.id)")
            VectorReport.record(
                folder: "endorsement",
                name: "\(vector.id) read-write set",
                holds: found == expected
            )
            compared += 1
        }
        #expect(compared > 100)
    }
}
