import FabricProtos
import Foundation
import Glibc
import Logging
import RPC
import Testing

@testable import Peer

/// Packages come to a peer, and are removed from it with all that was made of them.
@Suite struct InstalledContractsTests {
    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    private func package(_ script: String) throws -> Data {
        try self.folder.write("#!/bin/sh\n\(script)\n", to: "source/chaincode", isProgram: true)
        return try ChaincodePackaging.package(
            path: self.folder.path + "/source",
            type: "executable",
            label: "trade"
        )
    }

    private var data: String { self.folder.path + "/data" }

    private func with(
        _ body: @escaping @Sendable (InstalledContracts) async throws -> Void
    ) async throws {
        let contracts = try InstalledContracts(
            dataFolder: self.data,
            pollers: PollerGroup(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await contracts.run() }
            defer { group.cancelAll() }
            try await body(contracts)
        }
    }

    private func files(_ name: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(self.data)/\(name)")) ?? []).sorted()
    }

    @Test func aRemovedPackageLeavesNothingAndCanComeAgain() async throws {
        let bytes = try self.package("exit 0")
        try await self.with { contracts in
            let package = try await contracts.install(bytes)
            #expect(self.files("contracts").count == 1 && self.files("lifecycle/chaincodes").count == 1)
            #expect(try await contracts.remove(package.id) == package)
            #expect(self.files("contracts").isEmpty && self.files("lifecycle/chaincodes").isEmpty)
            #expect(contracts.packages.isEmpty && contracts.contract(packageID: package.id) == nil)
            #expect(try await contracts.remove(package.id) == nil)
            #expect(try await contracts.install(bytes) == package)
        }
    }

    @Test func aRemovalOutlivesTheProcess() async throws {
        let bytes = try self.package("exit 0")
        try await self.with { contracts in
            let package = try await contracts.install(bytes)
            _ = try await contracts.remove(package.id)
        }
        try await self.with { #expect($0.packages.isEmpty) }
    }

    @Test func aRemovalEndsWhatRunsAndFailsWhatWaitsForIt() async throws {
        // It never registers, so that a call waits for it until it is removed.
        let bytes = try self.package("echo $$ > \(self.folder.path)/process\nexec sleep 1000")
        let folder = self.folder
        try await self.with { contracts in
            let package = try await contracts.install(bytes)
            let contract = try #require(contracts.contract(packageID: package.id))
            let network = try RecordedNetwork(organization: "AlphaMSP", script: contract)
            let vector = try #require(try EndorsementVector.all().first { $0.id == "001-get-existing" })
            async let answer = network.endorser.process(vector.proposal)
            var process: pid_t?
            for _ in 0..<3_000 {
                process = pid_t(folder.text("process").trimmingCharacters(in: .newlines))
                if process != nil { break }
                try await Task.sleep(for: .milliseconds(20))
            }
            let running = try #require(process)
            #expect(try await contracts.remove(package.id) == package)
            #expect(kill(running, 0) == -1, "the process is gone once the package is")
            let message = try await answer.response.message
            #expect(message.contains("it was removed from this peer"), "\(message)")
            let late = try await network.endorser.process(vector.proposal).response.message
            #expect(late.contains("it was removed from this peer"), "\(late)")
        }
    }

    @Test func ofTwoRemovalsOneDoesIt() async throws {
        let bytes = try self.package("exit 0")
        try await self.with { contracts in
            let package = try await contracts.install(bytes)
            async let one = contracts.remove(package.id)
            async let other = contracts.remove(package.id)
            // One of them does it, and the other one finds nothing to do.
            #expect(try await [one, other].compactMap(\.self) == [package])
        }
    }
}
