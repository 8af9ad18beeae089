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
        /// The peers of other organizations, by the addresses in the channel's configuration.
        package var remotePeers: any RemotePeers
        package var orderers: any OrderingService

        package init(
            localPeer: EndorsingPeer,
            channels: ChannelRegistry,
            access: AccessGate,
            definition: @escaping @Sendable (String, PeerChannel) throws -> ChaincodeDefinition?,
            readers: BlockingExecutor,
            remotePeers: any RemotePeers,
            orderers: any OrderingService
        ) {
            self.localPeer = localPeer
            self.channels = channels
            self.access = access
            self.definition = definition
            self.readers = readers
            self.remotePeers = remotePeers
            self.orderers = orderers
        }
    }

    let surroundings: Surroundings
    let limits: Limits
    private let layouts = EndorsementLayoutCache()

    package init(_ surroundings: Surroundings, limits: Limits = Limits()) {
        self.surroundings = surroundings
        self.limits = limits
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
        let peers = self.peers(on: channel.configuration)
        let collector = EndorsementCollector(
            proposal: proposal,
            peers: peers,
            timeout: self.limits.endorsement
        )

        let responses: [Protos_ProposalResponse]
        if let layout = try self.fixedLayout(proposal, organizations: organizations, peers: peers) {
            responses = try await collector.collect([layout], first: nil)
        } else {
            responses = try await self.endorseByPolicy(proposal, channel: channel, collector: collector)
        }
        do {
            var envelope = Common_Envelope()
            envelope.payload = try Proposal.assemble(proposal, responses: responses)
            return envelope
        } catch {
            throw GatewayFailure(.aborted, "failed to assemble transaction: \(error)")
        }
    }

    private func endorseByPolicy(
        _ proposal: UnpackedProposal,
        channel: PeerChannel,
        collector: EndorsementCollector
    ) async throws -> [Protos_ProposalResponse] {
        let plan = EndorsementPlan(configuration: channel.configuration) { name in
            try self.surroundings.definition(name, channel)
        }
        var interest = Protos_ChaincodeInterest()
        interest.chaincodes = [.with { $0.name = proposal.chaincodeName }]
        try plan.checkDefined(proposal.chaincodeName)  // Before anybody is asked.

        let local = self.surroundings.localPeer
        let outcome = try await collector.ask(local)
        guard case .endorsed(let response) = outcome else {
            throw GatewayFailure(
                .aborted,
                "failed to endorse transaction, see attached details for more info",
                details: outcome.complaint.map { [local.detail($0)] } ?? []
            )
        }
        if response.hasInterest, !response.interest.chaincodes.isEmpty {
            interest = response.interest
        }
        if !proposal.transient.isEmpty {
            for index in interest.chaincodes.indices {
                interest.chaincodes[index].noPrivateReads = false
            }
        }
        let layouts = self.layouts.layouts(
            satisfying: try plan.policies(for: interest),
            under: plan.configuration
        )
        let available = layouts.filter { layout in
            layout.allSatisfy { (collector.peers[$0.key]?.count ?? 0) >= $0.value }
        }
        guard !available.isEmpty else {
            throw GatewayFailure(
                .failedPrecondition,
                "no combination of peers can be derived which satisfy the endorsement policy: "
                    + Self.describe(layouts, known: collector.peers)
            )
        }
        return try await collector.collect(available, first: (local.mspID, response))
    }

    /// The layout that the request or the nature of the call fixes, if any.
    private func fixedLayout(
        _ proposal: UnpackedProposal,
        organizations: [String],
        peers: [MSPID: [EndorsingPeer]]
    ) throws -> EndorsementLayout? {
        // An approval writes to its own organization's collection only, which that organization endorses alone.
        let isApproval =
            proposal.chaincodeName == ChaincodeName.lifecycle
            && proposal.input.args.first == Data("ApproveChaincodeDefinitionForMyOrg".utf8)
        guard !organizations.isEmpty else {
            return isApproval ? [self.surroundings.localPeer.mspID: 1] : nil
        }
        let named = organizations.map { (name: $0, mspID: try? MSPID($0)) }
        let missing = named.filter { entry in entry.mspID.flatMap { peers[$0] }?.isEmpty ?? true }
        guard missing.isEmpty else {
            throw GatewayFailure(
                .unavailable,
                "failed to find any endorsing peers for org(s): "
                    + missing.map(\.name).joined(separator: ", ")
            )
        }
        return Dictionary(named.compactMap(\.mspID).map { ($0, 1) }, uniquingKeysWith: max)
    }

    private static func describe(_ layouts: [EndorsementLayout], known: [MSPID: [EndorsingPeer]]) -> String {
        guard !layouts.isEmpty else { return "peers alone can't satisfy it" }
        let needed = Set(layouts.flatMap(\.keys)).subtracting(known.keys).sorted()
        return "no peer is known of " + needed.map(\.description).joined(separator: ", ")
            + "; each organization's anchor peers must be set in the channel's configuration"
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
        let candidates = try self.evaluators(proposal, channel: channel, organizations: organizations)
        let collector = EndorsementCollector(
            proposal: proposal,
            peers: [:],
            timeout: self.limits.endorsement
        )
        var details: [GatewayFailure.Detail] = []
        for peer in candidates {
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
        _ proposal: UnpackedProposal,
        channel: PeerChannel,
        organizations: [String]
    ) throws -> [EndorsingPeer] {
        if !ChaincodeName.system.contains(proposal.chaincodeName),
            try self.surroundings.definition(proposal.chaincodeName, channel) == nil
        {
            throw GatewayFailure(
                .failedPrecondition,
                "no peers available to evaluate chaincode \(proposal.chaincodeName) in channel \(channel.id): "
                    + "the chaincode is not defined there"
            )
        }
        let peers = self.peers(on: channel.configuration)
        let own = self.surroundings.localPeer.mspID
        var order = [own] + peers.keys.filter { $0 != own }.sorted()
        if !organizations.isEmpty {
            order = order.filter { organizations.contains($0.description) }
        } else if !proposal.transient.isEmpty {
            order = [own]
        }
        let candidates = order.flatMap { peers[$0] ?? [] }
        guard !candidates.isEmpty else {
            throw GatewayFailure(
                .failedPrecondition,
                "no peers available to evaluate chaincode \(proposal.chaincodeName) in channel \(channel.id) "
                    + "in organization(s): \(organizations.joined(separator: ", "))"
            )
        }
        return candidates
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

    /// This peer and the anchor peers of the other organizations.
    private func peers(on configuration: ChannelConfiguration) -> [MSPID: [EndorsingPeer]] {
        let local = self.surroundings.localPeer
        var peers = self.surroundings.remotePeers.peers(on: configuration)
        peers[local.mspID] = [local] + (peers[local.mspID] ?? []).filter { $0.address != local.address }
        return peers
    }
}
