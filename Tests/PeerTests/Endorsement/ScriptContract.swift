import Channel
import FabricProtos
import Foundation
import SwiftProtobuf

import struct WeftContract.CompositeKey
import enum WeftContract.JSONValue

@testable import Peer

/// Interprets the scripts of the recorded proposals as a ``ScriptShim`` does, within the peer: what it asks for is
/// answered without a stream.
///
/// The language is described in the README of the vectors.
struct ScriptContract: Contract {
    func invoke(_ stub: ContractStub) async throws -> Protos_Response {
        let input = Protos_ChaincodeInput.with { $0.args = stub.arguments }
        let call = try Protos_ChaincodeMessage.with {
            $0.type = .transaction
            $0.payload = try input.serializedData()
            $0.txid = stub.transactionID
            $0.channelID = stub.channelID
            $0.proposal = stub.signedProposal
        }
        let requests = Requests(requests: StreamRequests(stub, ChaincodeStreamRules.Options()))
        let completed = await ScriptTransaction(call) { await requests.answer($0) }.run()
        if completed.hasChaincodeEvent { stub.record(completed.chaincodeEvent) }
        return try Protos_Response(serializedBytes: completed.payload)
    }

    /// Why `@unchecked`: a script's operations run one after the other.
    private struct Requests: @unchecked Sendable {
        let requests: StreamRequests

        func answer(_ request: Protos_ChaincodeMessage) async -> Protos_ChaincodeMessage {
            await self.requests.answer(request)
        }
    }
}

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
                return try CompositeKey(parts[0], Array(parts.dropFirst())).text
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
