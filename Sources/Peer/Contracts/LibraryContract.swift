package import FabricProtos
internal import Foundation
package import WeftContract

/// A contract of Weft's contract library that runs within the peer: what it asks for is answered here as it would be over
/// a stream, by the same code.
package struct LibraryContract: Contract {
    private let contracts: ContractSet

    /// - Precondition: the contract's transactions have different names.
    package init(_ contract: any WeftContract.Contract) {
        do {
            self.contracts = try ContractSet([contract])
        } catch {
            preconditionFailure("\(error)")
        }
    }

    package func invoke(_ stub: ContractStub) async -> Protos_Response {
        let options = ChaincodeStreamRules.Options()
        let requests = Requests(requests: StreamRequests(stub, options))
        let call = ContractCall(
            channel: stub.channelID,
            arguments: stub.arguments,
            isInit: stub.isInit,
            decorations: stub.decorations,
            proposal: stub.simulation.proposal,
            creator: ClientIdentity(stub.creator)
        )
        let outcome = await self.contracts.execute(call, batchedKeys: Int(options.batch)) {
            await requests.answer($0)
        }
        if let event = outcome.event { stub.record(event) }
        return outcome.response
    }

    /// Why `@unchecked`: ``ContractSet/execute(_:batchedKeys:answer:)`` asks one thing after the other, and nothing after
    /// it has returned, so this is used as by a single task.
    private struct Requests: @unchecked Sendable {
        let requests: StreamRequests

        func answer(_ request: Protos_ChaincodeMessage) async -> Protos_ChaincodeMessage {
            await self.requests.answer(request)
        }
    }
}
