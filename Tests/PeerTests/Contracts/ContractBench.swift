import Channel
import FabricProtos
import Foundation
import Ledger
import SwiftProtobuf
import TestSupport

import enum WeftContract.JSONValue

@testable import Peer

/// A channel in memory on which a contract is called and its writes are committed, block by block.
///
/// Its members are AlphaMSP, BravoMSP and CarolMSP of the recorded network.
final class ContractBench: EndorsingChannel {
    let id: ChannelID
    let ledger: Ledger
    let configuration: ChannelConfiguration
    private let contract: any Contract
    private let name: String
    private let creators: [String: Data]
    private let access: AccessGate

    /// 2026-01-15, 12:00 UTC, unless a call says otherwise.
    static let noon: Int64 = 1_768_478_400

    /// A channel for the contract that `make` makes, given the gate that it may ask for rights.
    init(_ name: String, _ make: (AccessGate) -> any Contract) throws {
        let file = VectorReport.folder("blocks").appendingPathComponent("main.peer.blocks")
        var blocks = try BlockFile(contentsOf: file)
        let genesis = try Common_Block(serializedBytes: blocks.next() ?? Data())
        self.name = name
        self.id = try ChannelID("vecmain")
        self.configuration = try ChannelConfiguration(configBlock: genesis)
        self.ledger = try Ledger(channelID: self.id, stores: .inMemory())
        let transaction = TransactionToCommit(code: .valid, envelope: genesis.data.data.first ?? Data())
        _ = try self.ledger.commit(BlockToCommit(block: genesis, transactions: [transaction]))
        var creators: [String: Data] = [:]
        for vector in try EndorsementVector.all() {
            let name: String? =
                switch vector.id.prefix(3) {
                case "001": "AlphaMSP"
                case "140": "BravoMSP"
                case "069": "CarolMSP"
                case "172": "AlphaMSP admin"
                default: nil
                }
            guard let name else { continue }
            creators[name] = try UnpackedProposal(vector.proposal).signatureHeader.creator
        }
        self.creators = creators
        let configuration = self.configuration
        guard let localMSP = configuration.directory[try MSPID("AlphaMSP")] else {
            throw ContractError("AlphaMSP is missing")
        }
        self.access = AccessGate(localMSP: localMSP, configuration: { _ in configuration }, record: { _ in })
        self.contract = make(self.access)
    }

    convenience init(_ name: String, _ contract: any Contract) throws {
        try self.init(name) { _ in contract }
    }

    /// What a call answered, and what it would write.
    struct Outcome {
        var response: Protos_Response
        var event: Protos_ChaincodeEvent?
        var results: SimulationResults
        var transactionID: String

        var json: JSONValue? { try? JSONValue(parsing: self.response.payload) }
    }

    /// Simulates one call on the state as it is, without committing it.
    func simulate(
        _ arguments: [Data],
        as organization: String = "AlphaMSP",
        time: Int64 = ContractBench.noon,
        isInit: Bool = false
    ) async throws -> Outcome {
        let proposal = try UnpackedProposal(self.proposal(arguments, organization, time))
        let simulation = Simulation(
            proposal: proposal,
            creator: try self.configuration.directory.identity(from: proposal.signatureHeader.creator),
            channel: self,
            recording: true
        )
        let runner = ContractRunner(
            catalog: ContractCatalog(system: [:], builtIn: [:]),
            channels: OneChannel(channel: self),
            access: self.access,
            ownOrganization: try MSPID("AlphaMSP")
        )
        let callee = ContractRunner.Callee(name: self.name, contract: self.contract, definition: nil)
        let outcome = try await runner.run(callee, arguments: arguments, isInit: isInit, in: simulation)
        return Outcome(
            response: outcome.response,
            event: outcome.event,
            results: try simulation.state().results(),
            transactionID: simulation.transactionID
        )
    }

    /// Simulates one call with a JSON argument and commits what it wrote, if it succeeded.
    @discardableResult
    func call(
        _ function: String,
        _ argument: String = "{}",
        as organization: String = "AlphaMSP",
        time: Int64 = ContractBench.noon
    ) async throws -> Outcome {
        let outcome = try await self.simulate(
            [Data(function.utf8), Data(argument.utf8)],
            as: organization,
            time: time
        )
        if outcome.response.status < 400 { _ = try self.commit([outcome]) }
        return outcome
    }

    /// Commits the outcomes in one block; the ledger judges conflicts.
    func commit(_ outcomes: [Outcome]) throws -> [Protos_TxValidationCode] {
        let envelopes = outcomes.map { Data($0.transactionID.utf8) }
        let block = Common_Block.next(after: self.ledger.lastHeader, envelopes: envelopes)
        let transactions = outcomes.map {
            TransactionToCommit(code: .valid, id: $0.transactionID, readWriteSet: $0.results.publicSet)
        }
        let privateWrites = outcomes.enumerated().flatMap { index, outcome in
            (outcome.results.privateWrites?.nsPvtRwset ?? []).flatMap { namespace in
                namespace.collectionPvtRwset.map { collection in
                    PrivateWriteSet(
                        transaction: index,
                        namespace: namespace.namespace,
                        collection: collection.collectionName,
                        bytes: collection.rwset
                    )
                }
            }
        }
        let input = BlockToCommit(block: block, transactions: transactions, privateWriteSets: privateWrites)
        return try self.ledger.commit(input).codes
    }

    private func proposal(
        _ arguments: [Data],
        _ organization: String,
        _ time: Int64
    ) throws -> Protos_SignedProposal {
        let nonce = Data((0..<24).map { _ in UInt8.random(in: 0...255) })
        let creator = self.creators[organization] ?? Data()
        let chaincode = Protos_ChaincodeHeaderExtension.with { $0.chaincodeID.name = self.name }
        let channelHeader = try Common_ChannelHeader.with {
            $0.type = 3
            $0.channelID = self.id.description
            $0.timestamp.seconds = time
            $0.txID = TransactionID(nonce: nonce, creator: creator).description
            $0.extension = try chaincode.serializedData()
        }
        let signatureHeader = Common_SignatureHeader.with {
            $0.creator = creator
            $0.nonce = nonce
        }
        let header = try Common_Header.with {
            $0.channelHeader = try channelHeader.serializedData()
            $0.signatureHeader = try signatureHeader.serializedData()
        }
        let invocation = Protos_ChaincodeInvocationSpec.with { $0.chaincodeSpec.input.args = arguments }
        let payload = try Protos_ChaincodeProposalPayload.with { $0.input = try invocation.serializedData() }
        let proposal = try Protos_Proposal.with {
            $0.header = try header.serializedData()
            $0.payload = try payload.serializedData()
        }
        return try .with { $0.proposalBytes = try proposal.serializedData() }
    }
}

private struct OneChannel: EndorsingChannels {
    var channel: ContractBench

    func channel(named name: String) -> (any EndorsingChannel)? {
        name == self.channel.id.description ? self.channel : nil
    }

    var channels: [any EndorsingChannel] { [self.channel] }

    func joinChannel(_ block: Common_Block) async throws {}
}
