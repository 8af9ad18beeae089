import Foundation
import Glibc
import Testing
import WeftClient

/// Real `weft` processes over mutual TLS on loopback.
@Suite(.serialized) struct EndToEndTests {
    @Test func aConsortiumCommitsTransactionsAndSurvivesAPeerThatIsKilled() async throws {
        try await WeftProcess.withRunningNetwork("--contract", "kv") { folder in
            try await self.submit("before", "1", folder)

            let agency = try #require(self.process("agency", folder))
            kill(agency, SIGKILL)
            try await self.submit("during", "2", folder)
            let again = try await WeftProcess.run("network", "up", "--folder", folder)
            try #require(again.code == 0, "\(again.errors)")
            try await self.submit("after", "3", folder)

            for key in ["before", "during", "after"] {
                let found = try await WeftProcess.run(
                    "tx",
                    "evaluate",
                    "--network",
                    folder,
                    "--as",
                    "agency/user",
                    "kv",
                    "get",
                    key
                )
                #expect(found.code == 0, "\(found.errors)")
            }
            let status = try await WeftProcess.run("network", "status", "--folder", folder, "--json")
            #expect(status.code == 0, "\(status.errors)")

            let down = try await WeftProcess.run("network", "down", "--folder", folder)
            #expect(down.code == 0, "\(down.errors)")
            for name in ["utility", "auditor", "agency"] {
                let verified = try await WeftProcess.run("ledger", "verify", "\(folder)/nodes/\(name)/data")
                #expect(verified.code == 0, "\(verified.output)\(verified.errors)")
            }
        }
    }

    @Test func theClientLibrarySubmitsAsksAndListens() async throws {
        try await WeftProcess.withRunningNetwork("--orgs", "1", "--contract", "kv") { folder in
            let description = try NetworkDescription(folder)
            try await description.withPeer(of: "utility", in: folder) { connection, identity in
                let gateway = connection.gateway(channel: description.channel, as: identity)
                let done = try await gateway.submit(Invocation("kv", "put", ["key", "value"]))
                #expect(done.status.isValid)
                #expect(try await gateway.evaluate(Invocation("kv", "get", ["key"])) == Data("value".utf8))
                let refused = await #expect(throws: ClientError.self) {
                    try await gateway.submit(Invocation("kv", "nothing"))
                }
                #expect(refused?.code == .refused)
                #expect(refused?.details.first?.mspID == "UtilityMSP")
                let block = try await connection.peer(channel: "", as: identity)
                    .query(Invocation("qscc", "GetBlockByNumber", [description.channel, "\(done.block)"]))
                #expect(!block.isEmpty)
            }
        }
    }

    @Test func anOrdererTellsTheConfigurationWhenAPeerDoesnt() async throws {
        try await WeftProcess.withRunningNetwork("--orgs", "1") { folder in
            let utility = ["--network", folder, "--as", "utility/admin"]
            let (block, change) = (folder + "/fetched.block", folder + "/change.pb")
            let edited = try await WeftProcess.run(
                arguments: ["channel", "edit", "--out", change] + utility + ["set-batch", "max-messages=7"]
            )
            try #require(edited.code == 0, "\(edited.errors)")
            let peer = try #require(self.process("utility", folder))
            kill(peer, SIGKILL)
            let fetched = try await WeftProcess.run(arguments: ["channel", "fetch", block] + utility)
            #expect(fetched.code == 0, "\(fetched.errors)")
            #expect(
                FileManager.default.contents(atPath: block)
                    == FileManager.default.contents(atPath: folder + "/emissions.block")
            )
            let orderer = folder + "/organizations/orderer/users/admin@orderer.example/msp"
            let signed = try await WeftProcess.run(
                arguments: ["channel", "sign", change, "--config", block, "--identity", orderer]
                    + ["--msp-id", "OrdererMSP"]
            )
            try #require(signed.code == 0, "\(signed.errors)")
            let submitted = try await WeftProcess.run(arguments: ["channel", "submit", change] + utility)
            #expect(submitted.code == 0, "\(submitted.errors)")
            #expect(submitted.output.contains("configuration 1 of channel emissions is in force at"))
        }
    }

    @Test func aPortInUseIsNamedWithAWayOut() async throws {
        try await WeftProcess.withNetwork { folder in
            let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(listener) }
            let port = try #require(Self.listen(listener))
            let up = try await WeftProcess.run("network", "up", "--folder", folder, "--base-port", "\(port)")
            #expect(up.code == 1)
            #expect(up.errors.contains("port \(port) on 127.0.0.1 is in use"))
            #expect(up.errors.contains("--base-port"))
            #expect(!FileManager.default.fileExists(atPath: folder))
        }
    }

    @Test func aBrokenConfigurationFileIsNamedWithLineAndKey() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).yaml")
        try Data("listen: 127.0.0.1:0\ndatta: data\n".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let result = try await WeftProcess.run("peer", "start", "--config", file.path)
        #expect(result.code == 78)
        #expect(result.errors.contains("\(file.path):2: datta: unknown key"))
    }

    @Test func aDataFolderInUseIsRefused() async throws {
        try await WeftProcess.withRunningNetwork("--orgs", "1", "--contract", "kv") { folder in
            let verified = try await WeftProcess.run("ledger", "verify", "\(folder)/nodes/utility/data")
            #expect(verified.code != 0)
            #expect((verified.output + verified.errors).contains("in use"))
        }
    }

    // MARK: -

    private func submit(_ key: String, _ value: String, _ folder: String) async throws {
        let done = try await WeftProcess.run("tx", "submit", "--network", folder, "kv", "put", key, value)
        #expect(done.code == 0, "\(done.errors)")
    }

    private func process(_ node: String, _ folder: String) -> pid_t? {
        let text = try? String(contentsOfFile: "\(folder)/nodes/\(node)/pid", encoding: .utf8)
        return text.flatMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    private static func listen(_ listener: Int32) -> Int? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, size) == 0 && Glibc.listen(listener, 1) == 0
                    && getsockname(listener, pointer, &size) == 0
            }
        }
        return isBound ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
