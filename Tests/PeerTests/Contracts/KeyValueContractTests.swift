import Channel
import FabricProtos
import Foundation
import Ledger
import Testing

@testable import Peer

/// The benchmark's contract.
@Suite struct KeyValueContractTests {
    private func bench() throws -> ContractBench {
        try ContractBench(KeyValueContract.name, KeyValueContract())
    }

    private func arguments(_ texts: String...) -> [Data] { texts.map { Data($0.utf8) } }

    @Test func writesAreBlindAndReadBack() async throws {
        let bench = try self.bench()
        let put = try await bench.simulate(self.arguments("put", "a", "1", "b", "2", "c", "3"))
        #expect(put.results.publicSet.namespaces.map(\.name) == ["kv"])
        #expect(put.results.publicSet.namespaces.first?.kv.reads.isEmpty == true)
        #expect(try bench.commit([put]) == [.valid])

        let get = try await bench.simulate(self.arguments("get", "b"))
        #expect(get.response.payload == Data("2".utf8))
        let range = try await bench.simulate(self.arguments("range", "a", "c"))
        #expect(
            String(decoding: range.response.payload, as: UTF8.self)
                == #"[{"key":"a","value":"MQ=="},{"key":"b","value":"Mg=="}]"#
        )
        #expect(try bench.commit([try await bench.simulate(self.arguments("delete", "b"))]) == [.valid])
        let missing = try await bench.simulate(self.arguments("get", "b"))
        #expect(missing.response.status == 404)
        #expect(missing.response.message == "key \"b\" has no value")
    }

    @Test func ofTwoUpdatesOfOneKeyTheSecondConflicts() async throws {
        let bench = try self.bench()
        #expect(try bench.commit([try await bench.simulate(self.arguments("put", "a", "0"))]) == [.valid])
        let first = try await bench.simulate(self.arguments("update", "a", "1"))
        let second = try await bench.simulate(self.arguments("update", "a", "2"))
        #expect(first.results.publicSet.namespaces.first?.kv.reads.map(\.key) == ["a"])
        #expect(try bench.commit([first, second]) == [.valid, .mvccReadConflict])
    }

    @Test(arguments: [
        ["update", "a"], ["put", "a"], ["put"], ["get"], ["delete"], ["range", "a"],
        ["range", "a", "b", "0"], ["nope"], [],
    ])
    func wrongCallsAreExplained(call: [String]) async throws {
        let outcome = try await self.bench().simulate(call.map { Data($0.utf8) })
        #expect(outcome.response.status == 500)
        #expect(!outcome.response.message.isEmpty)
    }
}
