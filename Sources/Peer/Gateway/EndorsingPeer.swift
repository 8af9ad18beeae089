package import Channel
package import FabricProtos

/// Something that answers proposals: this peer's own endorser, or another peer's over the network.
package protocol ProposalProcessor: Sendable {
    /// Simulates and endorses.
    ///
    /// - Throws: `RPCError` if the endorser refuses the proposal or can't be reached.
    func process(_ proposal: UnpackedProposal) async throws -> Protos_ProposalResponse
}

/// A peer that the gateway may ask for endorsements.
package struct EndorsingPeer: Sendable {
    package let mspID: MSPID
    /// `host:port`, as messages name it.
    package let address: String
    package let isLocal: Bool
    package let processor: any ProposalProcessor

    package init(mspID: MSPID, address: String, isLocal: Bool, processor: any ProposalProcessor) {
        self.mspID = mspID
        self.address = address
        self.isLocal = isLocal
        self.processor = processor
    }

    /// What this peer said, as a detail of a failure.
    func detail(_ message: String) -> GatewayFailure.Detail {
        GatewayFailure.Detail(address: self.address, mspID: self.mspID.description, message: message)
    }
}

/// What one peer answered to a proposal.
enum EndorsementOutcome: Sendable {
    case endorsed(Protos_ProposalResponse)
    /// The peer ran the contract, or tried to, and answered with an error status.
    case refused(Protos_ProposalResponse)
    /// The peer didn't take the proposal, or couldn't be reached.
    case failed(String)

    init(asking peer: EndorsingPeer, _ proposal: UnpackedProposal) async throws(CancellationError) {
        do {
            let response = try await peer.processor.process(proposal)
            let isSuccess = (200..<400).contains(response.response.status)
            self = isSuccess && response.hasEndorsement ? .endorsed(response) : .refused(response)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            self = .failed("\(error)")
        }
    }

    /// Whether another peer may succeed where `peer` did not: it couldn't be reached, or couldn't run the contract.
    ///
    /// What this peer itself refuses is wrong with the proposal, and what a contract answers others' contracts answer, too.
    ///
    /// - Source: Fabric v3, package `internal/pkg/gateway`, which responses are tried again.
    func isWorthAnother(than peer: EndorsingPeer) -> Bool {
        switch self {
        case .endorsed: false
        case .refused(let response): response.response.status == 500 && response.payload.isEmpty
        case .failed: !peer.isLocal
        }
    }

    /// The words for a detail of the failure; `nil` if there was none.
    var complaint: String? {
        switch self {
        case .endorsed: nil
        case .refused(let response):
            "chaincode response \(response.response.status), \(response.response.message)"
        case .failed(let message): message
        }
    }
}

/// This peer's own endorser answers without a network.
extension Endorser: ProposalProcessor {}
