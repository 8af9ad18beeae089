import Channel
import FabricProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import Peer

/// Sends the proposals that were recorded with real peers to our endorser, on the state that those peers had, and
/// compares the answers: response, signed payload byte for byte, interest, and the form of refusals.
@Suite(.serialized) struct EndorsementConformanceTests {
    /// Cases whose answer differs on purpose or can't be told from the record, and why.
    static let differences: [String: String] = [
        "139-binary-args": "the text is that of the recorded contract's JSON library",
        "151-refused-garbage-proposal": "the text is that of the protobuf library",
        "158-refused-peer-as-creator": "our refusal names the policy and why it isn't met in other words",
        "159-refused-orderer-org-creator": "our refusal names the policy and why it isn't met in other words",
        "166-system-lifecycle-definition": "the answer holds a map, which has no order",
        "167-system-lifecycle-definitions": "the answer lists definitions in no order",
        "169-system-lifecycle-installed": "what is installed differs: contracts are built in here",
        "170-system-lifecycle-installed-by-user": "our refusal says why in other words",
        "171-system-lifecycle-readiness": "the answer holds maps, which have no order",
        "176-system-lifecycle-approve-by-user": "our refusal says why in other words",
        "179-system-lifecycle-unknown-function": "our refusal says why in other words",
        "180-system-lscc": "the text was left out of the record",
        Self.crashed: "such a key ended the process of the recorded contract",
    ]

    /// Here the recorded contract's process ended, so the peer spoke for it.
    private static let crashed = "201-invalid-utf8-key-put"

    @Test func everyAnswerIsThatOfARealPeer() async throws {
        try await self.compareAnswers(
            of: ScriptContract(),
            whoseDifferences: Self.differences,
            reported: true
        )
    }

    /// The same with the contract at the other end of a chaincode stream, as it was when the answers were recorded.
    @Test func everyAnswerThroughAChaincodeStreamIsThatOfARealPeer() async throws {
        let contract = LoopbackContract()
        let serving = Task { await contract.serve() }
        defer { serving.cancel() }
        await contract.waitUntilReady()
        try await self.compareAnswers(of: contract, whoseDifferences: Self.differences, reported: false)
    }

    private func compareAnswers(
        of contract: any Contract,
        whoseDifferences differences: [String: String],
        reported: Bool
    ) async throws {
        var networks: [String: RecordedNetwork] = [:]
        for vector in try EndorsementVector.all() {
            let organization = "\(vector.endorsingPeer.split(separator: ".").last ?? "")MSP"
            if networks[organization] == nil {
                networks[organization] = try RecordedNetwork(organization: organization, script: contract)
            }
            let network = try #require(networks[organization])
            let faults = try await self.faults(vector, network.endorser)
            let difference = differences[vector.id]
            #expect(faults.isEmpty, "\(vector.id): \(faults.joined(separator: "; "))")
            guard reported else { continue }
            VectorReport.record(
                folder: "endorsement",
                name: vector.id,
                holds: faults.isEmpty,
                note: faults.isEmpty ? difference ?? "" : faults.joined(separator: "; ")
            )
        }
    }

    /// In what our answer differs from the recorded one.
    private func faults(_ vector: EndorsementVector, _ endorser: Endorser) async throws -> [String] {
        let answer: Protos_ProposalResponse
        do {
            answer = try await endorser.process(vector.proposal)
        } catch let error as RPCError {
            guard let expected = vector.grpcError else { return ["refused: \(error)"] }
            var faults: [String] = []
            if error.code != .unknown { faults.append("code \(error.code)") }
            if Self.differences[vector.id] == nil, error.message != expected.details {
                faults.append("refused with \"\(error.message)\", not \"\(expected.details)\"")
            }
            return faults
        }
        guard vector.grpcError == nil else { return ["not refused"] }
        guard let expected = try vector.response else {
            // The one case without a recorded answer: status 500, no payload.
            let matches = answer.response.status == 500 && answer.payload.isEmpty && !answer.hasEndorsement
            return matches ? [] : ["status \(answer.response.status)"]
        }
        if vector.id == Self.crashed {
            let matches = answer.response.status == 500 && !answer.hasEndorsement
            return matches ? [] : ["status \(answer.response.status)"]
        }
        return try self.faults(answer, expected, wordsCount: Self.differences[vector.id] == nil)
    }

    private func faults(
        _ answer: Protos_ProposalResponse,
        _ expected: Protos_ProposalResponse,
        wordsCount: Bool
    ) throws -> [String] {
        var faults: [String] = []
        func compare<Value: Equatable>(_ what: String, _ found: Value, _ wanted: Value) {
            if found != wanted { faults.append("\(what): \(found), not \(wanted)") }
        }
        compare("status", answer.response.status, expected.response.status)
        compare("version", answer.version, expected.version)
        compare("endorsed", answer.hasEndorsement, expected.hasEndorsement)
        compare("has payload", answer.payload.isEmpty, expected.payload.isEmpty)
        compare("has interest", answer.hasInterest, expected.hasInterest)
        compare("calls", try self.calls(answer.interest), try self.calls(expected.interest))
        if wordsCount {
            compare("message", answer.response.message, expected.response.message)
            compare("result", self.text(answer.response.payload), self.text(expected.response.payload))
        }
        guard !expected.payload.isEmpty else { return faults }
        let found = try Protos_ProposalResponsePayload(serializedBytes: answer.payload)
        let wanted = try Protos_ProposalResponsePayload(serializedBytes: expected.payload)
        compare("proposal hash", found.proposalHash, wanted.proposalHash)
        let foundAction = try Protos_ChaincodeAction(serializedBytes: found.extension)
        let wantedAction = try Protos_ChaincodeAction(serializedBytes: wanted.extension)
        compare("results", self.decoded(foundAction.results), self.decoded(wantedAction.results))
        compare("result bytes", foundAction.results.hexadecimal, wantedAction.results.hexadecimal)
        compare("events", foundAction.events, wantedAction.events)
        compare("chaincode", foundAction.chaincodeID, wantedAction.chaincodeID)
        if wordsCount { compare("payload", answer.payload, expected.payload) }
        return faults
    }

    private func text(_ result: Data) -> String {
        String(validating: result, as: UTF8.self) ?? result.hexadecimal
    }

    /// The calls of an interest in a fixed order; the recorded peer's order is that of a map.
    private func calls(_ interest: Protos_ChaincodeInterest) throws -> [String] {
        try interest.chaincodes.map { try $0.serializedData().hexadecimal }.sorted()
    }

    private func decoded(_ results: Data) -> String {
        guard let set = try? Rwset_TxReadWriteSet(serializedBytes: results) else { return "undecodable" }
        return set.nsRwset.map { namespace in
            let values = try? Kvrwset_KVRWSet(serializedBytes: namespace.rwset)
            let collections = namespace.collectionHashedRwset.map { collection in
                let hashed = try? Kvrwset_HashedRWSet(serializedBytes: collection.hashedRwset)
                return "\(collection.collectionName) \(hashed.debugDescription)"
            }
            return "\(namespace.namespace) \(values.debugDescription) \(collections)"
        }.joined(separator: "\n").prefix(3000).description
    }
}
