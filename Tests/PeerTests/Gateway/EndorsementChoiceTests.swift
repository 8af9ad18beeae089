import Channel
import FabricProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import Testing

@testable import Peer

/// Whom the gateway may choose for a proposal, and what it says when nobody will do.
@Suite struct EndorsementChoiceTests {
    private static let far: UInt64 = 1_000

    /// A choice for a recorded proposal of `scriptcc`, on a channel where Alpha and Bravo have a peer each.
    private static func choice(_ vector: String, bravoHas chaincodes: [String: Int], height: UInt64)
        async throws
        -> EndorsementChoice
    {
        let channel = try await VectorNetwork.sideChannel(in: VectorNetwork.registry())
        let recorded = try #require(try EndorsementVector.all().first { $0.id == vector })
        let definition = try ScriptedDefinitions.definition(
            "AND('AlphaMSP.peer', 'BravoMSP.peer')",
            collections: ["secret": ("OR('AlphaMSP.member')", nil)]
        )
        let roster = EndorserRoster(
            ownMSPID: try MSPID("AlphaMSP"),
            ownEndpoint: "alpha.example:7051",
            members: ScriptedMembers(channel: [
                try ScriptedMembers.member(
                    "alpha",
                    height: height,
                    chaincodes: ["scriptcc": 1],
                    isSelf: true
                ),
                try ScriptedMembers.member("bravo", height: height, chaincodes: chaincodes),
            ])
        )
        return EndorsementChoice(
            proposal: try UnpackedProposal(recorded.proposal),
            channel: channel,
            configuration: channel.configuration,
            candidates: roster.candidates(on: channel.configuration).filter { $0.member != nil },
            ownMSPID: try MSPID("AlphaMSP"),
            definition: { name, _ in name == "scriptcc" ? definition : nil },
            requirements: EndorsementRequirements()
        )
    }

    private static let plain = "001-get-existing"
    private static let transient = "060-private-transient"

    /// A call that writes to a collection of Alpha's, and reads nothing of it.
    private static let write = Protos_ChaincodeInterest.with {
        $0.chaincodes = [
            .with {
                $0.name = "scriptcc"
                $0.collectionNames = ["secret"]
                $0.noPrivateReads = true
            }
        ]
    }

    @Test func transientDataGoesToMembersOfTheCollectionOnlyUnlessTheClientNamesOthers() async throws {
        let open = try await Self.choice(Self.plain, bravoHas: ["scriptcc": 1], height: Self.far)
        #expect(try open.selection(for: Self.write).endorsers()?.count == 2)
        let guarded = try await Self.choice(Self.transient, bravoHas: ["scriptcc": 1], height: Self.far)
        let failure = #expect(throws: GatewayFailure.self) { try guarded.selection(for: Self.write) }
        #expect(failure?.code == .failedPrecondition)
        #expect(failure?.message.contains("name the endorsing organizations in the request") == true)
        #expect(failure?.message.contains("it is no member of collection secret") == true)
        let named = try guarded.selection(ofOrganizations: ["AlphaMSP", "BravoMSP"])
        #expect(named.endorsers()?.count == 2)
    }

    @Test func aPeerThatHasNotHeardOfAnOldDefinitionIsLeftOutWithTheReason() async throws {
        let choice = try await Self.choice(Self.plain, bravoHas: ["other": 1], height: Self.far)
        let failure = #expect(throws: GatewayFailure.self) { try choice.selection(for: choice.plainInterest) }
        #expect(failure?.code == .failedPrecondition)
        #expect(failure?.message.hasPrefix("no combination of peers can be derived") == true)
        #expect(
            failure?.message.contains("bravo.example:7051: chaincode scriptcc is not installed there") == true
        )
        let holders = choice.holders(of: try choice.criteria(for: choice.plainInterest))
        #expect(holders.best() == [0] && holders.possible.isEmpty)
    }

    @Test func aPeerThatMayJustHaveHeardOfADefinitionIsAsked() async throws {
        let choice = try await Self.choice(Self.plain, bravoHas: [:], height: 3)
        #expect(try choice.selection(for: choice.plainInterest).endorsers()?.count == 2)
        let holders = choice.holders(of: try choice.criteria(for: choice.plainInterest))
        #expect(holders.certain == [0] && holders.possible == [1])
        #expect(try choice.selection(ofOrganizations: ["BravoMSP"]).endorsers() == [1])
    }

    @Test func organizationsThatAreNamedNeedAPeerEach() async throws {
        let choice = try await Self.choice(Self.plain, bravoHas: ["scriptcc": 2], height: Self.far)
        #expect(choice.namedOrganizations([]) == nil)
        #expect(try choice.selection(ofOrganizations: ["AlphaMSP"]).endorsers() == [0])
        for (name, reason) in [
            ("BravoMSP", "BravoMSP (bravo.example:7051: it has chaincode scriptcc at sequence 2, not 1)"),
            ("NobodyMSP", "NobodyMSP"),
        ] {
            let failure = #expect(throws: GatewayFailure.self) {
                try choice.selection(ofOrganizations: ["AlphaMSP", name])
            }
            #expect(failure?.code == .unavailable)
            #expect(failure?.message == "failed to find any endorsing peers for org(s): \(reason)")
        }
    }

    @Test func whatIsNotDefinedIsRefusedBeforeAnybodyIsAsked() async throws {
        let choice = try await Self.choice(Self.plain, bravoHas: [:], height: 1)
        let unknown = Protos_ChaincodeInterest.with { $0.chaincodes = [.with { $0.name = "nothing" }] }
        let failure = #expect(throws: GatewayFailure.self) { try choice.criteria(for: unknown) }
        #expect(failure?.code == .failedPrecondition)
        #expect(failure?.message.contains("chaincode nothing is not defined on channel") == true)
    }
}
