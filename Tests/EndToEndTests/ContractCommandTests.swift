import Foundation
import Testing

/// `weft contract` on a network of processes: alone, by one organization after the other, and again.
@Suite(.serialized) struct ContractCommandTests {
    @Test func contractsAreDeployedAsFarAsTheAdministratorsAtHandCan() async throws {
        try await WeftProcess.withRunningNetwork { folder in
            let network = ["--network", folder]
            let alone = ["contract", "deploy", "--name", "kv", "--policy", "OR('UtilityMSP.peer')"] + network
            // One organization isn't enough: what the others type is told, and nothing is committed.
            let first = try await self.run(alone + ["--as", "utility/admin"])
            #expect(first.contains("not approved yet by AgencyMSP, AuditorMSP"))
            #expect(
                first.contains(
                    "peer lifecycle chaincode approveformyorg -C emissions -n kv -v 1.0 --sequence 1 --signature-policy \"OR('UtilityMSP.peer')\""
                )
            )
            // The next one goes on, and two of three are a majority.
            let second = try await self.run(alone + ["--as", "agency/admin"])
            #expect(second.contains("sequence 1: is on channel emissions"))
            // The third is late, and nothing is left to do after it.
            let all = try await self.run(alone)
            #expect(all.contains("approved by AuditorMSP, sequence 1"))
            let again = try await self.run(["contract", "deploy", "--name", "kv"] + network)
            #expect(again.contains("is on channel emissions already"))
            _ = try await self.run(
                ["tx", "submit", "--organization", "UtilityMSP", "kv", "put", "a", "1"] + network
            )
            // What a single node says is said once.
            let missing = try await WeftProcess.run(
                arguments: ["tx", "evaluate", "kv", "get", "b"] + network
            )
            #expect(missing.errors.contains("MSP at 127.0.0.1"))
            #expect(missing.errors.components(separatedBy: "has no value").count == 2)

            // Another version is the next definition, with the same policy.
            let upgrade = try await self.run(
                ["contract", "deploy", "--name", "kv", "--version", "2.0"] + network
            )
            #expect(upgrade.contains("version 2.0, sequence 2: is on channel emissions"))
            _ = try await self.run(
                ["tx", "submit", "--organization", "UtilityMSP", "kv", "put", "a", "2"] + network
            )
            // The policy that nobody said again is told to others, too.
            let third = try await self.run(
                ["contract", "deploy", "--name", "kv", "--version", "3.0", "--as", "utility/admin"] + network
            )
            #expect(third.contains("--sequence 3 --signature-policy \"OR('UtilityMSP.peer')\""))
            let status = try await self.run(["contract", "status", "kv"] + network)
            #expect(status.contains("contract kv, version 2.0, sequence 2"))
            #expect(status.contains("AuditorMSP: approved"))
        }
    }

    @Test func aServiceIsDeployedByItsAddress() async throws {
        try await WeftProcess.withRunningNetwork("--orgs", "1") { folder in
            let network = ["--network", folder]
            let deploy = ["contract", "deploy", "--address", "127.0.0.1:9", "--name", "svc"] + network
            let deployed = try await self.run(deploy)
            #expect(deployed.contains("installed at UtilityMSP"))
            #expect(deployed.contains("sequence 1: is on channel emissions"))
            let again = try await self.run(deploy)
            #expect(again.contains("is installed already"))
            #expect(again.contains("is on channel emissions already"))
            // Another package is another definition.
            let moved = try await self.run(
                ["contract", "deploy", "--address", "127.0.0.1:10", "--name", "svc"] + network
            )
            #expect(moved.contains("sequence 2: is on channel emissions"))
            // What isn't said stays, also which package runs.
            let renewed = try await self.run(
                [
                    "contract", "deploy", "--name", "svc", "--policy",
                    "OR('UtilityMSP.peer', 'UtiltyMSP.peer')",
                ]
                    + network
            )
            #expect(renewed.contains("sequence 3: is on channel emissions"))
            #expect(renewed.contains("its policy names UtiltyMSP, no organization of channel emissions"))
            let status = try await self.run(["contract", "status", "svc", "--json"] + network)
            #expect(status.contains("\"installed\": true"))
            #expect(status.contains("OR('UtilityMSP.peer', 'UtiltyMSP.peer')"))
            let list = try await self.run(["contract", "list"] + network)
            #expect(list.contains("svc  version 1.0  sequence 3"))
            #expect(list.contains("emissions  version 1.0  sequence 1"))
            let none = try await WeftProcess.run(arguments: ["contract", "logs", "svc"] + network)
            #expect(none.code == 1)
            // Nothing could run it: a slip of the pen is no definition that stays for good.
            let unknown = try await WeftProcess.run(
                arguments: ["contract", "deploy", "--name", "nothing"] + network
            )
            #expect(unknown.code == 64)
            #expect(unknown.errors.contains("has none of that name built in"))
        }
    }

    private func run(_ arguments: [String]) async throws -> String {
        let result = try await WeftProcess.run(arguments: arguments)
        try #require(result.code == 0, "\(result.output)\(result.errors)")
        return result.output
    }
}
