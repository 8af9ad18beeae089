import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import WeftClient

/// One transaction of a block, taken apart for people and scripts.
struct TransactionPicture {
    private(set) var transactionID = ""
    private(set) var codeName: String
    private(set) var kind = ""
    private(set) var creator = ""
    private(set) var timestamp = ""
    private(set) var contract = ""
    private(set) var arguments: [String] = []
    private(set) var endorsers: [String] = []
    private(set) var writes: [(namespace: String, key: String, value: String)] = []
    private(set) var reads = 0
    private(set) var event = ""
    /// Why the transaction couldn't be taken apart further, where that is so.
    private(set) var problem = ""

    init(envelope bytes: Data, code: Protos_TxValidationCode) {
        self.codeName = code.name
        do {
            let decoded = try DecodedTransaction.decode(bytes)
            self.transactionID = decoded.transactionID
            self.creator = Self.name(of: decoded.headers.signature.creator)
            self.timestamp = decoded.headers.channel.timestamp.date.ISO8601Format()
            switch decoded.body {
            case .success(.endorser(let transaction)):
                self.kind = "ENDORSER_TRANSACTION"
                try self.take(transaction)
            case .success(.config):
                self.kind = "CONFIG"
            case .failure(let failure):
                self.problem = "\(failure.invalid)"
            }
        } catch {
            self.problem = "\(error)"
        }
    }

    private mutating func take(_ transaction: EndorserTransaction) throws {
        self.contract = transaction.chaincode
        self.endorsers = transaction.endorsements.map { Self.name(of: $0.endorser) }
        if let event = transaction.event { self.event = event.eventName }
        for namespace in transaction.readWriteSet.namespaces {
            self.reads += namespace.kv.reads.count
            self.writes += namespace.kv.writes.map { write in
                (
                    namespace.name, readable(Data(write.key.utf8)),
                    write.isDelete ? "(deleted)" : readable(write.value)
                )
            }
            for collection in namespace.collections {
                self.writes += collection.hashed.hashedWrites.map { write in
                    ("\(namespace.name)/\(collection.name)", write.keyHash.hexadecimal, "(private)")
                }
            }
        }
        self.arguments = try Self.arguments(of: transaction).map { Self.shortened(readable($0)) }
    }

    private static func arguments(of transaction: EndorserTransaction) throws -> [Data] {
        let payload = try Protos_ChaincodeProposalPayload(
            serializedBytes: transaction.chaincodeProposalPayload
        )
        let invocation = try Protos_ChaincodeInvocationSpec(serializedBytes: payload.input)
        return invocation.chaincodeSpec.input.args
    }

    /// An identity as `MSP/common name`.
    static func name(of serialized: Data) -> String {
        guard let identity = try? Msp_SerializedIdentity(serializedBytes: serialized) else { return "" }
        let subject = (try? Certificate(pem: identity.idBytes)).map { "\($0.subject)" }
        return [identity.mspid, subject].compactMap(\.self).joined(separator: "/")
    }

    static func shortened(_ text: String) -> String {
        text.count <= 160 ? text : text.prefix(157) + "..."
    }

    var json: JSONValue {
        .object([
            "transaction": .string(self.transactionID),
            "code": .string(self.codeName),
            "type": .string(self.kind),
            "creator": .string(self.creator),
            "timestamp": .string(self.timestamp),
            "contract": .string(self.contract),
            "arguments": .array(self.arguments.map { .string($0) }),
            "endorsers": .array(self.endorsers.map { .string($0) }),
            "reads": .integer(Int64(self.reads)),
            "writes": .array(
                self.writes.map { write in
                    .object([
                        "namespace": .string(write.namespace),
                        "key": .string(write.key),
                        "value": .string(write.value),
                    ])
                }
            ),
            "event": .string(self.event),
            "problem": .string(self.problem),
        ])
    }

    var text: String {
        var lines = ["transaction \(self.transactionID)", "  judged     \(self.codeName)"]
        func add(_ name: String, _ value: String) {
            guard !value.isEmpty else { return }
            lines.append("  " + name.padding(toLength: 11, withPad: " ", startingAt: 0) + value)
        }
        add("type", self.kind)
        add("creator", self.creator)
        add("time", self.timestamp)
        add("contract", self.contract)
        add("call", self.arguments.joined(separator: " "))
        for endorser in self.endorsers { add("endorser", endorser) }
        add("reads", self.kind == "CONFIG" ? "" : "\(self.reads)")
        for write in self.writes {
            add("write", "\(write.namespace): \(write.key) = \(Self.shortened(write.value))")
        }
        add("event", self.event)
        add("problem", self.problem)
        return lines.joined(separator: "\n")
    }
}
