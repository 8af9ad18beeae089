internal import Channel
package import FabricProtos
internal import Foundation
internal import GRPCCore
internal import SwiftProtobuf

/// Does a client's work for it: finds endorsers, collects endorsements, submits, and waits for the commit.
///
/// The client keeps its key: it signs the proposal, then the transaction, then its question for the status.
///
/// - Source: Fabric v3 documentation, "Fabric Gateway".
package struct Gateway: Sendable {
    package struct Limits: Sendable {
        /// How long one endorser may take.
        package var endorsement: Duration = .seconds(30)

        package init() {}
    }

    /// What the gateway needs of the peer that it is part of.
    package struct Surroundings: Sendable {
        package var localPeer: EndorsingPeer
        package var channels: ChannelRegistry
        package var access: AccessGate
        /// The definition of a contract on a channel, as the last committed block left it.
        package var definition: @Sendable (String, PeerChannel) throws -> ChaincodeDefinition?
        /// Threads for reads that may touch the disk.
        package var readers: BlockingExecutor
        /// The peers that are alive.
        package var members: any ChannelMembers
        /// The ways to other peers.
        package var remotePeers: any RemotePeers
        package var orderers: any OrderingService

        package init(
            localPeer: EndorsingPeer,
            channels: ChannelRegistry,
            access: AccessGate,
            definition: @escaping @Sendable (String, PeerChannel) throws -> ChaincodeDefinition?,
            readers: BlockingExecutor,
            members: any ChannelMembers,
            remotePeers: any RemotePeers,
            orderers: any OrderingService
        ) {
            self.localPeer = localPeer
            self.channels = channels
            self.access = access
            self.definition = definition
            self.readers = readers
            self.members = members
            self.remotePeers = remotePeers
            self.orderers = orderers
        }
    }

    let surroundings: Surroundings
    let limits: Limits
    private let requirements: EndorsementRequirements
    private let roster: EndorserRoster

    /// - Parameters:
    ///   - surroundings: what it needs of the peer.
    ///   - limits: how long it waits.
    ///   - requirements: where computed layouts are kept.
    package init(
        _ surroundings: Surroundings,
        limits: Limits = Limits(),
        requirements: EndorsementRequirements = EndorsementRequirements()
    ) {
        self.surroundings = surroundings
        self.limits = limits
        self.requirements = requirements
        self.roster = EndorserRoster(
            ownMSPID: surroundings.localPeer.mspID,
            ownEndpoint: surroundings.localPeer.address,
            members: surroundings.members
        )
    }

    // MARK: Endorse

    /// Collects the endorsements that a proposal needs.
    ///
    /// - Parameters:
    ///   - signed: The client's proposal.
    ///   - organizations: Whose peers shall endorse; empty to work it out from the policies.
    /// - Returns: The transaction, to be signed by the client.
    /// - Throws: ``GatewayFailure``.
    package func endorse(
        _ signed: Protos_SignedProposal,
        organizations: [String]
    ) async throws -> Common_Envelope {
        let proposal = try self.unpack(signed)
        let channel = try self.channel(of: proposal, otherwise: .failedPrecondition)
        if let outage = channel.status.outage {
            // What is simulated on a state that stands still would rarely be valid.
            throw GatewayFailure(.unavailable, "channel \(channel.id) is \(outage)")
        }
        let choice = self.choice(for: proposal, on: channel)
        let collector = self.collector(proposal, on: choice.configuration)

        let responses: [Protos_ProposalResponse]
        if let named = choice.namedOrganizations(organizations) {
            responses = try await collector.collect(from: choice.selection(ofOrganizations: named))
        } else {
            let first = try await self.firstEndorsement(choice, collector)
            let interest =
                first.response.hasInterest && !first.response.interest.chaincodes.isEmpty
                ? first.response.interest : choice.plainInterest
            responses = try await collector.collect(from: choice.selection(for: interest), first: first)
        }
        do {
            var envelope = Common_Envelope()
            envelope.payload = try Proposal.assemble(proposal, responses: responses)
            return envelope
        } catch {
            throw GatewayFailure(.aborted, "failed to assemble transaction: \(error)")
        }
    }

    /// The endorsement that tells what the transaction reads and writes.
    ///
    /// It is a peer's of the gateway's own organization; of another one only if none of the own has the contract, and
    /// never if the proposal has transient data.
    private func firstEndorsement(
        _ choice: EndorsementChoice,
        _ collector: EndorsementCollector
    ) async throws -> (candidate: Int, response: Protos_ProposalResponse) {
        let criteria = try choice.criteria(for: choice.plainInterest)  // Before anybody is asked.
        let holders = choice.holders(of: criteria)
        var numbers = holders.best { choice.candidates[$0].mspID == choice.ownMSPID }
        if numbers.isEmpty, choice.proposal.transient.isEmpty { numbers = holders.best() }
        guard !numbers.isEmpty else {
            let reasons = holders.exclusions.sorted { $0.key < $1.key }.prefix(5).map {
                "\(choice.candidates[$0.key].endpoint): \($0.value)"
            }
            let whose =
                choice.proposal.transient.isEmpty
                ? "no peer has it"
                : "no peer of \(choice.ownMSPID) has it, and transient data is not sent to others unasked: "
                    + "name the endorsing organizations in the request"
            throw GatewayFailure(
                .failedPrecondition,
                "no endorsers found for chaincode \(choice.proposal.chaincodeName) on channel "
                    + "\(choice.channel.id): \(whose) (\(reasons.joined(separator: ", ")))"
            )
        }
        var details: [GatewayFailure.Detail] = []
        for number in numbers {
            let peer = collector.peer(choice.candidates[number])
            let outcome = try await collector.ask(peer)
            if case .endorsed(let response) = outcome { return (number, response) }
            details += outcome.complaint.map { [peer.detail($0)] } ?? []
            guard outcome.isWorthAnother(than: peer) else { break }
        }
        throw GatewayFailure(
            .aborted,
            "failed to endorse transaction, see attached details for more info",
            details: details
        )
    }

    // MARK: Evaluate

    /// Runs a query on one peer.
    ///
    /// - Parameters:
    ///   - signed: The client's proposal.
    ///   - organizations: Whose peers may be asked; empty for the gateway's own, then any other.
    /// - Returns: The contract's answer.
    /// - Throws: ``GatewayFailure``.
    package func evaluate(
        _ signed: Protos_SignedProposal,
        organizations: [String]
    ) async throws -> Protos_Response {
        let proposal = try self.unpack(signed)
        let channel = try self.channel(of: proposal, otherwise: .unavailable)
        let candidates = try self.evaluators(
            self.choice(for: proposal, on: channel),
            organizations: organizations
        )
        let collector = self.collector(proposal, on: channel.configuration)
        var details: [GatewayFailure.Detail] = []
        for candidate in candidates {
            let peer = collector.peer(candidate)
            switch try await collector.ask(peer) {
            case .endorsed(let response):
                return try Self.result(of: response)
            case .refused(let response):
                if (200..<400).contains(response.response.status) { return response.response }
                let isPeerFailure = response.response.status == 500 && response.payload.isEmpty
                guard isPeerFailure else {
                    let message =
                        "evaluate call to endorser returned error: chaincode response "
                        + "\(response.response.status), \(response.response.message)"
                    throw GatewayFailure(.unknown, message, details: [peer.detail(message)])
                }
                details.append(peer.detail(response.response.message))
            case .failed(let message):
                guard !peer.isLocal else {
                    let message = "evaluate call to endorser returned error: \(message)"
                    throw GatewayFailure(.failedPrecondition, message, details: [peer.detail(message)])
                }
                details.append(peer.detail(message))
            }
        }
        throw GatewayFailure(
            .aborted,
            "failed to evaluate transaction, see attached details for more info",
            details: details
        )
    }

    private func evaluators(
        _ choice: EndorsementChoice,
        organizations: [String]
    ) throws -> [EndorserCandidate] {
        let name = choice.proposal.chaincodeName
        let lead = "no peers available to evaluate chaincode \(name) in channel \(choice.channel.id)"
        if !ChaincodeName.system.contains(name), try self.surroundings.definition(name, choice.channel) == nil
        {
            throw GatewayFailure(.failedPrecondition, "\(lead): the chaincode is not defined there")
        }
        let holders = try choice.holdersOfContract()
        let numbers = holders.best { number in
            let mspID = choice.candidates[number].mspID
            if !organizations.isEmpty { return organizations.contains(mspID.description) }
            return choice.proposal.transient.isEmpty || mspID == choice.ownMSPID
        }
        guard !numbers.isEmpty else {
            let reasons = holders.exclusions.sorted { $0.key < $1.key }.prefix(5).map {
                "\(choice.candidates[$0.key].endpoint): \($0.value)"
            }
            let asked = organizations.isEmpty ? [choice.ownMSPID.description] : organizations
            throw GatewayFailure(
                .failedPrecondition,
                "\(lead) in organization(s): \(asked.joined(separator: ", "))"
                    + (reasons.isEmpty ? "" : " (\(reasons.joined(separator: ", ")))")
            )
        }
        return numbers.map { choice.candidates[$0] }
    }

    /// The result as the endorser signed it, where there is one.
    private static func result(of response: Protos_ProposalResponse) throws -> Protos_Response {
        guard let payload = try? Protos_ProposalResponsePayload(serializedBytes: response.payload),
            let action = try? Protos_ChaincodeAction(serializedBytes: payload.extension)
        else { return response.response }
        return action.response
    }

    // MARK: Submit

    /// Has a transaction ordered.
    ///
    /// - Throws: ``GatewayFailure``: INVALID_ARGUMENT for an unsigned envelope, ABORTED if the ordering service
    ///   refuses, UNAVAILABLE if no orderer could take it.
    package func submit(_ envelope: Common_Envelope, channelID: String) async throws {
        guard !envelope.payload.isEmpty else {
            throw GatewayFailure(.invalidArgument, "a prepared transaction is required")
        }
        guard !envelope.signature.isEmpty else {
            throw GatewayFailure(.invalidArgument, "prepared transaction must be signed")
        }
        let channel = try self.channel(channelID, otherwise: .notFound)
        try await self.surroundings.orderers.submit(envelope, to: channel.configuration)
    }

    // MARK: Parts

    private func unpack(_ signed: Protos_SignedProposal) throws(GatewayFailure) -> UnpackedProposal {
        guard !signed.proposalBytes.isEmpty else {
            throw GatewayFailure(.invalidArgument, "a signed proposal is required")
        }
        do {
            return try UnpackedProposal(signed)
        } catch {
            throw GatewayFailure(.invalidArgument, "failed to unpack transaction proposal: \(error)")
        }
    }

    private func channel(
        of proposal: UnpackedProposal,
        otherwise code: RPCError.Code
    ) throws(GatewayFailure) -> PeerChannel {
        try self.channel(proposal.channelHeader.channelID, otherwise: code)
    }

    /// The channel called `name`; fails with UNAVAILABLE if it can't be opened, with `code` if it is unknown.
    func channel(_ name: String, otherwise code: RPCError.Code) throws(GatewayFailure) -> PeerChannel {
        let id = try? ChannelID(name)
        if let id, let channel = self.surroundings.channels[id] { return channel }
        if let id, let failure = self.surroundings.channels.failure(of: id) {
            throw GatewayFailure(.unavailable, failure.description)
        }
        throw GatewayFailure(code, "channel \(name) is unknown to this peer: name one that it has joined")
    }

    private func choice(for proposal: UnpackedProposal, on channel: PeerChannel) -> EndorsementChoice {
        let configuration = channel.configuration
        return EndorsementChoice(
            proposal: proposal,
            channel: channel,
            configuration: configuration,
            candidates: self.roster.candidates(on: configuration),
            ownMSPID: self.surroundings.localPeer.mspID,
            definition: self.surroundings.definition,
            requirements: self.requirements
        )
    }

    private func collector(
        _ proposal: UnpackedProposal,
        on configuration: ChannelConfiguration
    ) -> EndorsementCollector {
        EndorsementCollector(proposal: proposal, timeout: self.limits.endorsement) { candidate in
            candidate.isSelf
                ? self.surroundings.localPeer
                : self.surroundings.remotePeers.peer(
                    of: candidate.mspID,
                    at: candidate.endpoint,
                    on: configuration
                )
        }
    }
}
