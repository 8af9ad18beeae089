import Foundation
import Glibc
import Testing

/// `osnadmin` and an orderer that is killed while its channels change.
@Suite(.serialized) struct ChannelParticipationTests {
    /// An orderer of `weft network up`, alone.
    private struct Orderer {
        let folder: String
        let channel: String
        let address: String

        init(_ folder: String) throws {
            let description = try NetworkDescription(folder)
            self.folder = folder
            self.channel = description.channel
            self.address = try #require(description.nodes.first { $0.name == "orderer" }?.administration)
        }

        /// Runs `osnadmin channel`.
        func osnadmin(_ arguments: String..., as user: String = "orderer") async throws -> WeftProcess.Result
        {
            let organization = "\(self.folder)/organizations/\(user)"
            let files = "\(organization)/users/admin@\(user).example/tls"
            let node = "\(self.folder)/organizations/orderer/orderers/node0.orderer.example"
            return try await WeftProcess.run(
                arguments: ["fabric", "osnadmin", "channel"] + arguments + [
                    "-o", self.address, "--ca-file", "\(node)/tls/ca.crt", "--client-cert",
                    "\(files)/client.crt",
                    "--client-key", "\(files)/client.key",
                ]
            )
        }

        func join() async throws -> WeftProcess.Result {
            let block = "\(self.folder)/\(self.channel).block"
            return try await self.osnadmin("join", "--channelID", self.channel, "--config-block", block)
        }

        /// Ends the process at once, as a loss of power would.
        func kill() throws {
            let file = "\(self.folder)/nodes/orderer/pid"
            let pid = try #require(
                Int32(
                    try String(contentsOfFile: file, encoding: .utf8).trimmingCharacters(
                        in: .whitespacesAndNewlines
                    )
                )
            )
            Glibc.kill(pid, SIGKILL)
        }

        /// Starts the process again, without the peers, and waits until it answers.
        func start() async throws -> Process {
            let process = Process()
            process.executableURL = WeftProcess.executable
            process.arguments = ["orderer", "start", "--config", "\(self.folder)/nodes/orderer/orderer.yaml"]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            while process.isRunning, try await self.osnadmin("list").code != 0 {
                try await Task.sleep(for: .milliseconds(50))
            }
            return process
        }
    }

    @Test(
        "channels are joined and removed with osnadmin, and an orderer that is killed meanwhile keeps its word"
    )
    func joinsAndRemoves() async throws {
        try await WeftProcess.withRunningNetwork("--orgs", "1") { folder in
            let orderer = try Orderer(folder)

            try await self.checkAnswers(of: orderer)
            let removed = try await orderer.osnadmin("remove", "--channelID", orderer.channel)
            #expect(removed.output == "Status: 204\n\n", "\(removed.errors)")
            try orderer.kill()
            while try await orderer.osnadmin("list").code == 0 {}

            // Not begun again by the genesis block in its configuration.
            var process = try await orderer.start()
            let empty = try await orderer.osnadmin("list", "--no-status")
            #expect(empty.output == "{\n\t\"systemChannel\": null,\n\t\"channels\": null\n}\n\n")
            let joined = try await orderer.join()
            #expect(joined.output.hasPrefix("Status: 201\n") && joined.output.contains("\"height\": 1"))
            Glibc.kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()

            process = try await orderer.start()
            let there = try await orderer.osnadmin("list", "--channelID", orderer.channel)
            #expect(
                there.output.contains("\"consensusRelation\": \"consenter\"")
                    && there.output.contains("\"height\": 1")
            )
            process.terminate()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
        }
    }

    /// What an orderer with one channel answers.
    private func checkAnswers(of orderer: Orderer) async throws {
        let list = try await orderer.osnadmin("list")
        #expect(list.code == 0)
        #expect(list.output.hasPrefix("Status: 200\n{\n\t\"systemChannel\": null,\n\t\"channels\": [\n"))
        let again = try await orderer.join()
        #expect(again.code == 0 && again.output.hasPrefix("Status: 405\n"))
        let other = try await orderer.osnadmin("list", as: "utility")
        #expect(other.code == 1 && other.output.hasPrefix("Error: "))
        let plain = try await WeftProcess.run("fabric", "osnadmin", "channel", "list", "-o", orderer.address)
        #expect(plain.code == 1 && plain.output.contains("probably because it speaks TLS: give --ca-file"))
        let nameless = try await WeftProcess.run(
            arguments: [
                "fabric", "osnadmin", "channel", "list", "-o", orderer.address, "--ca-file",
                "\(orderer.folder)/organizations/orderer/orderers/node0.orderer.example/tls/ca.crt",
            ]
        )
        #expect(
            nameless.code == 1 && nameless.errors.contains("--client-cert and --client-key must be given")
        )
        let wrong = try await orderer.osnadmin(
            "join",
            "--channelID",
            "other",
            "--config-block",
            "\(orderer.folder)/\(orderer.channel).block"
        )
        #expect(wrong.code == 1 && wrong.errors.contains("does not match channel ID"))

        let block = "\(orderer.folder)/newest.block"
        let fetched = try await orderer.osnadmin(
            "fetch",
            "--channelID",
            orderer.channel,
            "--blockID",
            "oldest",
            "--outputfile",
            block
        )
        #expect(fetched.output == "Status: 200\n\n", "\(fetched.errors)")
        #expect(
            FileManager.default.contents(atPath: block)
                == FileManager.default.contents(atPath: "\(orderer.folder)/\(orderer.channel).block")
        )
    }
}
