internal import Channel
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import SwiftProtobuf

/// Collects matching endorsements of a proposal from a selection of peers.
///
/// - Source: Fabric v3 documentation, "Fabric Gateway", how the gateway endorses.
struct EndorsementCollector {
    let proposal: UnpackedProposal
    /// How long one endorser may take.
    let timeout: Duration
    /// How a peer is asked.
    let peer: @Sendable (EndorserCandidate) -> EndorsingPeer

    private static let failureMessage =
        "failed to collect enough transaction endorsements, see attached details for more info"

    /// What the peers of a selection have answered so far, by their numbers.
    private struct Answers {
        /// In the order in which they came.
        var endorsed: [Int] = []
        var responses: [Int: Protos_ProposalResponse] = [:]
        var failed: [Int: String] = [:]
    }

    /// Asks peers until the policies are satisfied.
    ///
    /// Those that are chosen are asked all at once. When one fails the choice is made again without it, counting what is
    /// at hand: another peer takes its place, or other organizations' peers do.
    ///
    /// - Parameters:
    ///   - selection: whom to choose from.
    ///   - first: an endorsement that is at hand already, and the number of the candidate that gave it.
    /// - Returns: Responses with equal payloads.
    /// - Throws: ``GatewayFailure`` (ABORTED) with what each failing peer said.
    func collect(
        from selection: EndorserSelection,
        first: (candidate: Int, response: Protos_ProposalResponse)? = nil
    ) async throws -> [Protos_ProposalResponse] {
        var answers = Answers()
        if let first {
            answers.endorsed = [first.candidate]
            answers.responses[first.candidate] = first.response
        }
        while let chosen = selection.endorsers(
            endorsed: answers.endorsed,
            failed: Set(answers.failed.keys)
        ) {
            let missing = chosen.filter { answers.responses[$0] == nil }
            guard !missing.isEmpty else {
                let responses = answers.endorsed.filter(chosen.contains).compactMap { answers.responses[$0] }
                try self.checkAgreement(responses, selection, answers.failed)
                return responses
            }
            for (number, outcome) in try await self.ask(missing, of: selection) {
                self.note(outcome, of: number, selection, &answers)
            }
        }
        throw GatewayFailure(
            .aborted,
            Self.failureMessage,
            details: self.details(answers.failed, selection)
                + [
                    self.ownDetail(selection, selection.shortage(failed: answers.failed))
                ].compactMap(\.self)
        )
    }

    private func note(
        _ outcome: EndorsementOutcome,
        of number: Int,
        _ selection: EndorserSelection,
        _ answers: inout Answers
    ) {
        guard case .endorsed(let response) = outcome else {
            answers.failed[number] = outcome.complaint
            return
        }
        let twin = answers.endorsed.first {
            answers.responses[$0]?.endorsement.endorser == response.endorsement.endorser
        }
        if let twin {
            answers.failed[number] =
                "it is the same peer as \(selection.candidates[twin].endpoint), which has endorsed already"
        } else {
            answers.endorsed.append(number)
            answers.responses[number] = response
        }
    }

    /// Asks all at once.
    private func ask(
        _ numbers: [Int],
        of selection: EndorserSelection
    ) async throws -> [(Int, EndorsementOutcome)] {
        if numbers.count == 1, let number = numbers.first {
            return [(number, try await self.ask(self.peer(selection.candidates[number])))]
        }
        return try await withThrowingTaskGroup(of: (Int, EndorsementOutcome).self) { group in
            for number in numbers {
                group.addTask { (number, try await self.ask(self.peer(selection.candidates[number]))) }
            }
            var outcomes: [(Int, EndorsementOutcome)] = []
            for try await outcome in group { outcomes.append(outcome) }
            return outcomes.sorted { $0.0 < $1.0 }
        }
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

    // MARK: Failures

    private func details(_ failed: [Int: String], _ selection: EndorserSelection) -> [GatewayFailure.Detail] {
        failed.sorted { $0.key < $1.key }.map { number, complaint in
            let candidate = selection.candidates[number]
            return GatewayFailure.Detail(
                address: candidate.endpoint,
                mspID: candidate.mspID.description,
                message: complaint
            )
        }
    }

    /// What this gateway itself has to say.
    private func ownDetail(_ selection: EndorserSelection, _ message: String) -> GatewayFailure.Detail? {
        selection.candidates.first { $0.isSelf }.map {
            GatewayFailure.Detail(address: $0.endpoint, mspID: $0.mspID.description, message: message)
        }
    }

    /// Fabric's detail for each peer that came to another result than the first, then one of this gateway with what
    /// differs.
    private func checkAgreement(
        _ responses: [Protos_ProposalResponse],
        _ selection: EndorserSelection,
        _ failed: [Int: String]
    ) throws {
        let different = responses.dropFirst().filter { $0.payload != responses.first?.payload }
        guard !different.isEmpty else { return }
        var details = different.map { response in
            let (mspID, address) = self.place(of: response.endorsement.endorser, selection)
            return GatewayFailure.Detail(
                address: address,
                mspID: mspID,
                message: "ProposalResponsePayloads do not match"
            )
        }
        let disagreement = EndorsementDisagreement(responses) { endorser in
            let (mspID, address) = self.place(of: endorser, selection)
            return address.isEmpty ? mspID : "\(mspID) at \(address)"
        }
        if let disagreement {
            let message = """
                \(disagreement)
                one of them is behind, which passes, or the contract is not deterministic, which must be mended: its \
                results may depend on nothing but the ledger and the call
                """
            details += [self.ownDetail(selection, message)].compactMap(\.self)
        }
        throw GatewayFailure(
            .aborted,
            Self.failureMessage,
            details: details + self.details(failed, selection)
        )
    }

    /// The organization of an endorser, and the address at which it is reached, or its organization's best peer.
    private func place(
        of endorser: Data,
        _ selection: EndorserSelection
    ) -> (mspID: String, address: String) {
        let mspID = EndorsementDisagreement.organization(of: endorser)
        let candidate =
            selection.candidates.first { $0.member?.identity == endorser }
            ?? selection.candidates.first { $0.mspID.description == mspID }
        return (mspID, candidate?.endpoint ?? "")
    }
}
