import Foundation
import Logging
import RPC
import Testing

@testable import Peer

/// Contracts that a peer starts: what is said of those that don't come up, and what all of them find.
@Suite struct LaunchedEndpointTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    /// A contract that is a script.
    private func endpoint(
        _ script: String,
        connection: String = "client",
        startTimeout: Duration = .seconds(60),
        type: String = "executable"
    ) throws -> LaunchedEndpoint {
        try self.folder.write("#!/bin/sh\n\(script)\n", to: "source/run", isProgram: true)
        try self.folder.write(
            #"{"program": "run", "arguments": ["-v"], "connection": "\#(connection)"}"#,
            to: "source/contract.json"
        )
        let package = try ChaincodePackage(
            ChaincodePackaging.package(path: self.folder.path + "/source", type: type, label: "trade")
        )
        let place = ContractFolder(dataFolder: self.folder.path, packageID: package.id)
        try place.prepare()
        let pollers = PollerGroup()
        return LaunchedEndpoint(
            package: package,
            folder: place,
            builds: ContractBuilds(LaunchOptions(), logger: Self.logger),
            registrar: try ChaincodeRegistrar(.init(), pollers: pollers, logger: Self.logger),
            mspID: "AlphaMSP",
            startTimeout: startTimeout,
            pollers: pollers,
            log: ContractLog(file: place.log),
            record: ContractRecord(
                ContractState(packageID: package.id, type: type, log: place.log.path),
                place
            )
        )
    }

    private func serve(_ endpoint: LaunchedEndpoint) async -> String {
        let stream = ChaincodeStream(packageID: endpoint.package.id, options: .init(), logger: Self.logger)
        return await endpoint.serve(stream)
    }

    private func log(_ endpoint: LaunchedEndpoint) throws -> String {
        try String(contentsOf: endpoint.folder.log, encoding: .utf8)
    }

    @Test func aContractThatEndsAtOnceIsSaidToHaveEnded() async throws {
        let endpoint = try self.endpoint("echo no configuration >&2; exit 3")
        #expect(await self.serve(endpoint) == "it exited with status 3; its log on the peer may say why")
        let state = endpoint.record.current
        #expect(state.phase == .exited && state.starts == 1 && state.process == nil)
        #expect(state.lastEnd == "exited with status 3" && state.lastError?.contains("status 3") == true)
        #expect(try self.log(endpoint).contains("no configuration"))
        _ = await self.serve(endpoint)
        #expect(endpoint.record.current.starts == 2)
    }

    @Test func aContractThatRegistersIsToldWhereAndAsWhom() async throws {
        let endpoint = try self.endpoint(
            #"echo "arguments $@"; env | sort; ls -l "$CORE_PEER_TLS_ROOTCERT_FILE" "$CORE_TLS_CLIENT_KEY_PATH""#
        )
        _ = await self.serve(endpoint)
        let log = try self.log(endpoint)
        #expect(log.contains("arguments -v -peer.address \(endpoint.registrar.address)"))
        #expect(log.contains("CORE_CHAINCODE_ID_NAME=\(endpoint.package.id)"))
        #expect(log.contains("CORE_PEER_LOCALMSPID=AlphaMSP") && log.contains("CORE_PEER_TLS_ENABLED=true"))
        #expect(!log.contains("No such file") && !log.contains("CHAINCODE_SERVER_ADDRESS"))
    }

    @Test(arguments: [("server", "127.0.0.1:"), ("socket", "unix:")])
    func aContractThatListensIsToldWhere(connection: String, prefix: String) async throws {
        let endpoint = try self.endpoint("env; exit 1", connection: connection)
        let reason = await self.serve(endpoint)
        #expect(reason == "it exited with status 1; its log on the peer may say why")
        let log = try self.log(endpoint)
        #expect(log.contains("CHAINCODE_SERVER_ADDRESS=\(prefix)"))
        #expect(log.contains("CHAINCODE_ID=\(endpoint.package.id)"))
        #expect(log.contains("CHAINCODE_TLS_KEY=") == (connection == "server"))
    }

    @Test func aContractThatDoesNotListenIsEnded() async throws {
        let endpoint = try self.endpoint(
            "exec sleep 1000",
            connection: "server",
            startTimeout: .milliseconds(100)
        )
        let reason = await self.serve(endpoint)
        #expect(reason.hasPrefix("it did not listen at 127.0.0.1:"), "\(reason)")
        #expect(endpoint.record.current.phase == .exited && endpoint.record.current.process == nil)
    }

    @Test func aStreamThatIsClosedEndsTheContract() async throws {
        let endpoint = try self.endpoint("exec sleep 1000")
        let stream = ChaincodeStream(packageID: endpoint.package.id, options: .init(), logger: Self.logger)
        stream.end("was replaced by another package")
        #expect(await endpoint.serve(stream) == "it was replaced by another package")
        #expect(endpoint.record.current.lastEnd?.contains("signal 15") == true)
    }

    @Test func aContractThatCannotBeBuiltIsNotStarted() async throws {
        let endpoint = try self.endpoint("exit 0", connection: "pigeon")
        let reason = await self.serve(endpoint)
        #expect(reason.contains("server, socket or client"), "\(reason)")
        #expect(endpoint.record.current.phase == .failed && endpoint.record.current.starts == 0)
    }

    @Test(arguments: ["golang", "node", "java"])
    func sourcesThatNobodyBuildsAreRefusedWithTheAlternatives(type: String) async throws {
        try self.folder.write("module trade\n", to: "source/go.mod")
        try self.folder.write("{}", to: "source/package.json")
        let endpoint = try self.endpoint("exit 0", type: type)
        let reason = await self.serve(endpoint)
        for words in [
            "is of type \"\(type)\"", "Configure an external builder", "package of type executable",
            "package of type ccaas", "connection.json",
        ] {
            #expect(reason.contains(words), "\(reason)")
        }
    }
}
