import FabricProtos
import Foundation
import Testing

@testable import weft

/// What the flags of `peer` mean, and how its answers are printed.
struct PeerArgumentsTests {
    @Test func aCallIsAFunctionAndItsArgumentsInJSON() throws {
        let expected = ["put", "a", "1"].map { Data($0.utf8) }
        for json in [
            #"{"Args":["put","a","1"]}"#, #"{"args":["put","a","1"]}"#,
            #"{"function":"put","Args":["a","1"]}"#,
            #"{"Args":["a","1"],"Function":"put"}"#,
        ] {
            #expect(try PeerChaincodeCommands.arguments(json) == expected, "\(json)")
        }
        #expect(try PeerChaincodeCommands.arguments(#"{"Args":[]}"#).isEmpty)
        #expect(try PeerChaincodeCommands.arguments(#"{"Args":null}"#).isEmpty)
    }

    @Test(arguments: [
        "{}", "", "x", "[]", "null", #"{"function":"f"}"#, #"{"Args":[1]}"#, #"{"Args":"a"}"#,
        #"{"Args":[],"x":1}"#, #"{"Args":[],"function":"f","x":1}"#, #"{"Args":[],"function":1}"#,
    ])
    func anythingElseIsRefused(_ json: String) {
        #expect(throws: ToolFailure.self) { try PeerChaincodeCommands.arguments(json) }
    }

    @Test func transientDataIsBase64() throws {
        #expect(try PeerChaincodeCommands.transient(#"{"a":"aGk="}"#) == ["a": Data("hi".utf8)])
        for json in ["", "[]", #"{"a":1}"#, #"{"a":"not base64!"}"#] {
            #expect(throws: ToolFailure.self) { try PeerChaincodeCommands.transient(json) }
        }
    }

    @Test func anAnswerIsPrintedAsGoPrintsIt() {
        var response = Protos_Response()
        response.status = 500
        response.message = "no \"such\" key\n"
        response.payload = Data([0, 0x41, 0xFF])
        #expect(GoText.text(response) == #"status:500 message:"no \"such\" key\n" payload:"\000A\377""#)
        #expect(GoText.text(Protos_Response()) == "")
        #expect(GoText.numbers(Data("hi".utf8)) == "[104 105]")
    }

    @Test func definitionsArePrintedAsGoPrintsThem() throws {
        var result = Lifecycle_QueryChaincodeDefinitionResult()
        result.sequence = 2
        result.version = "1.0"
        result.validationParameter = Data("<policy>".utf8)
        result.approvals = ["B": false, "A": true]
        #expect(
            result.goJSON.tabbed() == """
                {
                \t"sequence": 2,
                \t"version": "1.0",
                \t"validation_parameter": "PHBvbGljeT4=",
                \t"approvals": {
                \t\t"A": true,
                \t\t"B": false
                \t}
                }
                """
        )
        var information = Common_BlockchainInfo()
        information.height = 7
        information.currentBlockHash = Data([1, 2])
        #expect(information.goJSON.compactText == #"{"height":7,"currentBlockHash":"AQI="}"#)
    }

    @Test func onePolicyIsEnough() throws {
        #expect(try DefinitionParts.policy(signature: "", channelConfig: "") == nil)
        let reference = try DefinitionParts.policy(
            signature: "",
            channelConfig: "/Channel/Application/Admins"
        )
        #expect(reference?.channelConfigPolicyReference == "/Channel/Application/Admins")
        let policy = try DefinitionParts.policy(signature: "OR('A.member')", channelConfig: "")
        #expect(policy?.signaturePolicy.identities.count == 1)
        #expect(throws: ToolFailure.self) {
            try DefinitionParts.policy(
                signature: "OR('A.member')",
                channelConfig: "/Channel/Application/Admins"
            )
        }
        #expect(throws: ToolFailure.self) { try DefinitionParts.policy(signature: "OR(", channelConfig: "") }
    }

    @Test func collectionsAreReadFromAFile() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        let json = """
            [{"name": "secret", "policy": "OR('A.member')", "requiredPeerCount": 1, "blockToLive": 100,
              "memberOnlyRead": true, "endorsementPolicy": {"channelConfigPolicy": "/Channel/Application/Admins"}}]
            """
        try Data(json.utf8).write(to: file)
        let collection = try #require(
            DefinitionParts.collections(file: file.path).config.first?.staticCollectionConfig
        )
        #expect(collection.name == "secret")
        #expect(collection.requiredPeerCount == 1)
        #expect(collection.maximumPeerCount == 1, "the standard")
        #expect(collection.blockToLive == 100)
        #expect(collection.memberOnlyRead)
        #expect(collection.endorsementPolicy.channelConfigPolicyReference == "/Channel/Application/Admins")
        for (text, reason) in [
            ("[{}]", "a collection has no name"), (#"[{"name": "open"}]"#, "collection open has no policy"),
        ] {
            try Data(text.utf8).write(to: file)
            let error = #expect(throws: ToolFailure.self) {
                try DefinitionParts.collections(file: file.path)
            }
            #expect(error.map { "\($0)".contains(reason) } == true)
        }
    }
}
