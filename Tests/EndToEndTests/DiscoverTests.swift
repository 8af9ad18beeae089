import Foundation
import Testing

/// `discover` against peers of Weft: real processes, mutual TLS.
@Suite(.serialized) struct DiscoverTests {
    private struct Peer: Decodable {
        var MSPID: String
        var Endpoint: String
        var Identity: String
        var LedgerHeight: Int?
        var Chaincodes: [String]?
    }

    private struct Descriptor: Decodable {
        struct Layout: Decodable { var quantities_by_group: [String: Int] }
        var Chaincode: String
        var EndorsersByGroups: [String: [Peer]]
        var Layouts: [Layout]
    }

    private struct Configuration: Decodable {
        struct MSP: Decodable { var name: String, root_certs: [String], tls_root_certs: [String] }
        struct Endpoints: Decodable {
            struct Endpoint: Decodable { var host: String, port: Int }
            var endpoint: [Endpoint]
        }
        var msps: [String: MSP]
        var orderers: [String: Endpoints]
    }

    /// Asks until the answer is as wanted, for at most a minute.
    private static func eventually(
        _ network: FabricToolNetwork,
        _ words: [String],
        until isWanted: (WeftProcess.Result) -> Bool
    ) async throws -> WeftProcess.Result {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let result = try await network.discover(words)
            if isWanted(result) || ContinuousClock.now > deadline { return result }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func peersTellOfEachOtherAndOfWhoEndorsesWhat() async throws {
        try await WeftProcess.withNetwork { folder in
            let network = try await FabricToolNetwork.up(folder)
            let user = folder + "/user.yaml"
            let saved = try await network.discover(
                network.discoverFlags(of: "utility", "user") + ["--configFile", user, "saveConfig"]
            )
            #expect(saved.code == 0, "\(saved.errors)")
            #expect(
                try String(contentsOfFile: user, encoding: .utf8).contains("\n    mspid: UtilityMSP\n")
            )
            let place = [
                "--configFile", user, "--server", network.endpoint("utility"), "--channel", "emissions",
            ]

            let peers = try await Self.eventually(network, ["peers"] + place) {
                $0.output.components(separatedBy: "\"MSPID\"").count == 4
            }
            let listed = try JSONDecoder().decode([Peer].self, from: Data(peers.output.utf8))
            #expect(listed.map(\.MSPID) == ["AgencyMSP", "AuditorMSP", "UtilityMSP"], "\(peers.errors)")
            #expect(listed.allSatisfy { $0.Identity.hasPrefix("-----BEGIN CERTIFICATE-----\n") })
            #expect(Set(listed.map(\.Endpoint)) == Set(network.organizations.map(network.endpoint)))

            let endorsers = try await Self.eventually(
                network,
                place + ["endorsers", "--chaincode", "kv"]
            ) { $0.output.components(separatedBy: "quantities_by_group").count == 4 }
            let descriptors = try JSONDecoder().decode([Descriptor].self, from: Data(endorsers.output.utf8))
            let descriptor = try #require(descriptors.first, "\(endorsers.errors)")
            #expect(descriptor.Chaincode == "kv" && descriptor.EndorsersByGroups.count == 3)
            #expect(
                descriptor.EndorsersByGroups.values.allSatisfy {
                    $0.count == 1 && ($0[0].LedgerHeight ?? 0) >= 5
                }
            )
            #expect(descriptor.Layouts.allSatisfy { $0.quantities_by_group.values.sorted() == [1, 1] })

            let config = try await network.discover(["config"] + place)
            let configuration = try JSONDecoder().decode(Configuration.self, from: Data(config.output.utf8))
            #expect(Set(configuration.msps.keys) == ["AgencyMSP", "AuditorMSP", "OrdererMSP", "UtilityMSP"])
            let orderer = configuration.orderers["OrdererMSP"]?.endpoint.map { "\($0.host):\($0.port)" }
            #expect(orderer == [network.endpoint("orderer")])
            try await self.refusals(network, place)
        }
    }

    private func refusals(_ network: FabricToolNetwork, _ place: [String]) async throws {
        let server = ["--server", network.endpoint("utility")]
        let admin = try await network.discover(
            ["peers"] + network.discoverFlags(of: "utility", "admin") + server
        )
        let local = try JSONDecoder().decode([Peer].self, from: Data(admin.output.utf8))
        #expect(local.contains { $0.MSPID == "UtilityMSP" && $0.LedgerHeight == nil })
        for (words, complaint) in [
            (["peers"] + network.discoverFlags(of: "utility", "user") + server, "access denied"),
            (["config"] + place.dropLast() + ["nowhere"], "access denied"),
            (
                ["endorsers", "--chaincode", "nothing"] + place,
                "chaincode nothing is not defined on channel emissions"
            ),
            (["endorsers"] + place, "invocation chain should not be empty"),
            (
                ["endorsers", "--chaincode", "kv", "--collection", "other:c"] + place,
                "wasn't specified with a chaincode flag"
            ),
            (
                ["endorsers", "--chaincode", "kv", "--collection", "kv"] + place,
                "expected KEY=VALUE got 'kv'"
            ),
            (["peers"] + place.dropFirst(2), "no such file or directory"),
            (["peers"] + place.prefix(2), "no server specified"),
            (["config"] + place.prefix(4), "no channel specified"),
            (["nothing"], "discover: error: "),
        ] {
            let result = try await network.discover(words)
            #expect(result.code == 1 && result.output.isEmpty, "\(words)")
            #expect(result.errors.contains(complaint), "\(words): \(result.errors)")
        }
    }
}
