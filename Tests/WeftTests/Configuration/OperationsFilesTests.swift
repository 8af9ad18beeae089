import Logging
import Operations
import RPC
import Testing

@testable import weft

@Suite struct OperationsFilesTests {
    private func read(_ yaml: String) throws -> OrdererConfiguration {
        let node = "listen: 127.0.0.1:7050\ndata: /data\nidentity: {mspID: OrdererMSP, folder: /msp}\n"
        return try OrdererConfiguration(ConfigurationSection(yaml: node + yaml, file: "/orderer.yaml"))
    }

    @Test func `The sections operations and logging read back as they are written`() throws {
        let configuration = try self.read(
            """
            operations:
              listen: 127.0.0.1:9443
              metrics: disabled
              tls: {certificate: /s.crt, key: /s.key, roots: [/ca.crt], clients: requested}
            logging: {spec: "info:gossip=debug", format: json}
            """
        )
        #expect(configuration.operations?.metrics == .disabled)
        #expect(configuration.operations?.tls?.clients == .requested)
        #expect(configuration.logging.specification == "info:gossip=debug")
        let again = try OrdererConfiguration(
            ConfigurationSection(yaml: configuration.yaml, file: "/orderer.yaml")
        )
        #expect(again == configuration)
        #expect(try self.read("").operations == nil)
    }

    @Test func `Metrics may go to StatsD, also without an address to listen on`() throws {
        let configuration = try self.read(
            "operations: {metrics: statsd, statsd: {network: tcp, address: s:1, interval: 5s, prefix: p}}"
        )
        let sender = StatsDSender.Settings(network: .tcp, address: "s:1", interval: .seconds(5), prefix: "p")
        #expect(configuration.operations == OperationsFiles(listen: nil, tls: nil, metrics: .statsD(sender)))
        let again = try OrdererConfiguration(
            ConfigurationSection(yaml: configuration.yaml, file: "/orderer.yaml")
        )
        #expect(again == configuration)
    }

    @Test(arguments: [
        ("operations: {listen: 127.0.0.1:1, metrics: graphite}", "expected prometheus, statsd or disabled"),
        ("operations: {metrics: prometheus}", "listen"),
        ("operations: {metrics: statsd, statsd: {network: sctp}}", "expected udp or tcp"),
        ("operations: {metrics: statsd, statsd: {interval: 0s}}", "a duration above 0"),
        ("operations: {listen: nowhere}", "expected host:port"),
        ("operations: {listen: 127.0.0.1:1, provider: x}", "unknown key"),
        ("logging: {spec: loud}", "bad segment 'loud'"),
        ("logging: {format: \"%{id:s}\"}", "invalid directive"),
    ])
    func `What can't be used is named`(yaml: String, problem: String) {
        let error = #expect(throws: ConfigurationError.self) { try self.read(yaml) }
        #expect(error?.description.contains(problem) == true, "\(String(describing: error))")
    }

    @Test func `The environment wins over the file, and the flag over both`() throws {
        var settings = LoggingSettings()
        settings.specification = "error"
        #expect(try settings.logging(environment: [:]).specification.description == "error")
        let environment = ["FABRIC_LOGGING_SPEC": "gossip=debug:warn"]
        #expect(
            try settings.logging(environment: environment).specification.description == "gossip=debug:warn"
        )
        let flag = try settings.logging(environment: environment, level: .debug)
        #expect(flag.specification.description == "debug")
        let error = #expect(throws: Failure.self) {
            try settings.logging(environment: ["FABRIC_LOGGING_SPEC": "loud"])
        }
        #expect(error.map { "\($0)".contains("FABRIC_LOGGING_SPEC") } == true)
    }
}
