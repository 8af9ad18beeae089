import Foundation
import Testing
import WeftClient

/// `weft tx explain` on transactions that went wrong in a real network, asked of a peer and read from its folder.
@Suite(.serialized) struct TransactionExplainTests {
    /// Transactions that share a call: what became of each is known.
    private struct Made {
        var conflict: EndorsedTransaction
        var winner: EndorsedTransaction
    }

    @Test func invalidTransactionsAreExplainedByRunningAndByStoppedPeers() async throws {
        try await WeftProcess.withRunningNetwork("--contract", "kv") { folder in
            let made = try await self.conflict(folder)
            let under = try await WeftProcess.run(
                arguments: ["tx", "submit", "--network", folder, "--organization", "UtilityMSP"]
                    + ["kv", "put", "other", "1"]
            )
            #expect(under.code == 1)
            let words = under.errors.split(whereSeparator: \.isWhitespace).map(String.init)
            let unendorsed = try #require(words.last { $0.count == 64 })

            for place in [["--network", folder], ["--data", "\(folder)/nodes/agency/data"]] {
                if place.first == "--data" {
                    let down = try await WeftProcess.run("network", "down", "--folder", folder)
                    try #require(down.code == 0, "\(down.errors)")
                }
                let conflict = try await self.explain(made.conflict.transactionID, place)
                #expect(conflict.contains("MVCC_READ_CONFLICT (11)"))
                #expect(conflict.contains("it read the key \"a\" of kv at version"))
                #expect(conflict.contains("written by transaction \(made.winner.transactionID)"))
                let valid = try await self.explain(made.winner.transactionID, place)
                #expect(valid.contains("judged   VALID (0)"))
                #expect(valid.contains("again    in block"))
                #expect(valid.contains("DUPLICATE_TXID"))
                let policy = try await self.explain(unendorsed, place)
                #expect(policy.contains("ENDORSEMENT_POLICY_FAILURE (10)"))
                #expect(policy.contains("the endorsement policy of chaincode kv is not satisfied"))
                #expect(policy.contains("lacked  'AgencyMSP.peer'; or 'AuditorMSP.peer'"))
                let none = try await WeftProcess.run(arguments: ["tx", "explain", "00", "--json"] + place)
                #expect(none.code == 1)
                #expect(none.output.contains("no transaction 00"))
            }
        }
    }

    /// Two transactions that were endorsed on the same state, the first of which is ordered twice.
    private func conflict(_ folder: String) async throws -> Made {
        let description = try NetworkDescription(folder)
        return try await description.withPeer(of: "utility", in: folder) { connection, identity in
            let gateway = connection.gateway(channel: description.channel, as: identity)
            _ = try await gateway.submit(Invocation("kv", "put", ["a", "1"]))
            // Both peers must have the block: endorsers that are behind come to another result.
            var pair: [EndorsedTransaction] = []
            for value in ["2", "3"] { pair.append(try await self.endorse(value, gateway)) }
            try await gateway.submit(pair[0])
            #expect(try await gateway.status(of: pair[0].transactionID).isValid)
            try await gateway.submit(pair[1])
            let verdict = try await gateway.status(of: pair[1].transactionID)
            #expect(verdict.codeName == "MVCC_READ_CONFLICT")
            try await gateway.submit(pair[0])
            // What comes after it is in no earlier block.
            _ = try await gateway.submit(Invocation("kv", "put", ["b", "1"]))
            return Made(conflict: pair[1], winner: pair[0])
        }
    }

    private func endorse(_ value: String, _ gateway: Gateway) async throws -> EndorsedTransaction {
        let call = Invocation("kv", "update", ["a", value])
        for _ in 0..<100 {
            if let endorsed = try? await gateway.endorse(call) { return endorsed }
            try await Task.sleep(for: .milliseconds(50))
        }
        return try await gateway.endorse(call)
    }

    private func explain(_ transaction: String, _ place: [String]) async throws -> String {
        let found = try await WeftProcess.run(arguments: ["tx", "explain", transaction] + place)
        #expect(found.code == 0, "\(found.errors)")
        return found.output
    }
}
