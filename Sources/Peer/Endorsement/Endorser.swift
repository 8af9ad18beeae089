package import Channel
package import FabricProtos
package import Foundation
package import GRPCCore
internal import Ledger
package import Logging
package import Operations
internal import SwiftProtobuf

/// Endorses proposals: checks who proposes, simulates the contract, and signs the outcome.
///
/// - Source: Fabric v3.1, `core/endorser/endorser.go`.
package final class Endorser: Sendable {
    private let identity: RenewableIdentity
    private let channels: any EndorsingChannels
    private let runner: ContractRunner
    private let access: AccessGate
    private let checks: ProposalChecks
    private let executor: BlockingExecutor
    private let own: OwnEndorsements?
    private let privateData: PrivateDataLink?
    private let metrics: EndorserMetrics
    private let logger: Logger

    /// - Parameters:
    ///   - identity: signs the endorsements.
    ///   - localMSP: the peer's own organization, whose members may make calls that concern no channel.
    ///   - channels: the channels that the peer has joined.
    ///   - builtIn: contracts that run once a channel has their definition.
    ///   - installed: contracts whose packages are installed; `nil` where none can be.
    ///   - access: decides and records who may propose and read.
    ///   - executor: the threads on which contracts run, unless a call is quick.
    ///   - own: where the endorsements made here are noted, for the commit.
    ///   - privateData: the way of private data to other peers.
    ///   - metrics: where proposals are counted.
    ///   - logger: where it is noted whose proposals are refused, and why.
    ///   - now: the time; proposals must be made within 15 minutes of it.
    /// - Throws: `MSPError` if the local MSP can't be used.
    package init(
        identity: RenewableIdentity,
        localMSP: MSP,
        channels: any EndorsingChannels,
        builtIn: [String: any Contract] = ContractCatalog.standardBuiltIns,
        installed: InstalledContracts? = nil,
        access: AccessGate,
        executor: BlockingExecutor,
        own: OwnEndorsements? = nil,
        privateData: PrivateDataLink? = nil,
        metrics: Metrics = Metrics(),
        logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws {
        self.identity = identity
        self.channels = channels
        self.access = access
        self.executor = executor
        self.own = own
        self.privateData = privateData
        self.metrics = EndorserMetrics(metrics)
        self.logger = logger
        self.checks = try ProposalChecks(localMSP: localMSP, now: now)
        let system: [String: any Contract] = [
            ChaincodeName.lifecycle: LifecycleContract(
                access: access,
                ownOrganization: identity.mspID,
                builtIn: Array(builtIn.keys),
                installed: installed,
                channels: channels
            ),
            ChaincodeName.ledgerQueries: LedgerQueries(channels: channels, access: access),
            ChaincodeName.channelConfiguration: ChannelQueries(channels: channels, access: access),
        ]
        self.runner = ContractRunner(
            catalog: ContractCatalog(system: system, builtIn: builtIn, installed: installed),
            channels: channels,
            access: access,
            ownOrganization: identity.mspID
        )
    }

    /// Simulates a signed proposal and returns this peer's answer, endorsed if the contract succeeded.
    ///
    /// The ledger doesn't change: what the contract writes takes effect once the transaction is ordered and
    /// found valid.
    ///
    /// Checks, and contracts whose call is quick, run on the caller's thread; they may read a few keys from the disk.
    ///
    /// A response with status 500 and a payload is the contract's own verdict; one without a payload says
    /// that the peer couldn't run the contract.
    ///
    /// - Throws: an error of code UNKNOWN, with Fabric's words, if the proposal itself is refused; UNAVAILABLE if its
    ///   channel can't be opened.
    package func process(
        _ signed: Protos_SignedProposal
    ) async throws(RPCError) -> Protos_ProposalResponse {
        try await self.process { try self.checks.unpack(signed) }
    }

    /// The same, for a proposal that is decoded already.
    package func process(
        _ proposal: UnpackedProposal
    ) async throws(RPCError) -> Protos_ProposalResponse {
        try await self.process { proposal }
    }

    private func process(
        _ proposal: @Sendable () throws -> UnpackedProposal
    ) async throws(RPCError) -> Protos_ProposalResponse {
        let count = self.metrics.received()
        do {
            let answer = try await self.endorse(proposal(), count)
            count.answered(answer.response.status)
            return answer
        } catch let failure as UnopenedChannel {
            count.refused()
            throw RPCError(code: .unavailable, message: failure.description, cause: failure)
        } catch {
            count.refused()
            self.note(error)
            throw RPCError(code: .unknown, message: String(describing: error), cause: error)
        }
    }

    /// Tells the operator more than the client: why exactly an identity is no member.
    private func note(_ error: any Error) {
        // The access gate has written down what it refused.
        guard !(error is AccessDenied) else { return }
        let reason = (error as? ProposalRefused)?.privateReason ?? "\(error)"
        self.logger.notice("refused a proposal", metadata: ["reason": "\(reason.prefix(1_000))"])
    }

    /// The story of one endorsement.
    private func endorse(
        _ proposal: UnpackedProposal,
        _ count: EndorserMetrics.Proposal
    ) async throws -> Protos_ProposalResponse {
        let channelName = proposal.channelHeader.channelID
        let channel = channelName.isEmpty ? nil : self.channels.channel(named: channelName)
        try self.checks.checkFreshness(of: proposal, directory: channel?.configuration.directory)
        guard channel != nil || channelName.isEmpty else {
            if let failure = self.channels.failure(ofChannel: channelName) { throw failure }
            return .failed("channel '\(channelName)' not found")
        }
        let creator = try self.checks.authenticate(proposal, directory: channel?.configuration.directory)
        if let channel {
            try self.checks.refuseDuplicate(proposal, on: channel)
            if !self.runner.isSystem(proposal.chaincodeName) {
                try self.access.authorize(
                    AccessRequest(
                        resource: "peer/Propose",
                        channel: channel.id,
                        requester: .verified(creator),
                        subject: proposal.chaincodeName
                    )
                )
            }
        }

        count.accepted(channel: channelName, chaincode: proposal.chaincodeName)
        let simulation = Simulation(
            proposal: proposal,
            creator: creator,
            channel: channel,
            recording: channel != nil && !Self.answersFromLedger.contains(proposal.chaincodeName)
        )
        let callee: ContractRunner.Callee
        do {
            callee = try self.runner.callee(named: proposal.chaincodeName, in: simulation)
        } catch {
            return .failed(self.unavailable(proposal, error))
        }
        // Nothing is quick that waits for a token to sign.
        guard self.identity.current.executor != nil || !callee.contract.isQuick(proposal.input.args) else {
            return await self.run(callee, in: simulation, count)
        }
        return await withTaskExecutorPreference(self.executor) {
            await self.run(callee, in: simulation, count)
        }
    }

    /// Executes the contract and signs the outcome.
    private func run(
        _ callee: ContractRunner.Callee,
        in simulation: Simulation,
        _ count: EndorserMetrics.Proposal
    ) async -> Protos_ProposalResponse {
        do {
            let outcome = try await self.runner.run(
                callee,
                arguments: simulation.proposal.input.args,
                isInit: simulation.proposal.input.isInit,
                in: simulation
            )
            let results = try simulation.simulator?.results()
            return try await self.respond(to: simulation, callee, outcome.response, outcome.event, results)
        } catch let failure as PrivateDataNotSpread {
            return .failed("error distributing private data of \(simulation.transactionID): \(failure)")
        } catch let failure as TransactionFailure {
            count.simulationFailed()
            return .failed("error in simulation: \(failure)")
        } catch {
            count.simulationFailed()
            let place = "failed to execute transaction \(simulation.transactionID)"
            return .failed("error in simulation: \(place): \(error)")
        }
    }

    /// The contracts that look at the ledger itself: their calls record nothing.
    private static let answersFromLedger: Set<String> = [
        ChaincodeName.ledgerQueries, ChaincodeName.channelConfiguration,
    ]

    private func unavailable(_ proposal: UnpackedProposal, _ error: any Error) -> String {
        let name = proposal.chaincodeName
        guard !self.runner.isSystem(name) else {
            return
                "error in simulation: failed to execute transaction \(proposal.channelHeader.txID): \(error)"
        }
        return """
            make sure the chaincode \(name) has been successfully defined on channel \
            \(proposal.channelHeader.channelID) and try again: \(error)
            """
    }

    /// Turns the contract's answer into the peer's: endorsed below status 400.
    private func respond(
        to simulation: Simulation,
        _ callee: ContractRunner.Callee,
        _ response: Protos_Response,
        _ event: Protos_ChaincodeEvent?,
        _ results: SimulationResults?
    ) async throws -> Protos_ProposalResponse {
        var answer = Protos_ProposalResponse()
        answer.response = response
        let succeeded = response.status < 400
        if (400..<500).contains(response.status) { return answer }
        if succeeded, simulation.channel == nil { return answer }

        answer.payload = try Self.payload(simulation.proposal.proposalHash, callee, response, event, results)
        if let results, let snapshot = simulation.snapshot {
            answer.interest = try ChaincodeInterest.of(results, in: snapshot)
        }
        guard succeeded else { return answer }

        if let results, let channel = simulation.channel, let writes = results.privateWrites {
            let payloads = try PrivateWriteKeeping(
                channel: channel,
                simulation: simulation,
                link: self.privateData,
                ownOrganization: self.identity.mspID
            ).keep(writes)
            try await self.privateData?.exchange?.push(payloads, on: channel.id)
        }
        answer.version = 1
        let endorser = self.identity.current
        answer.endorsement.endorser = endorser.serialized
        let signed = answer.payload + endorser.serialized
        let signature = try endorser.sign(signed)
        answer.endorsement.signature = signature
        self.own?.add(SignedData(data: signed, identity: endorser.serialized, signature: signature))
        return answer
    }
}

extension Endorser {
    /// The bytes of a `protos.ProposalResponsePayload` around a `protos.ChaincodeAction`: what is signed.
    private static func payload(
        _ proposalHash: Data,
        _ callee: ContractRunner.Callee,
        _ response: Protos_Response,
        _ event: Protos_ChaincodeEvent?,
        _ results: SimulationResults?
    ) throws -> Data {
        var chaincode = WireMessage()
        chaincode.field(2, callee.name.utf8)
        chaincode.field(3, callee.version.utf8)
        var action = WireMessage(capacity: 256 + (results?.publicBytes.count ?? 0))
        action.field(1, results?.publicBytes ?? Data())
        if let event { action.field(2, try event.serializedBytes() as [UInt8]) }
        action.message(3, try response.serializedBytes())
        action.message(4, chaincode.bytes)
        var payload = WireMessage(capacity: 64 + action.bytes.count)
        payload.field(1, proposalHash)
        payload.field(2, action.bytes)
        return payload.data
    }
}

extension Protos_ProposalResponse {
    /// The peer's own failure: status 500 and no payload.
    fileprivate static func failed(_ message: String) -> Self {
        .with { $0.response = .failure(message) }
    }
}
