import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@Suite struct TransactionAssemblyTests {
    private func proposal() throws -> Protos_Proposal {
        var header = Common_Header()
        header.channelHeader = Data(repeating: 1, count: 200)
        header.signatureHeader = Data(repeating: 2, count: 900)
        var payload = Protos_ChaincodeProposalPayload()
        payload.input = Data(repeating: 3, count: 300)
        payload.transientMap = ["secret": Data("not in the transaction".utf8)]
        var proposal = Protos_Proposal()
        proposal.header = try header.serializedBytes()
        proposal.payload = try payload.serializedBytes()
        return proposal
    }

    private func response(_ endorser: String, payload: Data = Data(repeating: 4, count: 400))
        -> Protos_ProposalResponse
    {
        var response = Protos_ProposalResponse()
        response.response.status = 200
        response.payload = payload
        response.endorsement.endorser = Data(endorser.utf8)
        response.endorsement.signature = Data(repeating: 5, count: 70)
        return response
    }

    @Test("what is assembled has the bytes that any protobuf library gives it", arguments: [1, 3])
    func isCanonical(endorsements: Int) throws {
        let proposal = try self.proposal()
        let responses = (0..<endorsements).map { self.response("endorser \($0)") }
        let bytes = try Proposal.assemble(proposal, responses: responses + [responses[0]])

        let payload = try Common_Payload(serializedBytes: bytes)
        #expect(try payload.serializedBytes() == bytes)
        #expect(try payload.header.serializedBytes() == proposal.header)
        let transaction = try Protos_Transaction(serializedBytes: payload.data)
        #expect(try transaction.serializedBytes() == payload.data)
        let action = try #require(transaction.actions.first)
        #expect(transaction.actions.count == 1)
        #expect(action.header == Data(repeating: 2, count: 900))
        let actionPayload = try Protos_ChaincodeActionPayload(serializedBytes: action.payload)
        #expect(try actionPayload.serializedBytes() == action.payload)
        let visible = try Protos_ChaincodeProposalPayload(
            serializedBytes: actionPayload.chaincodeProposalPayload
        )
        #expect(visible.transientMap.isEmpty && visible.input == Data(repeating: 3, count: 300))
        #expect(actionPayload.action.proposalResponsePayload == responses[0].payload)
        #expect(
            actionPayload.action.endorsements == responses.map(\.endorsement),
            "each endorser once, in order"
        )
    }

    @Test func differentResultsMakeNoTransaction() throws {
        let responses = [self.response("a"), self.response("b", payload: Data([1]))]
        #expect(throws: AssemblyError.payloadsDiffer) {
            try Proposal.assemble(self.proposal(), responses: responses)
        }
    }
}
