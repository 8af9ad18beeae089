import Foundation
import Testing
import WeftContract
import WeftContractTesting

/// What contracts can do, on the channel in memory.
@Suite(.timeLimit(.minutes(5))) struct ContractHarnessTests {
    private func refusal(_ body: () async throws -> some Any) async -> String {
        do {
            _ = try await body()
            return "not refused"
        } catch {
            return "\(error)"
        }
    }

    @Test func argumentsAreTextsNumbersAndJSON() async throws {
        let harness = try await ContractHarness(ProbeContract())
        let user = try harness.user("u", of: "Org1MSP")
        let item = ProbeContract.Item(id: "i1", color: .red, owner: "o")
        let echo = try await harness.evaluate("Echo", "a \"text\" of 7", 7, true, "green", item, as: user)
        #expect(try echo.decoded(as: [String].self) == ["a \"text\" of 7", "7", "true", "green", "i1"])
        #expect(echo.text == #"["a \"text\" of 7","7","true","green","i1"]"#)

        let few = await self.refusal { try await harness.evaluate("Echo", "a", as: user) }
        #expect(
            few.hasSuffix("500: Echo takes 5 arguments (text, number, flag, color, item), but 1 came"),
            "\(few)"
        )
        let wrong = await self.refusal {
            try await harness.evaluate("Echo", "a", "x", true, "red", "null", as: user)
        }
        #expect(wrong.hasSuffix("400: argument number: expected a whole number, found \"x\""), "\(wrong)")
        let unknown = await self.refusal { try await harness.evaluate("Nope", as: user) }
        #expect(
            unknown.contains("404: contract ProbeContract has no transaction \"Nope\"; it has: AuditorsOnly")
        )
        let other = await self.refusal { try await harness.evaluate("Else:Nope", as: user) }
        #expect(other.contains("there is no contract Else; there are: ProbeContract, org.hyperledger.fabric"))
        #expect(try await harness.evaluate("ProbeContract:Get", "none", as: user).text == "null")
    }

    @Test func theCreatorIsKnownByOrganizationRoleAndAttributes() async throws {
        let harness = try await ContractHarness(ProbeContract())
        harness.time = Date(timeIntervalSince1970: 1_800_000_000)
        let auditor = try harness.user(
            "eve",
            of: "Org2MSP",
            attributes: ["role": "auditor", "hf.Affiliation": "x"]
        )
        let found = try await harness.evaluate("WhoAmI", as: auditor).decoded(
            as: ProbeContract.Description.self
        )
        #expect(found.organization == "Org2MSP")
        #expect(found.name == "eve")
        #expect(found.units == ["client"])
        #expect(found.attributes == ["role": "auditor", "hf.Affiliation": "x"])
        #expect(found.time == Date(timeIntervalSince1970: 1_800_000_000))
        let id = String(decoding: Data(base64Encoded: found.id) ?? Data(), as: UTF8.self)
        #expect(id == "x509::CN=eve,OU=client::CN=ca.Org2MSP")

        try await harness.submit("AuditorsOnly", as: auditor)
        let plain = try harness.user("bob", of: "Org1MSP")
        let refused = await self.refusal { try await harness.submit("AuditorsOnly", as: plain) }
        #expect(refused.contains("403: bob of Org1MSP has no attribute role"), "\(refused)")
    }

    @Test func rangesAndPagesGoThroughEveryKey() async throws {
        let harness = try await ContractHarness(ProbeContract())
        let user = try harness.user("u", of: "Org1MSP")
        try await harness.submit("PutMany", "k", 250, as: user)
        let all = try await harness.evaluate("Range", "", "", as: user).decoded(as: [String].self)
        #expect(all == (0..<250).map { "k\(1_000 + $0)" })
        let some = try await harness.evaluate("Range", "k1003", "k1005", as: user).decoded(as: [String].self)
        #expect(some == ["k1003", "k1004"])
        var page = try await harness.evaluate("Page", 200, "", as: user).decoded(as: [String].self)
        #expect(page.count == 201 && page.last == "k1200")
        page = try await harness.evaluate("Page", 200, "k1200", as: user).decoded(as: [String].self)
        #expect(page.count == 51 && page.last == "")
        let many = try await harness.evaluate("GetMany", ["k1001", "none", "k1002"], as: user)
        #expect(try many.decoded(as: [String?].self) == ["v1", nil, "v2"])
        let sum = try await harness.evaluate("Concurrently", ["k1001", "k1002", "none"], as: user)
        #expect(sum.text == "4")
    }

    @Test func aKeyThatCameIntoARangeIsNamed() async throws {
        let harness = try await ContractHarness(ProbeContract())
        let user = try harness.user("u", of: "Org1MSP")
        try await harness.submit("Put", "a", "1", as: user)
        let count = try await harness.endorse("CountRange", "a", "c", "count", as: user)
        let put = try await harness.endorse("Put", "b", "2", as: user)
        #expect(count.readWriteSet.map(\.description).contains("range ProbeContract a to c"))
        let outcomes = try await harness.commit(put, count)
        #expect(outcomes.map(\.code) == ["VALID", "PHANTOM_READ_CONFLICT"])
        #expect(outcomes[1].conflicts.map(\.key) == ["b"])
        #expect(outcomes[1].conflicts.first?.winner == put.result.transactionID)
        #expect(try harness.value(of: "count") == nil)
    }

    @Test func indexesKeepInStepWithWhatATransactionWrites() async throws {
        let harness = try await ContractHarness(ProbeContract())
        let user = try harness.user("u", of: "Org1MSP")
        for (id, owner) in [("i1", "ann"), ("i2", "bob"), ("i3", "ann")] {
            try await harness.submit(
                "SaveItem",
                ProbeContract.Item(id: id, color: .red, owner: owner),
                as: user
            )
        }
        func items(_ color: String, _ owner: String) async throws -> [String] {
            try await harness.evaluate("ItemsOf", color, owner, as: user).decoded()
        }
        #expect(try await items("red", "ann") == ["i1", "i3"])
        #expect(try await items("red", "") == ["i1", "i3", "i2"])
        let item = try await harness.submit("RecolorTwice", "i1", as: user).result
        #expect(try item.decoded(as: ProbeContract.Item.self).owner == "ann!")
        #expect(try await items("red", "ann") == ["i3"])
        #expect(try await items("green", "") == ["i1"])
        #expect(try await items("green", "ann!") == ["i1"])
        try await harness.submit("RemoveItem", "i1", as: user)
        #expect(try await items("green", "").isEmpty)
    }

    @Test func aQueryCannotWrite() async throws {
        let harness = try await ContractHarness(ProbeContract())
        let user = try harness.user("u", of: "Org1MSP")
        let refused = await self.refusal { try await harness.evaluate("WriteInQuery", as: user) }
        #expect(refused.contains("declared with Evaluate"), "\(refused)")
    }

    @Test func privateValuesStayWithTheirCollection() async throws {
        let harness = try await ContractHarness(
            ProbeContract(),
            policy: "OR('Org1MSP.peer','Org2MSP.peer')",
            collections: [PrivateCollection("secrets", members: ["Org1MSP"])]
        )
        let member = try harness.user("ann", of: "Org1MSP")
        let saved = try await harness.endorse(
            "SaveSecret",
            "k",
            as: member,
            transient: ["secret": "42"],
            by: ["Org1MSP"]
        )
        #expect(saved.readWriteSet.allSatisfy { !$0.description.contains("42") })
        #expect(try await harness.commit(saved).map(\.code) == ["VALID"])
        #expect(try await harness.evaluate("Secret", "k", as: member).text == "42")
        #expect(try harness.privateValue(of: "k", in: "secrets", atPeerOf: "Org1MSP") == Data("42".utf8))
        #expect(try harness.privateValue(of: "k", in: "secrets", atPeerOf: "Org2MSP") == nil)
        let stranger = try harness.user("bob", of: "Org2MSP")
        let refused = await self.refusal { try await harness.evaluate("Secret", "k", as: stranger) }
        #expect(refused.contains("does not have read access permission"), "\(refused)")
        #expect(try await harness.evaluate("SecretHash", "k", as: stranger).payload.count == 32)
        let missing = await self.refusal {
            try await harness.submit("SaveSecret", "k", as: member, by: ["Org1MSP"])
        }
        #expect(missing.contains("400: the transient data must have \"secret\""), "\(missing)")
    }

    @Test func aKeyWithAPolicyOfItsOwnNeedsItsEndorsers() async throws {
        let harness = try await ContractHarness(ProbeContract(), policy: "OR('Org1MSP.peer','Org2MSP.peer')")
        let user = try harness.user("u", of: "Org1MSP")
        try await harness.submit("Put", "k", "1", as: user, by: ["Org1MSP"])
        try await harness.submit("Protect", "k", ["Org2MSP"], as: user, by: ["Org1MSP"])
        #expect(try await harness.evaluate("Policy", "k", as: user).text.contains("Org2MSP.peer"))
        let alone = try await harness.endorse("Put", "k", "2", as: user, by: ["Org1MSP"])
        let outcome = try #require(try await harness.commit(alone).first)
        #expect(outcome.code == "ENDORSEMENT_POLICY_FAILURE")
        #expect(!outcome.reason.isEmpty)
        try await harness.submit("Put", "k", "3", as: user, by: ["Org2MSP"])
        #expect(try harness.value(of: "k") == Data("3".utf8))
        try await harness.submit("Protect", "k", [String](), as: user, by: ["Org2MSP"])
        #expect(try await harness.evaluate("Policy", "k", as: user).text == "null")
        try await harness.submit("Put", "k", "4", as: user, by: ["Org1MSP"])
    }

    @Test func contractsCallEachOther() async throws {
        let harness = try await ContractHarness([
            ContractDefinition(ProbeContract()), ContractDefinition(ProbeContract(), name: "other"),
        ])
        let user = try harness.user("u", of: "Org1MSP")
        try await harness.submit("Put", "k", "there", as: user, on: "other")
        #expect(try await harness.evaluate("CallOther", "Get", "k", as: user).text == "there")
        let refused = await self.refusal { try await harness.evaluate("CallOther", "Nope", "k", as: user) }
        #expect(
            refused.contains("404: other answered 404: contract ProbeContract has no transaction"),
            "\(refused)"
        )
    }

    @Test func aContractThatIsNotDeterministicIsFoundOut() async throws {
        let harness = try await ContractHarness(ProbeContract())
        let user = try harness.user("u", of: "Org1MSP")
        await #expect(throws: EndorsementsDiffer.self) { try await harness.submit("Random", as: user) }
    }

    @Test func aContractThatRequiresItIsInitializedFirst() async throws {
        let harness = try await ContractHarness([ContractDefinition(ProbeContract(), initRequired: true)])
        let user = try harness.user("u", of: "Org1MSP")
        let early = await self.refusal { try await harness.submit("Put", "a", "1", as: user) }
        #expect(early.contains("has not been initialized"), "\(early)")
        try await harness.initialize("Put", "a", "0", as: user)
        try await harness.submit("Put", "a", "1", as: user)
        #expect(try harness.value(of: "a") == Data("1".utf8))
    }

    @Test func theMetadataNamesTransactionsParametersAndTypes() async throws {
        let harness = try await ContractHarness(ProbeContract())
        let user = try harness.user("u", of: "Org1MSP")
        let answer = try await harness.evaluate("org.hyperledger.fabric:GetMetadata", as: user)
        let metadata = try #require(try JSONSerialization.jsonObject(with: answer.payload) as? [String: Any])
        let contracts = try #require(metadata["contracts"] as? [String: [String: Any]])
        #expect(Set(contracts.keys) == ["ProbeContract", "org.hyperledger.fabric"])
        let transactions = try #require(contracts["ProbeContract"]?["transactions"] as? [[String: Any]])
        let echo = try #require(transactions.first { $0["name"] as? String == "Echo" })
        let parameters = try #require(echo["parameters"] as? [[String: Any]])
        #expect(parameters.map { $0["name"] as? String } == ["text", "number", "flag", "color", "item"])
        let schemas = parameters.map { $0["schema"] as? [String: Any] }
        #expect(schemas.map { $0?["type"] as? String } == ["string", "integer", "boolean", "string", nil])
        #expect(schemas[3]?["enum"] as? [String] == ["red", "green"])
        #expect(schemas[4]?["$ref"] as? String == "#/components/schemas/Item")
        let components = try #require(metadata["components"] as? [String: [String: [String: Any]]])
        let item = try #require(components["schemas"]?["Item"])
        #expect(item["required"] as? [String] == ["id", "color", "owner", "tags"])
        let properties = try #require(item["properties"] as? [String: [String: Any]])
        #expect((properties["tags"]?["items"] as? [String: Any])?["type"] as? String == "string")
        let many = try #require(transactions.first { $0["name"] as? String == "PutMany" })
        #expect((many["parameters"] as? [[String: Any]])?.last?["description"] as? String == "how many")
        #expect(many["tag"] as? [String] == ["submit", "SUBMIT"])
    }
}
