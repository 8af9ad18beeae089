import Channel
import FabricProtos
import Foundation
import GRPCCore
import GRPCInProcessTransport
import Ledger
import SwiftProtobuf
import TestSupport
import Testing

@testable import Peer

/// What the recorded proposals don't show of the endorser.
@Suite(.serialized) struct EndorserTests {
    private static func vector(_ id: String) throws -> EndorsementVector {
        try #require(try EndorsementVector.all().first { $0.id == id })
    }

    /// Nothing that comes from the network may end the process or be endorsed by mistake.
    @Test(arguments: seeds(4)) func damagedProposalsAreRefused(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let network = try RecordedNetwork(organization: "AlphaMSP")
        let whole = try Self.vector("001-get-existing").proposal
        for _ in 0..<100 {
            var damaged = whole
            var bytes = damaged.proposalBytes
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes = bytes.prefix(Int.random(in: 0..<bytes.count, using: &random))
            case 1:
                bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(
                    in: 1...255,
                    using: &random
                )
            case 2: bytes.append(contentsOf: [UInt8.random(in: 0...255, using: &random), 0xFF, 0xFF])
            default: damaged.signature = damaged.signature.prefix(Int.random(in: 0..<70, using: &random))
            }
            damaged.proposalBytes = Data(bytes)
            guard let answer = try? await network.endorser.process(damaged) else { continue }
            // Damage to the channel's name is noticed before the signature is looked at.
            #expect(answer.response.status == 500 && !answer.hasEndorsement && answer.payload.isEmpty)
        }
    }

    @Test func privateWritesAreKeptBeforeTheAnswer() async throws {
        let network = try RecordedNetwork(organization: "AlphaMSP")
        let proposal = try Self.vector("053-private-put-two-collections").proposal
        let answer = try await network.endorser.process(proposal)
        #expect(answer.hasEndorsement)
        let identifier = try UnpackedProposal(proposal).channelHeader.txID
        let entry = try #require(try network.main.ledger.transient.entries(transaction: identifier).first)
        #expect(entry.height == 107)
        let kept = try Transientstore_TxPvtReadWriteSetWithConfigInfo(serializedBytes: entry.bytes)
        #expect(kept.endorsedAt == 107)
        #expect(
            kept.pvtRwset.nsPvtRwset.first?.collectionPvtRwset.map(\.collectionName) == ["colab", "colall"]
        )
        let configs = kept.collectionConfigs["scriptcc"]?.config.map(\.staticCollectionConfig.name)
        #expect(configs == ["colab", "colall"])
    }

    @Test func whatFailsIsNotKept() async throws {
        let network = try RecordedNetwork(organization: "AlphaMSP")
        let proposal = try Self.vector("110-status-500").proposal
        let answer = try await network.endorser.process(proposal)
        #expect(!answer.hasEndorsement)
        let identifier = try UnpackedProposal(proposal).channelHeader.txID
        #expect(try network.main.ledger.transient.entries(transaction: identifier).isEmpty)
    }

    @Test(arguments: [
        ("ghost", "AlphaMSP", "chaincode ghost not found"),
        ("pyrec", "AlphaMSP", "chaincode definition for 'pyrec' exists, but chaincode is not installed"),
        ("scriptcc", "OrderMSP", "has not yet been approved by this org"),
        ("lscc", "AlphaMSP", "reserved but can't be called"),
    ])
    func contractsThatCannotRunAreExplained(name: String, organization: String, reason: String) throws {
        let channel = try RecordedChannel("main", privateValuesOf: nil)
        let runner = try Self.runner(channel, organization)
        let simulation = try Self.simulation(channel)
        let error = #expect(throws: ContractError.self) { try runner.callee(named: name, in: simulation) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test func aContractThatRequiresInitializationRunsOnlyOnceInitialized() async throws {
        let channel = try RecordedChannel("main", privateValuesOf: nil)
        let runner = try Self.runner(channel, "AlphaMSP")
        let definition = ChaincodeDefinition(
            sequence: 1,
            parameters: ChaincodeParameters(
                version: "1",
                initRequired: true,
                validationParameter: ChaincodeParameters.standardValidationParameter
            )
        )
        let callee = ContractRunner.Callee(name: "fresh", contract: ScriptContract(), definition: definition)
        let early = try Self.simulation(channel)
        await #expect(throws: ContractError.self) {
            try await runner.run(callee, arguments: [], isInit: false, in: early)
        }
        let simulation = try Self.simulation(channel)
        _ = try await runner.run(callee, arguments: [], isInit: true, in: simulation)
        let set = try simulation.state().results().publicSet
        let namespace = try #require(set.namespaces.first { $0.name == "fresh" })
        #expect(namespace.kv.reads.map(\.key) == ["\u{0}\u{10FFFF}initialized"])
        #expect(namespace.kv.writes.map(\.key) == ["\u{0}\u{10FFFF}initialized"])
        #expect(namespace.kv.writes.first?.value == Data("1".utf8))
    }

    @Test func moreCallsThanAllowedAtATimeAreRefusedAtOnce() async throws {
        let network = try RecordedNetwork(organization: "AlphaMSP")
        let proposal = try Self.vector("001-get-existing").proposal
        let transport = InProcessTransport()
        let service = EndorserService(network.endorser, limit: 4)
        let verdicts = try await withGRPCServer(transport: transport.server, services: [service]) { _ in
            try await withGRPCClient(transport: transport.client) { client in
                await Self.verdicts(Protos_Endorser.Client(wrapping: client), proposal, calls: 64)
            }
        }
        // Each call is either endorsed or refused for being one too many.
        #expect(verdicts.count == 64)
        #expect(!verdicts.contains(nil))
        #expect(verdicts.count { $0 == true } >= 4)
    }

    private static func verdicts(
        _ endorser: Protos_Endorser.Client<InProcessTransport.Client>,
        _ proposal: Protos_SignedProposal,
        calls: Int
    ) async -> [Bool?] {
        await withTaskGroup(of: Bool?.self) { group in
            for _ in 0..<calls { group.addTask { await self.verdict(endorser, proposal) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// Whether a call was endorsed; `nil` if it failed for another reason than the limit.
    private static func verdict(
        _ endorser: Protos_Endorser.Client<InProcessTransport.Client>,
        _ proposal: Protos_SignedProposal
    ) async -> Bool? {
        do {
            return try await endorser.processProposal(proposal).hasEndorsement
        } catch let error as RPCError {
            return error.message.hasPrefix("too many requests for") ? false : nil
        } catch {
            return nil
        }
    }

    private static func runner(_ channel: RecordedChannel, _ organization: String) throws -> ContractRunner {
        let channels = RecordedChannels(list: [channel])
        let localMSP = try #require(channel.configuration.directory[try MSPID("AlphaMSP")])
        let access = AccessGate(localMSP: localMSP, configuration: { _ in nil }, record: { _ in })
        return ContractRunner(
            catalog: ContractCatalog(system: [:], builtIn: ["scriptcc": ScriptContract()]),
            channels: channels,
            access: access,
            ownOrganization: try MSPID(organization)
        )
    }

    private static func simulation(_ channel: RecordedChannel) throws -> Simulation {
        let proposal = try UnpackedProposal(self.vector("001-get-existing").proposal)
        return Simulation(
            proposal: proposal,
            creator: try channel.configuration.directory.identity(from: proposal.signatureHeader.creator),
            channel: channel,
            recording: true
        )
    }
}
