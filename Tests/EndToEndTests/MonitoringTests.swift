import Foundation
import FoundationNetworking
import Testing

/// Prometheus's programs, as Debian installs them.
private enum PrometheusPrograms {
    static let server = "/usr/bin/prometheus"
    static let tool = "/usr/bin/promtool"
    static var areInstalled: Bool {
        [self.server, self.tool].allSatisfy(FileManager.default.isExecutableFile(atPath:))
    }
}

/// Prometheus's own programs against running nodes.
@Suite(.serialized, .enabled(if: PrometheusPrograms.areInstalled, "scripts/setup installs prometheus"))
struct MonitoringTests {
    private struct NoAnswer: Error { var about: String }

    @Test func prometheusScrapesAPeerOverMutualTLS() async throws {
        try await WeftProcess.withRunningNetwork("--orgs", "1") { folder in
            let network = try NetworkDescription(folder)
            for node in network.nodes { try await self.checkFormat(of: node) }

            let peer = try #require(network.nodes.first { $0.role == "peer" })
            _ = try await WeftProcess.run("network", "down", "--folder", folder)
            try self.requireClientCertificates(of: peer, folder)
            let again = try await WeftProcess.run("network", "up", "--folder", folder)
            try #require(again.code == 0, "\(again.errors)")

            let client = try #require(network.identities.first)
            try await self.withPrometheus(self.configuration(peer, client, folder), in: folder) { port in
                // Blocks: the first, the contract's approval, and its commit.
                let height = try await self.value(of: #"ledger_blockchain_height{channel="emissions"}"#, port)
                #expect(height == "3")
                #expect(try await self.value(of: #"up{job="stranger"}"#, port) == "0")
                #expect(try await self.value(of: #"up{job="member"}"#, port) == "1")
            }
        }
    }

    /// `promtool` can read the metrics; that Fabric's names lack suffixes is no error of the format.
    private func checkFormat(of node: NetworkDescription.Node) async throws {
        let address = try #require(node.operations)
        let url = try #require(URL(string: "http://\(address)/metrics"))
        let (text, _) = try await URLSession.shared.data(from: url)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: PrometheusPrograms.tool)
        process.arguments = ["check", "metrics"]
        let (input, errors) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: text)
        try input.fileHandleForWriting.close()
        let remarks = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect([0, 3].contains(process.terminationStatus), "\(node.name): \(remarks)")
        let unexpected = remarks.split(separator: "\n").filter { !$0.contains("suffix") }
        #expect(unexpected.isEmpty, "\(node.name): \(unexpected)")
    }

    private func requireClientCertificates(of peer: NetworkDescription.Node, _ folder: String) throws {
        let tls = folder + "/" + peer.tlsRoots.replacingOccurrences(of: "/ca.crt", with: "")
        let file = "\(folder)/\(peer.folder)/peer.yaml"
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let section = """
            operations:
              tls: {certificate: "\(tls)/server.crt", key: "\(tls)/server.key", roots: ["\(tls)/ca.crt"], clients: required}

            """
        let changed = text.replacingOccurrences(of: "operations:\n", with: section)
        try #require(changed != text, "peer.yaml has no section operations")
        try changed.write(toFile: file, atomically: true, encoding: .utf8)
    }

    private func configuration(
        _ peer: NetworkDescription.Node,
        _ client: NetworkDescription.Identity,
        _ folder: String
    ) -> String {
        """
        global: {scrape_interval: 1s, scrape_timeout: 1s}
        scrape_configs:
          - job_name: member
            scheme: https
            tls_config:
              ca_file: \(folder)/\(peer.tlsRoots)
              cert_file: \(folder)/\(client.tlsCertificate)
              key_file: \(folder)/\(client.tlsKey)
            static_configs: [{targets: ["\(peer.operations ?? "")"]}]
          - job_name: stranger
            scheme: https
            tls_config:
              ca_file: \(folder)/\(peer.tlsRoots)
            static_configs: [{targets: ["\(peer.operations ?? "")"]}]

        """
    }

    private func withPrometheus(
        _ configuration: String,
        in folder: String,
        _ body: (Int) async throws -> Void
    ) async throws {
        let file = folder + "/prometheus.yml"
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        let log = folder + "/prometheus.log"
        try Data().write(to: URL(fileURLWithPath: log))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: PrometheusPrograms.server)
        // Prometheus can't say which port it took when it may take any; its own default is left to others.
        let port = 20_000 + Int(ProcessInfo.processInfo.processIdentifier % 10_000)
        process.arguments = [
            "--config.file=\(file)", "--storage.tsdb.path=\(folder)/prometheus",
            "--web.listen-address=127.0.0.1:\(port)",
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try process.run()
        defer {
            process.terminate()
            process.waitUntilExit()
        }
        do {
            try await body(port)
        } catch {
            Issue.record("\(error)\n\(try String(contentsOfFile: log, encoding: .utf8))")
        }
    }

    /// The value of a series, once Prometheus has it.
    private func value(of query: String, _ port: Int) async throws -> String {
        struct Answer: Decodable {
            struct Result: Decodable { var value: [Item] }
            struct Items: Decodable { var result: [Result] }
            /// A time as a number, and the value as a text.
            enum Item: Decodable {
                case number(Double)
                case text(String)

                init(from decoder: any Decoder) throws {
                    let container = try decoder.singleValueContainer()
                    if let number = try? container.decode(Double.self) {
                        self = .number(number)
                    } else {
                        self = .text(try container.decode(String.self))
                    }
                }
            }
            var data: Items
        }
        var address = URLComponents()
        (address.scheme, address.host, address.port) = ("http", "127.0.0.1", port)
        address.path = "/api/v1/query"
        address.queryItems = [URLQueryItem(name: "query", value: query)]
        let url = try #require(address.url)
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(60)
        while clock.now < deadline {
            if let (data, _) = try? await URLSession.shared.data(from: url),
                let answer = try? JSONDecoder().decode(Answer.self, from: data),
                case .text(let value) = answer.data.result.first?.value.last
            {
                return value
            }
            try await clock.sleep(for: .milliseconds(200))
        }
        throw NoAnswer(about: query)
    }
}
