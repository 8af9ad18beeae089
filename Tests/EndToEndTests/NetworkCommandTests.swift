import Foundation
import Glibc
import Testing

/// `weft network` and nodes in states between running and stopped.
@Suite(.serialized) struct NetworkCommandTests {
    @Test("a node that is still stopping is waited for, and started again")
    func waitsForStoppingNodes() async throws {
        try await WeftProcess.withRunningNetwork("--orgs", "1", "--orderers", "3") { folder in
            let pidFile = "\(folder)/nodes/orderer1/pid"
            let stopping = try Self.process(pidFile)
            kill(stopping, SIGTERM)
            // It stops to listen at once, and takes a second or more to end.
            try await Task.sleep(for: .milliseconds(100))
            let up = try await WeftProcess.run("network", "up", "--folder", folder)
            #expect(up.code == 0, "\(up.errors)")
            #expect(try Self.process(pidFile) != stopping)
            let status = try await WeftProcess.run("network", "status", "--folder", folder)
            #expect(status.code == 0, "\(status.output)\(status.errors)")
        }
    }

    @Test("an orderer that has left the consenters follows the channel, which is no failure")
    func showsFollowers() async throws {
        try await WeftProcess.withRunningNetwork("--orgs", "1", "--orderers", "3") { folder in
            let network = try NetworkDescription(folder)
            let leaving = try #require(network.nodes.first { $0.name == "orderer2" })
            let update = "\(folder)/update.pb"
            let admin = "\(folder)/organizations/orderer/users/admin@orderer.example/msp"
            for words in [
                [
                    "edit", "--network", folder, "--out", update, "remove-consenter",
                    "address=\(leaving.endpoint)",
                ],
                ["sign", update, "--identity", admin, "--msp-id", "OrdererMSP"],
                ["submit", update, "--network", folder],
            ] {
                let done = try await WeftProcess.run(arguments: ["channel"] + words)
                try #require(done.code == 0, "\(words): \(done.output)\(done.errors)")
            }
            var status = try await WeftProcess.run("network", "status", "--folder", folder)
            for _ in 0..<100 where !status.output.contains("follows") {
                try await Task.sleep(for: .milliseconds(100))
                status = try await WeftProcess.run("network", "status", "--folder", folder)
            }
            #expect(status.code == 0, "\(status.errors)")
            let line = status.output.split(separator: "\n").first { $0.contains(" orderer2 ") }
            #expect(line?.contains("follows the channel, orders nothing") == true, "\(status.output)")

            // It does so as well after a restart, and is no reason to wait.
            _ = try await WeftProcess.run("network", "down", "--folder", folder)
            let up = try await WeftProcess.run("network", "up", "--folder", folder)
            #expect(up.code == 0, "\(up.errors)")
        }
    }

    /// The process that a pid file names.
    private static func process(_ pidFile: String) throws -> pid_t {
        let text = try String(contentsOfFile: pidFile, encoding: .utf8)
        return try #require(pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }
}
