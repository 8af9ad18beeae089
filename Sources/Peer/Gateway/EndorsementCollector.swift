internal import Channel
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import SwiftProtobuf

/// Collects matching endorsements from the organizations that a layout asks for.
///
/// - Source: Fabric v3 documentation, "Fabric Gateway", how the gateway endorses.
struct EndorsementCollector {
    let proposal: UnpackedProposal
    /// The peers of each organization, the best first.
    let peers: [MSPID: [EndorsingPeer]]
    /// How long one endorser may take.
    let timeout: Duration

    private static let failureMessage =
        "failed to collect enough transaction endorsements, see attached details for more info"

    /// Tries the layouts in order until one is complete.
    ///
    /// - Parameters:
    ///   - layouts: The smallest first.
    ///   - first: An endorsement that is at hand already, and the organization that gave it.
    /// - Returns: Responses with equal payloads.
    /// - Throws: ``GatewayFailure`` (ABORTED) with what each failing peer said.
    func collect(
        _ layouts: [EndorsementLayout],
        first: (organization: MSPID, response: Protos_ProposalResponse)?
    ) async throws -> [Protos_ProposalResponse] {
        var details: [GatewayFailure.Detail] = []
        for layout in self.ordered(layouts, preferring: first?.organization) {
            var wanted = layout
            var responses: [Protos_ProposalResponse] = []
            if let first, let quantity = wanted[first.organization] {
                wanted[first.organization] = quantity > 1 ? quantity - 1 : nil
                responses = [first.response]
            }
            let (collected, complaints) = try await self.ask(wanted, beside: first)
            responses += collected.compactMap(\.self)
            details += complaints
            guard collected.allSatisfy({ $0 != nil }) else { continue }
            guard responses.allSatisfy({ $0.payload == responses.first?.payload }) else {
                throw GatewayFailure(
                    .aborted,
                    Self.failureMessage,
                    details: self.mismatches(responses) + details
                )
            }
            return responses
        }
        throw GatewayFailure(.aborted, Self.failureMessage, details: details)
    }

    /// Layouts that use the endorsement at hand and only organizations with known peers come first; those with
    /// organizations that have none are left out.
    private func ordered(
        _ layouts: [EndorsementLayout],
        preferring organization: MSPID?
    ) -> [EndorsementLayout] {
        let possible = layouts.filter { layout in
            layout.allSatisfy { (self.peers[$0.key]?.count ?? 0) >= $0.value }
        }
        guard let organization else { return possible }
        return possible.filter { $0[organization] != nil } + possible.filter { $0[organization] == nil }
    }

    /// Asks as many peers of each organization as wanted, all at once.
    ///
    /// A failing peer is replaced by the next of its organization. A `nil` among the responses is a place that
    /// could not be filled.
    private func ask(
        _ wanted: EndorsementLayout,
        beside first: (organization: MSPID, response: Protos_ProposalResponse)?
    ) async throws -> (responses: [Protos_ProposalResponse?], complaints: [GatewayFailure.Detail]) {
        guard !wanted.isEmpty else { return ([], []) }
        return try await withThrowingTaskGroup(
            of: ([Protos_ProposalResponse?], [GatewayFailure.Detail]).self
        ) { group in
            for (organization, quantity) in wanted {
                let candidates = (self.peers[organization] ?? [])
                    .filter { !($0.isLocal && first?.organization == organization) }
                group.addTask { try await self.ask(candidates, quantity: quantity) }
            }
            var responses: [Protos_ProposalResponse?] = []
            var complaints: [GatewayFailure.Detail] = []
            for try await (some, their) in group {
                responses += some
                complaints += their
            }
            return (responses, complaints)
        }
    }

    private func ask(
        _ candidates: [EndorsingPeer],
        quantity: Int
    ) async throws -> ([Protos_ProposalResponse?], [GatewayFailure.Detail]) {
        var responses: [Protos_ProposalResponse?] = []
        var complaints: [GatewayFailure.Detail] = []
        for peer in candidates where responses.count < quantity {
            let outcome = try await self.ask(peer)
            if case .endorsed(let response) = outcome {
                responses.append(response)
            } else if let complaint = outcome.complaint {
                complaints.append(peer.detail(complaint))
            }
        }
        let missing = max(0, quantity - responses.count)
        return (responses + Array(repeating: nil, count: missing), complaints)
    }

    /// Asks one peer, for no longer than the time-out.
    func ask(_ peer: EndorsingPeer) async throws -> EndorsementOutcome {
        guard !peer.isLocal else { return try await EndorsementOutcome(asking: peer, self.proposal) }
        return try await withThrowingTaskGroup(of: EndorsementOutcome.self) { group in
            group.addTask { try await EndorsementOutcome(asking: peer, self.proposal) }
            group.addTask {
                try await Task.sleep(for: self.timeout)
                return .failed("no answer within \(self.timeout)")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? .failed("no answer")
        }
    }

    /// Fabric's detail for each peer that came to another result than the first, then one of this gateway with what
    /// differs.
    private func mismatches(_ responses: [Protos_ProposalResponse]) -> [GatewayFailure.Detail] {
        var details = responses.dropFirst().filter { $0.payload != responses.first?.payload }.map {
            response in
            let (mspID, address) = self.place(of: response.endorsement.endorser)
            return GatewayFailure.Detail(
                address: address,
                mspID: mspID,
                message: "ProposalResponsePayloads do not match"
            )
        }
        let disagreement = EndorsementDisagreement(responses) { endorser in
            let (mspID, address) = self.place(of: endorser)
            return address.isEmpty ? mspID : "\(mspID) at \(address)"
        }
        guard let disagreement else { return details }
        let local = self.peers.values.joined().first { $0.isLocal }
        details.append(
            GatewayFailure.Detail(
                address: local?.address ?? "",
                mspID: local?.mspID.description ?? "",
                message: """
                    \(disagreement)
                    one of them is behind, which passes, or the contract is not deterministic, which must be mended: its \
                    results may depend on nothing but the ledger and the call
                    """
            )
        )
        return details
    }

    /// The organization of an endorser, and the address at which its peers are asked first.
    private func place(of endorser: Data) -> (mspID: String, address: String) {
        let mspID = EndorsementDisagreement.organization(of: endorser)
        let address = (try? MSPID(mspID)).flatMap { self.peers[$0]?.first?.address }
        return (mspID, address ?? "")
    }
}
