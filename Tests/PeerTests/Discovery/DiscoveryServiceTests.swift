import Channel
import FabricProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import Testing

@testable import Peer

@Suite struct DiscoveryServiceTests {
    /// A peer of Alpha on the channel of Alpha, Bravo and others, with contract `kv`.
    private struct Fixture {
        let service: DiscoveryService
        let channel: PeerChannel

        init(
            members: [ChannelMember]? = nil,
            membersMayAskLocally: Bool = false
        ) async throws {
            let registry = VectorNetwork.registry()
            let channel = try await VectorNetwork.sideChannel(in: registry)
            let msp = try #require(channel.configuration.directory[MSPID("AlphaMSP")])
            let definitions = ScriptedDefinitions(definitions: [
                "kv": try ScriptedDefinitions.definition(
                    "AND('AlphaMSP.peer', 'BravoMSP.peer')",
                    collections: [
                        "secret": ("OR('AlphaMSP.member')", "OR('AlphaMSP.peer')"),
                        "shared": ("OR('AlphaMSP.member', 'BravoMSP.member')", nil),
                    ]
                ),
                "either": try ScriptedDefinitions.definition("OR('AlphaMSP.peer', 'BravoMSP.peer')"),
            ])
            let both = ["kv": 1, "either": 1]
            let own = try ScriptedMembers.member("alpha", height: 7, chaincodes: both, isSelf: true)
            let local = LocalMember(
                mspID: own.mspID,
                identity: own.identity,
                endpoint: own.endpoint,
                alive: own.alive,
                isSelf: true
            )
            self.channel = channel
            self.service = DiscoveryService(
                DiscoveryService.Surroundings(
                    channels: registry,
                    access: AccessGate(
                        localMSP: msp,
                        configuration: { registry[$0]?.configuration },
                        record: { _ in }
                    ),
                    members: ScriptedMembers(
                        channel: try members ?? [
                            own, ScriptedMembers.member("bravo", height: 9, chaincodes: both),
                        ],
                        local: [local]
                    ),
                    definition: { name, _ in definitions.definitions[name] },
                    readers: BlockingExecutor(name: "discovery", threads: 1),
                    membersMayAskLocally: membersMayAskLocally,
                    logger: VectorNetwork.logger
                )
            )
        }

        func ask(
            _ queries: [Discovery_Query],
            as signer: SigningIdentity? = nil
        ) async throws -> [Discovery_QueryResult] {
            let signer = try signer ?? VectorNetwork.user("bravo")
            let payload = try Discovery_Request.with {
                $0.authentication.clientIdentity = signer.serialized
                $0.queries = queries
            }.serializedData()
            let signed = try Discovery_SignedRequest.with {
                $0.payload = payload
                $0.signature = try signer.sign(payload)
            }
            return try await self.service.respond(to: signed).results
        }

        func query(_ fill: (inout Discovery_Query) -> Void) -> Discovery_Query {
            var query = Discovery_Query()
            query.channel = self.channel.id.description
            fill(&query)
            return query
        }

        func endorsers(_ calls: [Protos_ChaincodeCall]) async throws -> Discovery_QueryResult {
            let query = self.query { $0.ccQuery.interests = [.with { $0.chaincodes = calls }] }
            return try #require(try await self.ask([query]).first)
        }
    }

    private static func call(_ name: String, _ collections: [String] = [], noReads: Bool = false)
        -> Protos_ChaincodeCall
    {
        .with {
            $0.name = name
            $0.collectionNames = collections
            $0.noPrivateReads = noReads
        }
    }

    // MARK: Answers

    @Test func peersAreListedByOrganizationWithWhatTheyTold() async throws {
        let fixture = try await Fixture()
        let results = try await fixture.ask([fixture.query { $0.peerQuery = .init() }])
        let peers = results.first?.members.peersByOrg ?? [:]
        #expect(peers["AlphaMSP"]?.peers.count == 1 && peers["BravoMSP"]?.peers.count == 1)
        let organizations =
            fixture.channel.configuration.application?.organizations.map(\.mspID.description) ?? []
        #expect(Set(peers.keys) == Set(organizations), "also those without peers")
        let bravo = try #require(peers["BravoMSP"]?.peers.first)
        let told = try Gossip_GossipMessage(serializedBytes: bravo.stateInfo.payload)
        let alive = try Gossip_GossipMessage(serializedBytes: bravo.membershipInfo.payload)
        #expect(told.stateInfo.properties.ledgerHeight == 9)
        #expect(alive.aliveMsg.membership.endpoint == "bravo.example:7051")
        #expect(bravo.identity == (try VectorNetwork.peer("bravo").serialized))
    }

    @Test func aFilterLeavesOutPeersWithoutTheContractOrTheCollection() async throws {
        let fixture = try await Fixture(members: [
            ScriptedMembers.member("alpha", chaincodes: ["kv": 1], isSelf: true),
            ScriptedMembers.member("bravo", chaincodes: ["either": 1]),
        ])
        for (call, expected) in [
            (Self.call("kv"), ["AlphaMSP"]), (Self.call("either"), ["BravoMSP"]),
            (Self.call("kv", ["secret"]), ["AlphaMSP"]),
        ] {
            let results = try await fixture.ask([
                fixture.query { $0.peerQuery.filter.chaincodes = [call] }
            ])
            let listed = results.first?.members.peersByOrg.filter { !$0.value.peers.isEmpty }.keys.sorted()
            #expect(listed == expected)
        }
    }

    @Test func theConfigurationHoldsTheOrganizationsAndTheOrderersEndpoints() async throws {
        let fixture = try await Fixture()
        let result = try #require(try await fixture.ask([fixture.query { $0.configQuery = .init() }]).first)
            .configResult
        #expect(
            Set(result.msps.keys) == Set(fixture.channel.configuration.directory.mspIDs.map(\.description))
        )
        #expect(result.msps.allSatisfy { !$0.value.rootCerts.isEmpty && $0.value.name == $0.key })
        #expect(!result.orderers.isEmpty)
        #expect(result.orderers.values.contains { $0.endpoint.contains { !$0.host.isEmpty && $0.port > 0 } })
    }

    @Test func endorsersAreGroupedByWhatThePolicyAsksFor() async throws {
        let fixture = try await Fixture()
        let both = try await fixture.endorsers([Self.call("kv")]).ccQueryRes.content
        #expect(both.first?.chaincode == "kv")
        #expect(both.first?.layouts.map(\.quantitiesByGroup) == [["G0": 1, "G1": 1]])
        #expect(both.first?.endorsersByGroups.mapValues(\.peers.count) == ["G0": 1, "G1": 1])
        let either = try await fixture.endorsers([Self.call("either")]).ccQueryRes.content
        #expect(Set(either.first?.layouts.map(\.quantitiesByGroup) ?? []) == [["G0": 1], ["G1": 1]])
        // One contract calls another: both policies at once.
        let chain = try await fixture.endorsers([Self.call("either"), Self.call("kv")]).ccQueryRes.content
        #expect(chain.first?.chaincode == "either")
        #expect(chain.first?.layouts.map(\.quantitiesByGroup) == [["G0": 1, "G1": 1]])
    }

    @Test func aCollectionsPolicyReplacesTheContractsAndItsMembersAloneReadIt() async throws {
        let fixture = try await Fixture()
        let secret = try await fixture.endorsers([Self.call("kv", ["secret"])]).ccQueryRes.content.first
        #expect(secret?.layouts.map(\.quantitiesByGroup) == [["G0": 1]])
        let shared = try await fixture.endorsers([Self.call("kv", ["shared"])]).ccQueryRes.content.first
        #expect(shared?.layouts.map(\.quantitiesByGroup) == [["G0": 1, "G1": 1]])
        // Its members alone may read it, so nobody of Bravo can endorse.
        let mixed = [Self.call("either"), Self.call("kv", ["secret"])]
        let closed = try await fixture.endorsers(mixed).ccQueryRes.content.first
        #expect(closed?.layouts.map(\.quantitiesByGroup) == [["G0": 1]])
        let unreadable = try await fixture.endorsers([Self.call("kv"), Self.call("kv", ["secret"])])
        #expect(unreadable.error.content.contains("it is no member of collection secret of chaincode kv"))
        let written = try await fixture.endorsers([
            Self.call("kv"), Self.call("kv", ["secret"], noReads: true),
        ])
        #expect(written.ccQueryRes.content.first?.layouts.map(\.quantitiesByGroup) == [["G0": 1, "G1": 1]])
    }

    @Test func whyThereIsNoLayoutIsSaid() async throws {
        let fixture = try await Fixture(members: [
            ScriptedMembers.member("alpha", isSelf: true),
            ScriptedMembers.member("bravo", chaincodes: ["kv": 2]),
        ])
        let result = try await fixture.endorsers([Self.call("kv")])
        #expect(
            result.error.content == """
                failed constructing descriptor for chaincodes:{name:"kv"}: no peer combination can satisfy the \
                endorsement policy: a peer of 'BravoMSP.peer' needed, 0 of 1 known can endorse \
                (bravo.example:7051: it has chaincode kv at sequence 2, not 1)
                """
        )
        let unknown = try await fixture.endorsers([Self.call("nothing")]).error.content
        #expect(unknown.contains("chaincode nothing is not defined on channel"))
        let unnamed = try await fixture.endorsers([Self.call("kv", ["nothing"])]).error.content
        #expect(unnamed.contains("collection nothing is not defined for chaincode kv"))
    }

    // MARK: Who may ask

    @Test func strangersAndUnknownChannelsAreDeniedQueryByQuery() async throws {
        let fixture = try await Fixture()
        let known = fixture.query { $0.peerQuery = .init() }
        var unknown = known
        unknown.channel = "nowhere"
        let results = try await fixture.ask([unknown, known, unknown])
        #expect(results.map { $0.error.content } == ["access denied", "", "access denied"])
        let stranger = try await fixture.ask([known], as: VectorNetwork.orderer())
        #expect(stranger.map { $0.error.content } == ["access denied"])
        let forged = try Discovery_SignedRequest.with {
            $0.payload = try Discovery_Request.with {
                $0.authentication.clientIdentity = try VectorNetwork.user("bravo").serialized
                $0.queries = [known]
            }.serializedData()
            $0.signature = Data("forged".utf8)
        }
        let answer = try await fixture.service.respond(to: forged)
        #expect(answer.results.map { $0.error.content } == ["access denied"])
    }

    @Test func localPeersAreForAdministratorsUnlessMembersMayAsk() async throws {
        let query = Discovery_Query.with { $0.localPeers = .init() }
        let fixture = try await Fixture()
        let admin = try await fixture.ask([query], as: VectorNetwork.user("alpha", "Admin"))
        #expect(admin.first?.members.peersByOrg["AlphaMSP"]?.peers.count == 1)
        #expect(admin.first?.members.peersByOrg["AlphaMSP"]?.peers.first?.hasStateInfo == false)
        let user = try await fixture.ask([query], as: VectorNetwork.user("alpha"))
        #expect(user.first?.error.content == "access denied")
        let open = try await Fixture(membersMayAskLocally: true)
        #expect(
            try await open.ask([query], as: VectorNetwork.user("alpha")).first?.members.peersByOrg.count == 1
        )
        let other = try await open.ask([query], as: VectorNetwork.user("bravo"))
        #expect(other.first?.error.content == "access denied")
    }

    @Test func queriesThatDoNotFitTheirChannelAreUnknown() async throws {
        let fixture = try await Fixture(membersMayAskLocally: true)
        let wrong = [
            fixture.query { $0.localPeers = .init() }, fixture.query { _ in },
            Discovery_Query.with { $0.peerQuery = .init() }, Discovery_Query(),
        ]
        let results = try await fixture.ask(wrong, as: VectorNetwork.user("alpha"))
        #expect(
            results.map { $0.error.content } == Array(repeating: "unknown or missing request type", count: 4)
        )
    }

    // MARK: Bad input

    @Test func requestsThatAreNoneAreRefusedAsAWhole() async throws {
        let fixture = try await Fixture()
        let identity = try VectorNetwork.user("bravo").serialized
        let bad: [(Data, String)] = [
            (Data("garbage".utf8), "failed parsing request"),
            (Data(), "no authentication info"),
            (
                try Discovery_Request.with { $0.authentication = .init() }.serializedData(),
                "client identity wasn't supplied"
            ),
            (Data(repeating: 0, count: DiscoveryLimits().requestBytes + 1), "bytes; at most"),
            (
                try Discovery_Request.with {
                    $0.authentication.clientIdentity = identity
                    $0.queries = Array(repeating: Discovery_Query(), count: DiscoveryLimits().queries + 1)
                }.serializedData(), "51 queries; at most 50"
            ),
            (
                try Discovery_Request.with {
                    $0.authentication.clientIdentity = identity
                    $0.queries = [
                        .with {
                            $0.ccQuery.interests = Array(
                                repeating: .init(),
                                count: DiscoveryLimits().interests + 1
                            )
                        }
                    ]
                }.serializedData(), "51 interests; at most 50"
            ),
        ]
        for (payload, reason) in bad {
            let signed = Discovery_SignedRequest.with { $0.payload = payload }
            let error = await #expect(throws: RPCError.self) {
                try await fixture.service.respond(to: signed)
            }
            #expect(error?.code == .unknown)
            #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
        }
    }

    @Test func enormousAndEmptyInterestsAreRefusedOneByOne() async throws {
        let fixture = try await Fixture()
        let limits = DiscoveryLimits()
        let many = Array(repeating: Self.call("kv"), count: limits.chaincodes + 1)
        #expect(try await fixture.endorsers(many).error.content.contains("51 chaincodes; at most 50"))
        let collections = Self.call("kv", Array(repeating: "shared", count: limits.collections + 1))
        #expect(try await fixture.endorsers([collections]).error.content.contains("201 collections"))
        let keys = Protos_ChaincodeCall.with {
            $0.name = "kv"
            $0.keyPolicies = Array(repeating: .init(), count: limits.keyPolicies + 1)
        }
        #expect(try await fixture.endorsers([keys]).error.content.contains("501 policies of keys"))
        #expect(try await fixture.endorsers([]).error.content.contains("at least one chaincode"))
        #expect(try await fixture.endorsers([Self.call("")]).error.content.contains("cannot be empty"))
        let none = try await fixture.ask([fixture.query { $0.ccQuery = .init() }])
        #expect(none.first?.error.content.contains("at least one chaincode interest") == true)
        let nothing = Protos_ChaincodeCall.with {
            $0.name = "kv"
            $0.disregardNamespacePolicy = true
        }
        #expect(
            try await fixture.endorsers([nothing]).error.content.contains(
                "key and collection policies are missing"
            )
        )
    }

    @Test func policiesOfKeysAreAskedBesideOrInPlaceOfTheContracts() async throws {
        let fixture = try await Fixture()
        let key = try PolicyExpression.parse("OR('BravoMSP.peer')")
        for (disregards, quantities) in [(true, ["G0": UInt32(1)]), (false, ["G0": 1, "G1": 1])] {
            let call = Protos_ChaincodeCall.with {
                $0.name = "kv"
                $0.keyPolicies = [key]
                $0.disregardNamespacePolicy = disregards
            }
            let content = try await fixture.endorsers([call]).ccQueryRes.content
            #expect(content.first?.layouts.map(\.quantitiesByGroup) == [quantities])
        }
    }
}
