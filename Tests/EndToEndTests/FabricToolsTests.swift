import Foundation
import Glibc
import Testing

/// Weft under the names of Fabric's programs, against nodes of Weft: real processes, mutual TLS, no file edited.
@Suite(.serialized) struct FabricToolsTests {
    @Test func aContractIsDefinedAndRunWithThePeerCommand() async throws {
        try await WeftProcess.withNetwork { folder in
            let network = try await FabricToolNetwork.up(folder)
            let admin = network.environment(of: "utility", "admin")

            let list = try await network.peer(["channel", "list"], admin)
            #expect(list.output == "Channels peers has joined: \nemissions\n")
            let before = try await network.height(admin)
            #expect(before == 5, "the genesis block, three approvals and one commit")

            // Approved by all: by one after the other, by default waiting for the commit at the asked peer.
            let definition = ["-C", "emissions", "-n", "kv", "-v", "2.0", "--sequence", "2"]
            for organization in network.organizations {
                let approval = try await network.peer(
                    ["lifecycle", "chaincode", "approveformyorg"] + definition + network.ordererFlags,
                    network.environment(of: organization, "admin")
                )
                #expect(approval.code == 0, "\(approval.errors)")
                #expect(approval.errors.contains("committed with status (VALID)"))
                #expect(approval.output.isEmpty)
            }
            try await network.level()
            let again = try await network.peer(
                ["lifecycle", "chaincode", "approveformyorg"] + definition + network.ordererFlags,
                admin
            )
            #expect(again.code == 1)
            #expect(again.errors.contains("with unchanged content"))
            let readiness = try await network.peer(
                ["lifecycle", "chaincode", "checkcommitreadiness", "-O", "json"] + definition,
                admin
            )
            #expect(readiness.output.contains("\t\t\"AgencyMSP\": true"))
            let commit = try await network.peer(
                ["lifecycle", "chaincode", "commit"] + definition + network.ordererFlags + network.peerFlags,
                admin
            )
            #expect(commit.code == 0, "\(commit.errors)")
            let committed = try await network.peer(
                ["lifecycle", "chaincode", "querycommitted", "-C", "emissions", "-n", "kv"],
                admin
            )
            #expect(
                committed.output == """
                    Committed chaincode definition for chaincode 'kv' on channel 'emissions':
                    Version: 2.0, Sequence: 2, Endorsement Plugin: escc, Validation Plugin: vscc, \
                    Approvals: [AgencyMSP: true, AuditorMSP: true, UtilityMSP: true]

                    """
            )
            let approved = try await network.peer(
                ["lifecycle", "chaincode", "queryapproved", "-C", "emissions", "-n", "kv"],
                admin
            )
            #expect(
                approved.output.contains("sequence: 2, version: 2.0, init-required: false, package-id: ,")
            )

            try await self.run(network)
            try await self.blocks(network, folder)
        }
    }

    /// Runs the contract.
    private func run(_ network: FabricToolNetwork) async throws {
        let user = network.environment(of: "agency", "user")
        let call = ["chaincode", "invoke", "-C", "emissions", "-n", "kv"]
        let put = try await network.peer(
            call + ["-c", #"{"Args":["put","greeting","hello"]}"#, "--waitForEvent"] + network.ordererFlags
                + network.peerFlags,
            user
        )
        #expect(put.code == 0, "\(put.errors)")
        #expect(put.errors.contains("Chaincode invoke successful. result: status:200"))
        #expect(
            put.errors.components(separatedBy: "committed with status (VALID)").count == 4,
            "at three peers"
        )
        // The orderer's address comes from the channel's configuration, which the first peer gives to its own members.
        let without = try await network.peer(
            call + ["-c", #"{"function":"put","Args":["greeting","again"]}"#, "--waitForEvent"]
                + network.ordererFlags.dropFirst(2) + network.peerFlags,
            network.environment(of: "utility", "user")
        )
        #expect(without.code == 0, "\(without.errors)")
        let get = [
            "chaincode", "query", "-C", "emissions", "-n", "kv", "-c", #"{"Args":["get","greeting"]}"#,
        ]
        #expect(try await network.peer(get, user).output == "again\n")
        #expect(try await network.peer(get + ["-x"], user).output == "616761696e\n")

        let alone = try await network.peer(
            call + ["-c", #"{"Args":["put","greeting","alone"]}"#, "--waitForEvent"] + network.ordererFlags,
            user
        )
        #expect(alone.code == 1)
        #expect(
            alone.errors.contains("Error: transaction invalidated with status (ENDORSEMENT_POLICY_FAILURE)")
        )
        let wrong = try await network.peer(
            call + ["-c", #"{"Args":["nothing"]}"#] + network.ordererFlags + network.peerFlags,
            user
        )
        #expect(wrong.code == 1)
        #expect(wrong.errors.contains("Error: endorsement failure during invoke. response: status:500"))
        #expect(wrong.output.isEmpty)
    }

    /// Fetches blocks from the orderer and from the peer.
    private func blocks(_ network: FabricToolNetwork, _ folder: String) async throws {
        let admin = network.environment(of: "utility", "admin")
        for what in ["0", "oldest", "config"] {
            let file = folder + "/fetched-\(what)"
            let fetched = try await network.peer(
                ["channel", "fetch", what, file, "-c", "emissions"] + network.ordererFlags,
                admin
            )
            #expect(fetched.code == 0, "\(fetched.errors)")
            #expect(
                try Data(contentsOf: URL(fileURLWithPath: file))
                    == Data(contentsOf: URL(fileURLWithPath: folder + "/emissions.block"))
            )
        }
        let newest = try await network.peer(
            ["channel", "fetch", "newest", folder + "/newest", "-c", "emissions"],
            admin
        )
        #expect(newest.code == 0, "\(newest.errors)")
        #expect(newest.errors.contains("Received block: \(try await network.height(admin) - 1)"))
        let none = try await network.peer(["channel", "fetch", "0", "-c", "nowhere"], admin)
        #expect(none.code == 1)
        #expect(none.errors.contains("Error: can't read the block: &{NOT_FOUND}"))
        let unreachable = try await network.peer(
            ["channel", "list"],
            admin.merging(["CORE_PEER_ADDRESS": "127.0.0.1:1"]) { $1 }
        )
        #expect(unreachable.code == 1)
        #expect(unreachable.errors.contains("endorser client failed to connect to 127.0.0.1:1"))
    }

    @Test func nodesRunFromFabricsConfigurationFiles() async throws {
        try await WeftProcess.withNetwork { folder in
            let network = try await FabricToolNetwork.up(folder)
            let issued = try await WeftProcess.run(
                arguments: ["ca", "issue", folder + "/organizations/utility", "peer1", "--role", "peer"]
                    + ["--host", "localhost", "--host", "127.0.0.1"]
            )
            try #require(issued.code == 0, "\(issued.errors)")
            let (environment, address) = try network.secondPeer()
            let peer = try FabricToolProcess(
                ["peer", "node", "start"],
                environment,
                log: folder + "/peer1.log"
            )
            defer { peer.kill() }
            try await peer.waits(for: "Started peer with ID=[peer1], network ID=[dev], address=[\(address)]")
            #expect(
                peer.log.contains("unknown key, neither Fabric nor Weft reads it; is it misspelt? (peer.idd)")
            )
            #expect(!peer.log.contains("without effect"))

            var admin = network.environment(of: "utility", "admin")
            admin["CORE_PEER_ADDRESS"] = address
            let empty = try await network.peer(["channel", "list"], admin)
            #expect(empty.output == "Channels peers has joined: \n")
            let join = try await network.peer(["channel", "join", "-b", folder + "/emissions.block"], admin)
            #expect(join.code == 0, "\(join.errors)")
            #expect(join.errors.contains("Successfully submitted proposal to join channel"))
            let again = try await network.peer(["channel", "join", "-b", folder + "/emissions.block"], admin)
            #expect(again.code == 1)
            #expect(again.errors.contains("ledger [emissions] already exists with state [ACTIVE]"))
            try await network.reaches(height: 5, admin)

            // The ordering node is stopped, and goes on under Fabric's name with the ledger that it has.
            let stopped = try await WeftProcess.run("network", "down", "--folder", folder)
            try #require(stopped.code == 0, "\(stopped.errors)")
            try FileManager.default.createDirectory(
                atPath: folder + "/ordering",
                withIntermediateDirectories: true
            )
            try FileManager.default.moveItem(
                atPath: folder + "/nodes/orderer/data",
                toPath: folder + "/ordering/weft"
            )
            let orderer = try FabricToolProcess(
                ["orderer"],
                try network.ordererEnvironment(),
                log: folder + "/orderer.log"
            )
            defer { orderer.kill() }
            try await orderer.waits(for: "Raft leader changed: 0 -> 1 channel=emissions node=1")
            #expect(orderer.log.contains("Beginning to serve requests"))
            let put = try await network.peer(
                ["chaincode", "invoke", "-C", "emissions", "-n", "kv", "-c", #"{"Args":["put","a","b"]}"#]
                    + network.ordererFlags,
                admin
            )
            #expect(put.code == 0, "\(put.errors)")
            // The transaction has too few endorsements; it is in a block all the same.
            try await network.reaches(height: 6, admin)
            #expect(try await peer.stops() == 0)
            #expect(try await orderer.stops() == 0)
        }
    }

    @Test func whatDoesntExistIsRefusedWithCodeOne() async throws {
        for words in [
            ["peer", "nothing"], ["peer", "channel", "create"],
            ["peer", "snapshot"], ["peer", "channel", "list", "--nothing"], ["orderer", "nothing"],
        ] {
            let result = try await WeftProcess.run(arguments: ["fabric"] + words)
            #expect(result.code == 1, "\(words)")
            #expect(result.output.isEmpty, "\(words)")
            #expect(result.errors.contains("unknown") || result.errors.contains("unexpected"), "\(words)")
        }
        let version = try await WeftProcess.run("fabric", "peer", "version")
        #expect(version.code == 0)
        #expect(version.output.hasPrefix("peer:\n Version: v"))
        let help = try await WeftProcess.run("fabric", "peer", "help", "channel", "fetch")
        #expect(help.code == 0)
        #expect(
            help.output.contains("peer channel fetch <newest|oldest|config|(number)> [outputfile] [flags]")
        )
        let lost = try await WeftProcess.run(
            "fabric",
            "peer",
            "channel",
            "list",
            environment: ["FABRIC_CFG_PATH": "/nowhere"]
        )
        #expect(lost.code == 1)
        #expect(lost.errors.contains("Fatal error when initializing core config"))
    }
}
