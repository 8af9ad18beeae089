import Channel
import FabricProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import Synchronization
import Testing

@testable import Peer

/// Whom the gateway asks, and whom next when somebody fails.
@Suite struct EndorsementCollectorTests {
    /// Notes who is asked; answers as the test says.
    private final class Peers: Sendable {
        enum Answer { case endorse, fail, refuse, twin(of: String) }

        private let answers: [String: Answer]
        private let log = Mutex<[String]>([])

        init(_ answers: [String: Answer] = [:]) { self.answers = answers }

        var asked: [String] { self.log.withLock { $0 } }

        func peer(_ candidate: EndorserCandidate) -> EndorsingPeer {
            EndorsingPeer(
                mspID: candidate.mspID,
                address: candidate.endpoint,
                isLocal: candidate.isSelf,
                processor: Processor(peers: self, endpoint: candidate.endpoint)
            )
        }

        private struct Processor: ProposalProcessor {
            let peers: Peers
            let endpoint: String

            func process(_ proposal: UnpackedProposal) async throws -> Protos_ProposalResponse {
                self.peers.log.withLock { $0.append(self.endpoint) }
                let answer = self.peers.answers[self.endpoint] ?? .endorse
                var response = Protos_ProposalResponse()
                response.response.status = 200
                response.payload = Data("result".utf8)
                response.endorsement.endorser = Data(self.endpoint.utf8)
                switch answer {
                case .endorse: break
                case .fail: throw RPCError(code: .unavailable, message: "gone")
                case .refuse:
                    response.response.status = 500
                    response.response.message = "no"
                case .twin(let other): response.endorsement.endorser = Data(other.utf8)
                }
                return response
            }
        }
    }

    private struct Fixture {
        let configuration: ChannelConfiguration
        let definitions: [String: ChaincodeDefinition]
        let proposal: UnpackedProposal

        init(_ policy: String) async throws {
            self.configuration = try await VectorNetwork.sideChannel(in: VectorNetwork.registry())
                .configuration
            self.definitions = ["kv": try ScriptedDefinitions.definition(policy)]
            let vector = try #require(try EndorsementVector.all().first { $0.id == "001-get-existing" })
            self.proposal = try UnpackedProposal(vector.proposal)
        }

        func selection(_ members: [ChannelMember]) throws -> EndorserSelection {
            let roster = EndorserRoster(
                ownMSPID: try MSPID("AlphaMSP"),
                ownEndpoint: "alpha.example:7051",
                members: ScriptedMembers(channel: members)
            )
            let interest = Protos_ChaincodeInterest.with { $0.chaincodes = [.with { $0.name = "kv" }] }
            return try EndorserSelection(
                EndorsementCriteria(of: interest, under: self.configuration) { self.definitions[$0] },
                among: roster.candidates(on: self.configuration).filter { $0.member != nil },
                under: self.configuration,
                requirements: EndorsementRequirements()
            )
        }

        func collector(_ peers: Peers) -> EndorsementCollector {
            EndorsementCollector(proposal: self.proposal, timeout: .seconds(60), peer: peers.peer)
        }
    }

    private static func endorsers(_ responses: [Protos_ProposalResponse]) -> [String] {
        responses.map { String(decoding: $0.endorsement.endorser, as: UTF8.self) }.sorted()
    }

    private static func peer(_ organization: String, _ number: Int, _ height: UInt64) throws -> ChannelMember
    {
        try ScriptedMembers.member(
            organization,
            height: height,
            isSelf: organization == "alpha" && number == 0,
            endpoint: number == 0 ? "\(organization).example:7051" : "\(organization)\(number).example:7051"
        )
    }

    @Test func theOwnOrganizationComesFirstThenTheHighestLedgers() async throws {
        let fixture = try await Fixture("OutOf(2, 'AlphaMSP.peer', 'AlphaMSP.peer', 'BravoMSP.peer')")
        let members = try [
            Self.peer("bravo", 1, 90), Self.peer("bravo", 2, 100), Self.peer("alpha", 1, 10),
            Self.peer("alpha", 0, 50), Self.peer("alpha", 2, 20),
        ]
        let peers = Peers()
        let responses = try await fixture.collector(peers).collect(from: fixture.selection(members))
        #expect(Self.endorsers(responses) == ["alpha.example:7051", "alpha2.example:7051"])
        let other = try await Fixture("AND('AlphaMSP.peer', 'BravoMSP.peer')")
        let both = try await other.collector(peers).collect(from: other.selection(members))
        #expect(Self.endorsers(both) == ["alpha.example:7051", "bravo2.example:7051"])
    }

    @Test func aPeerThatFailsIsReplacedByAnotherThenByAnotherOrganization() async throws {
        let fixture = try await Fixture("OutOf(2, 'AlphaMSP.peer', 'BravoMSP.peer', 'AlphaMSP.peer')")
        let members = try [
            Self.peer("alpha", 0, 5), Self.peer("alpha", 1, 4), Self.peer("alpha", 2, 3),
            Self.peer("bravo", 1, 9),
        ]
        let peers = Peers(["alpha1.example:7051": .fail, "alpha2.example:7051": .refuse])
        let responses = try await fixture.collector(peers).collect(from: fixture.selection(members))
        #expect(Self.endorsers(responses) == ["alpha.example:7051", "bravo1.example:7051"])
        #expect(peers.asked.count == 4)
        // An endorsement at hand is not asked for again.
        let selection = try fixture.selection(members)
        let own = try #require(selection.candidates.firstIndex { $0.isSelf })
        let again = Peers()
        var first = Protos_ProposalResponse()
        first.payload = Data("result".utf8)
        first.endorsement.endorser = Data("alpha.example:7051".utf8)
        _ = try await fixture.collector(again).collect(from: selection, first: (own, first))
        #expect(again.asked == ["alpha1.example:7051"])
    }

    @Test func whoAnsweredWhatIsSaidWhenNoLayoutIsLeft() async throws {
        let fixture = try await Fixture("AND('AlphaMSP.peer', 'BravoMSP.peer')")
        let members = try [Self.peer("alpha", 0, 5), Self.peer("bravo", 1, 9), Self.peer("bravo", 2, 9)]
        let peers = Peers(["bravo1.example:7051": .fail, "bravo2.example:7051": .refuse])
        let failure = await #expect(throws: GatewayFailure.self) {
            try await fixture.collector(peers).collect(from: fixture.selection(members))
        }
        #expect(failure?.code == .aborted)
        #expect(failure?.message.contains("failed to collect enough transaction endorsements") == true)
        #expect(
            failure?.description.contains("BravoMSP at bravo2.example:7051: chaincode response 500, no")
                == true
        )
        #expect(failure?.description.contains("gone") == true)
        #expect(failure?.description.contains("0 of 2 known can endorse") == true)
        #expect(peers.asked.count == 3)
    }

    @Test func onePeerUnderTwoAddressesEndorsesOnce() async throws {
        let fixture = try await Fixture("AND('AlphaMSP.peer', 'AlphaMSP.peer')")
        let members = try [Self.peer("alpha", 0, 5), Self.peer("alpha", 1, 4), Self.peer("alpha", 2, 3)]
        let peers = Peers(["alpha1.example:7051": .twin(of: "alpha.example:7051")])
        let responses = try await fixture.collector(peers).collect(from: fixture.selection(members))
        #expect(Self.endorsers(responses) == ["alpha.example:7051", "alpha2.example:7051"])
    }

    @Test func anchorPeersStandInForOrganizationsThatWereNotMet() async throws {
        let fixture = try await Fixture("AND('AlphaMSP.peer', 'BravoMSP.peer')")
        let roster = { (members: [ChannelMember]) in
            EndorserRoster(
                ownMSPID: try MSPID("AlphaMSP"),
                ownEndpoint: "alpha.example:7051",
                members: ScriptedMembers(channel: members)
            ).candidates(on: fixture.configuration)
        }
        let anchors = (fixture.configuration.application?.organizations ?? []).flatMap { organization in
            organization.anchorPeers.map { (organization.mspID.description, "\($0.host):\($0.port)") }
        }
        let alone = try roster([])
        #expect(alone.first?.isSelf == true && alone.first?.endpoint == "alpha.example:7051")
        #expect(Set(alone.dropFirst().map(\.endpoint)) == Set(anchors.map(\.1)))
        let met = try roster([Self.peer("alpha", 0, 5), Self.peer("bravo", 1, 9)])
        let expected = anchors.filter { $0.0 != "BravoMSP" }.map(\.1) + ["bravo1.example:7051"]
        #expect(Set(met.dropFirst().map(\.endpoint)) == Set(expected))
    }
}
