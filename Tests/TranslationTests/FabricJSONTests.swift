import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Translation

@Suite struct FabricJSONTests {
    private let translation: FabricJSON

    init() throws { self.translation = try FabricJSON() }

    private func text(_ bytes: Data, _ type: String) throws -> String {
        String(decoding: try self.translation.json(of: bytes, type: type).document, as: UTF8.self)
    }

    private func bytes(_ json: String, _ type: String) throws -> Data {
        try self.translation.bytes(of: JSONTree(document: Data(json.utf8)), type: type)
    }

    // MARK: - From messages to JSON

    @Test func unsetFieldsAreWrittenOut() throws {
        #expect(
            try self.text(Data(), "common.Block")
                == "{\n\t\"data\": null,\n\t\"header\": null,\n\t\"metadata\": null\n}\n"
        )
        #expect(
            try self.translation.json(of: Data(), type: "common.ConfigGroup")
                == .object([
                    .init("version", .string("0")), .init("groups", .object([])),
                    .init("values", .object([])),
                    .init("policies", .object([])), .init("mod_policy", .string("")),
                ])
        )
    }

    @Test func ofAChoiceOnlyTheSetFieldIsWritten() throws {
        #expect(try self.text(Data(), "common.SignaturePolicy") == "{}\n")
        let signedBy = try Common_SignaturePolicy.with { $0.signedBy = 0 }.wire()
        #expect(try self.text(signedBy, "common.SignaturePolicy") == "{\n\t\"signed_by\": 0\n}\n")
    }

    @Test func theLastFieldOfAChoiceOnTheWireCounts() throws {
        let first = try Common_SignaturePolicy.with { $0.signedBy = 3 }.wire()
        let second = try Common_SignaturePolicy.with { $0.nOutOf = .with { $0.n = 1 } }.wire()
        let tree = try self.translation.json(of: first + second, type: "common.SignaturePolicy")
        #expect(tree["signed_by"] == nil)
        #expect(tree["n_out_of"]?["n"] == .number("1"))
    }

    @Test func enumerationsAreWrittenByNameAndUnknownOnesByNumber() throws {
        let normal = try Orderer_ConsensusType.with { $0.type = "etcdraft" }.wire()
        #expect(
            try self.translation.json(of: normal, type: "orderer.ConsensusType")["state"]
                == .string("STATE_NORMAL")
        )
        let odd = Data([0x18, 0x07])
        #expect(try self.translation.json(of: odd, type: "orderer.ConsensusType")["state"] == .number("7"))
    }

    @Test func timesAreText() throws {
        let header = try Common_ChannelHeader.with {
            $0.timestamp = .init(seconds: 1_700_000_000, nanos: 500_000_000)
        }.wire()
        let tree = try self.translation.json(of: header, type: "common.ChannelHeader")
        #expect(tree["timestamp"] == .string("2023-11-14T22:13:20.500Z"))
        #expect(try self.translation.bytes(of: tree, type: "common.ChannelHeader") == header)
    }

    @Test func aTimeBeyondTheYear9999IsRefused() throws {
        let header = try Common_ChannelHeader.with { $0.timestamp.seconds = .max }.wire()
        #expect(throws: TranslationError.self) { try self.text(header, "common.ChannelHeader") }
    }

    @Test func opaqueBytesAreShownAsTheMessageInThem() throws {
        let principal = try Common_MSPPrincipal.with {
            $0.principal = try Common_MSPRole.with {
                $0.mspIdentifier = "Org1MSP"
                $0.role = .admin
            }.wire()
        }.wire()
        let tree = try self.translation.json(of: principal, type: "common.MSPPrincipal")
        #expect(tree["principal"]?["role"] == .string("ADMIN"))
    }

    @Test func belowAChoiceBytesStayBytes() throws {
        let policy = try Protos_ApplicationPolicy.with {
            $0.signaturePolicy.identities = [.with { $0.principal = Data([1, 2, 3]) }]
        }.wire()
        let tree = try self.translation.json(of: policy, type: "protos.ApplicationPolicy")
        guard case .array(let identities)? = tree["signature_policy"]?["identities"] else {
            Issue.record("no list")
            return
        }
        #expect(identities.first?["principal"] == .string("AQID"))
    }

    @Test func valuesOfAConfigurationAreTakenByTheirPlace() throws {
        let addresses = try Common_OrdererAddresses.with { $0.addresses = ["a:1"] }.wire()
        let group = try Common_ConfigGroup.with { $0.values["Endpoints"] = .with { $0.value = addresses } }
            .wire()
        let organization = try self.translation.json(ofGroup: group, at: .ordererOrganization)
        #expect(organization["values"]?["Endpoints"]?["value"]?["addresses"] == .array([.string("a:1")]))
        // Alone, a group may stand anywhere.
        let alone = try self.translation.json(of: group, type: "common.ConfigGroup")
        #expect(alone["values"]?["Endpoints"]?["value"] == .string(addresses.base64EncodedString()))
        #expect {
            try self.translation.json(ofGroup: group, at: .applicationOrganization)
        } throws: { error in
            "\(error)".contains("values.Endpoints") && "\(error)".contains("AnchorPeers")
        }
    }

    @Test func unknownGroupsOfAChannelAreRefused() throws {
        let config = try Common_Config.with { $0.channelGroup.groups["Orderers"] = .init() }.wire()
        #expect(throws: TranslationError.self) { try self.text(config, "common.Config") }
    }

    // MARK: - From JSON to messages

    @Test func namesAreTakenInBothSpellings() throws {
        let expected = try Common_ChannelHeader.with { $0.channelID = "c" }.wire()
        #expect(try self.bytes(#"{"channel_id": "c"}"#, "common.ChannelHeader") == expected)
        #expect(try self.bytes(#"{"channelId": "c"}"#, "common.ChannelHeader") == expected)
        #expect(throws: TranslationError.self) {
            try self.bytes(#"{"channelId": "c", "channel_id": "c"}"#, "common.ChannelHeader")
        }
    }

    @Test(arguments: ["7", "\"7\"", "7.0", "0.7e1", "70e-1", "\"7e0\""])
    func wholeNumbersAreTakenInEveryForm(_ number: String) throws {
        let expected = try Common_BlockHeader.with { $0.number = 7 }.wire()
        #expect(try self.bytes("{\"number\": \(number)}", "common.BlockHeader") == expected)
    }

    @Test(arguments: [
        "7.5", "-1", "18446744073709551616", "1e400", "\"\"", "\"+7\"", "true", "[]", "\" 7\"", "1e-1",
    ])
    func whatIsNoNumberOfTheTypeIsRefused(_ number: String) {
        #expect(throws: TranslationError.self) {
            try self.bytes("{\"number\": \(number)}", "common.BlockHeader")
        }
    }

    @Test func extremeNumbersSurvive() throws {
        let header = try Common_BlockHeader.with { $0.number = .max }.wire()
        let tree = try self.translation.json(of: header, type: "common.BlockHeader")
        #expect(tree["number"] == .string("18446744073709551615"))
        #expect(try self.translation.bytes(of: tree, type: "common.BlockHeader") == header)
        let negative = try Common_ChannelHeader.with { $0.version = -1 }.wire()
        let versioned = try self.translation.json(of: negative, type: "common.ChannelHeader")
        #expect(versioned["version"] == .number("-1"))
        #expect(try self.translation.bytes(of: versioned, type: "common.ChannelHeader") == negative)
    }

    @Test(arguments: ["+/8=", "-_8=", "-_8", "+/8"])
    func bytesAreTakenInBothAlphabetsWithAndWithoutPadding(_ base64: String) throws {
        let expected = try Common_BlockHeader.with { $0.dataHash = Data([0xfb, 0xff]) }.wire()
        #expect(try self.bytes("{\"data_hash\": \"\(base64)\"}", "common.BlockHeader") == expected)
    }

    @Test func wrongNamesAndValuesAreRefusedWithTheirPlace() {
        let cases = [
            (
                #"{"payload": {"header": {"channel_header": {"type": "x"}}}}"#,
                "payload.header.channel_header.type"
            ),
            (#"{"payload": {"header": {"chanel_header": {}}}}"#, "payload.header.chanel_header"),
            (#"{"signature": 5}"#, "signature"),
            (#"{"signature": "%"}"#, "signature"),
            (#"{"payload": "AA=="}"#, "payload"),
            (#"{"payload": {"data": {}}}"#, "payload.data"),
            (#"{"payload": {"header": {"channel_header": {"type": 5}}, "data": {}}}"#, "payload.data"),
        ]
        for (json, place) in cases {
            #expect {
                try self.bytes(json, "common.Envelope")
            } throws: { error in
                "\(error)".hasPrefix(place + ": ")
            }
        }
    }

    @Test func onlyOneFieldOfAChoiceMayBeSet() {
        #expect(throws: TranslationError.self) {
            try self.bytes(#"{"signed_by": 1, "n_out_of": {"n": 1}}"#, "common.SignaturePolicy")
        }
    }

    @Test func typesThatDependOnOtherFieldsDontDependOnTheirOrder() throws {
        let json =
            #"{"payload": {"data": {"config_update": {"channel_id": "c"}}, "header": {"channel_header": {"type": 2}}}}"#
        let envelope = try Common_Envelope(serializedBytes: self.bytes(json, "common.Envelope"))
        let payload = try Common_Payload(serializedBytes: envelope.payload)
        let update = try Common_ConfigUpdateEnvelope(serializedBytes: payload.data)
        #expect(try Common_ConfigUpdate(serializedBytes: update.configUpdate).channelID == "c")
    }

    @Test func everyMessageTypeOfTheGeneratedCodeTranslatesToTheSameBytes() throws {
        let messages: [(any Message, String)] = [
            (
                Common_Capabilities.with { $0.capabilities = ["V3_0": .init(), "V2_0": .init()] },
                "common.Capabilities"
            ),
            (
                Protos_ACLs.with { $0.acls = ["a": .with { $0.policyRef = "/x" }, "b": .init()] },
                "protos.ACLs"
            ),
            (Etcdraft_BlockMetadata.with { $0.consenterIds = [1, 300, 0] }, "etcdraft.BlockMetadata"),
            (Orderer_SeekInfo.with { $0.start.newest = .init() }, "orderer.SeekInfo"),
            (Protos_ProcessedTransaction.with { $0.validationCode = 254 }, "protos.ProcessedTransaction"),
        ]
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        for (message, type) in messages {
            let bytes: Data = try message.serializedBytes(options: options)
            let tree = try self.translation.json(of: bytes, type: type)
            #expect(try self.translation.bytes(of: tree, type: type) == bytes, "\(type)")
        }
    }

    // MARK: - Hostile input

    @Test func unknownTypesAreRefused() {
        for type in ["", "common", "common.", "Block", "common.ConfigGroup.", "raftpb.Message"] {
            #expect(throws: TranslationError.self) { try self.text(Data(), type) }
            #expect(throws: TranslationError.self) { try self.bytes("{}", type) }
        }
    }

    @Test func nestingOfMessagesIsBounded() throws {
        var policy = Data([0x08, 0x00])
        for _ in 0..<2000 {
            let list = Data([0x12]) + Self.varint(policy.count) + policy
            policy = Data([0x12]) + Self.varint(list.count) + list
        }
        #expect(throws: TranslationError.self) { try self.text(policy, "common.SignaturePolicy") }
        let json =
            String(repeating: #"{"groups": {"a": "#, count: 200) + "{}" + String(repeating: "}}", count: 200)
        #expect(throws: TranslationError.self) { try self.bytes(json, "common.ConfigGroup") }
    }

    @Test func aFewBytesDontBecomeAnyNumberOfValues() throws {
        let signatures = Data(repeating: 0, count: 0) + (0..<100).flatMap { _ in [UInt8(0x12), 0x00] }
        var decoder = MessageDecoder(schema: try MessageSchema.fabric(), remainingValues: 300)
        #expect(throws: TranslationError.self) {
            try decoder.tree(of: signatures, type: "common.Metadata", at: .anywhere, depth: 0)
        }
        decoder.remainingValues = 1000
        _ = try decoder.tree(of: signatures, type: "common.Metadata", at: .anywhere, depth: 0)
    }

    @Test func repeatedPartsOfOneMessageAreReadInTimeThatGrowsWithTheirNumber() throws {
        let header = try Common_BlockHeader.with { $0.number = 7 }.wire()
        let part = Data([0x0a, UInt8(header.count)]) + header
        let block = Data((0..<50_000).map { _ in part }.joined())
        let tree = try self.translation.json(of: block, type: "common.Block")
        #expect(tree["header"]?["number"] == .string("7"))
    }

    @Test func garbageIsRefusedOrReadButNeverTraps() {
        var state: UInt64 = 1
        for length in 0..<600 {
            let noise = Data(
                (0..<(length % 60)).map { _ in
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    return UInt8(truncatingIfNeeded: state >> 33) & (length % 2 == 0 ? 0xff : 0x1f)
                }
            )
            for type in ["common.Block", "common.Envelope", "common.ConfigUpdate", "protos.ChaincodeAction"] {
                guard let tree = try? self.translation.json(of: noise, type: type) else { continue }
                _ = try? self.translation.bytes(of: tree, type: type)
            }
        }
    }

    @Test func textsMustBeUTF8() {
        #expect(throws: TranslationError.self) {
            try self.text(Data([0x0a, 1, 0xff]), "common.HashingAlgorithm")
        }
    }

    private static func varint(_ value: Int) -> Data {
        var bytes = Data()
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
        return bytes
    }
}

extension Message {
    fileprivate func wire() throws -> Data { try self.serializedBytes() }
}
