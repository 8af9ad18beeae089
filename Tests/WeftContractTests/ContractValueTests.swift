import Foundation
import Testing

@testable import WeftContract

/// Arguments, results and stored values as bytes; keys and policies.
@Suite struct ContractValueTests {
    private struct Value: Codable, Equatable {
        var b = 1
        var a: [String: Int] = ["z": 1, "y": 2]
        var c: Date = Date(timeIntervalSince1970: 0)
        var url = "a/b"
    }

    @Test func membersComeInOneOrder() throws {
        let encoded = String(decoding: try ContractValue.encode(Value()), as: UTF8.self)
        #expect(encoded == #"{"a":{"y":2,"z":1},"b":1,"c":"1970-01-01T00:00:00Z","url":"a/b"}"#)
        #expect(try ContractValue.decode(Value.self, from: Data(encoded.utf8)) == Value())
    }

    @Test func textsAndBytesStayAsTheyAre() throws {
        #expect(try ContractValue.encode("7\"") == Data("7\"".utf8))
        #expect(try ContractValue.decode(String.self, from: Data("7\"".utf8)) == "7\"")
        #expect(try ContractValue.decode(String?.self, from: Data("null".utf8)) == "null")
        #expect(try ContractValue.decode(Data.self, from: Data([0, 255])) == Data([0, 255]))
        #expect(throws: UnreadableValue.self) { try ContractValue.decode(String.self, from: Data([0xff])) }
        #expect(throws: UnreadableValue.self) { try ContractValue.decode(Int.self, from: Data("1.5".utf8)) }
        #expect(throws: UnreadableValue.self) { try ContractValue.decode(Bool.self, from: Data("yes".utf8)) }
        #expect(
            try ContractValue.decode(Date.self, from: Data("1970-01-01T00:00:00Z".utf8)).timeIntervalSince1970
                == 0
        )
    }

    private enum Kind: String, Codable, CaseIterable { case drill, saw }

    @Test func aTextThatIsNoneOfAnEnumerationIsRefusedWithThoseThatAre() throws {
        #expect(try ContractValue.decode(Kind.self, from: Data("saw".utf8)) == .saw)
        let error = #expect(throws: UnreadableValue.self) {
            try ContractValue.decode(Kind.self, from: Data("hammer".utf8))
        }
        #expect(error?.description == #"expected one of drill, saw, found "hammer""#)
    }

    @Test func compositeKeysAreTakenApartAsTheyWereMade() throws {
        let key = try CompositeKey("asset", ["a", "", "b/c", "é"])
        #expect(key.text == "\u{0}asset\u{0}a\u{0}\u{0}b/c\u{0}é\u{0}")
        #expect(CompositeKey(parsing: key.text) == key)
        #expect(CompositeKey(parsing: "plain") == nil)
        #expect(CompositeKey(parsing: "\u{0}") == nil)
        #expect(throws: ContractError.self) { try CompositeKey("a\u{0}", []) }
        #expect(throws: ContractError.self) { try CompositeKey("a", ["\u{10FFFF}"]) }
    }

    @Test func policiesOfKeysAreThoseOfFabricsLibrary() throws {
        let policy = try EndorsementPolicy.all(of: ["Org2MSP", "Org1MSP", "Org2MSP"])
        #expect(policy.organizations == ["Org1MSP", "Org2MSP"])
        // Two of two signatures, of peers (role 3) of the two organizations in ascending order.
        let rule = "120c120a08021202080012020801"
        let principals = ["1a0d120b0a074f7267314d53501003", "1a0d120b0a074f7267324d53501003"]
        let hexadecimal = policy.serialized.map { String(format: "%02x", $0) }.joined()
        #expect(hexadecimal == rule + principals.joined())
        #expect(
            try EndorsementPolicy("AND('Org1MSP.peer','Org2MSP.peer')").organizations == policy.organizations
        )
        #expect(throws: ContractError.self) { try EndorsementPolicy.all(of: []) }
        #expect(throws: ContractError.self) { try EndorsementPolicy(count: 3, of: ["A", "B"]) }
        #expect(throws: ContractError.self) { try EndorsementPolicy("AND(") }
    }
}
