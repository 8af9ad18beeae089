import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// Rules of configurations, tried by changing a real one in one place.
@Suite struct ChannelConfigurationTests {
    private func real(_ name: String = "raft1-acls") throws -> Common_Config {
        let file = VectorReport.folder("config").appendingPathComponent("genesis/\(name)/genesis.block")
        return try Common_Block(serializedBytes: Data(contentsOf: file)).configEnvelope().config
    }

    private func configuration(
        _ name: String = "raft1-acls",
        _ change: (inout Common_ConfigGroup) throws -> Void = { _ in }
    ) throws -> ChannelConfiguration {
        var config = try self.real(name)
        try change(&config.channelGroup)
        return try ChannelConfiguration(channelID: ChannelID("trade"), config: config)
    }

    private func fault(
        _ name: String = "raft1-acls",
        _ change: (inout Common_ConfigGroup) throws -> Void
    ) -> String? {
        do {
            _ = try self.configuration(name, change)
            return nil
        } catch {
            return (error as? ConfigurationError)?.path ?? "\(error)"
        }
    }

    @Test func everySettingOfARealConfigurationIsRead() throws {
        let configuration = try self.configuration()
        let orderer = try #require(configuration.orderer)
        #expect(orderer.consensusType == "etcdraft")
        #expect(!orderer.isMaintenance)
        #expect(orderer.batch.maxMessageCount == 20)
        #expect(orderer.batch.absoluteMaxBytes == 2 << 20)
        #expect(orderer.batch.preferredMaxBytes == 512 << 10)
        #expect(orderer.batchTimeout == .milliseconds(250))
        #expect(orderer.organizations.map(\.endpoints) == [["127.0.0.1:30700"]])
        let application = try #require(configuration.application)
        #expect(application.organizations.map(\.name) == ["Alpha", "Bravo"])
        #expect(application.organizations.map(\.mspID.description) == ["AlphaMSP", "BravoMSP"])
        #expect(application.organizations.first?.anchorPeers == [.init(host: "127.0.0.1", port: 30150)])
        #expect(configuration.capabilities.identifiesBlockSignersByConsenter)
        #expect(configuration.capabilities.hasContractLifecycle)
        #expect(configuration.capabilities.mspVersion == .v3_0)
    }

    @Test func aChannelMapsResourcesToPoliciesAndDefaultsHoldForTheRest() throws {
        let configuration = try self.configuration()
        #expect(
            configuration.policyPath(forResource: "peer/Propose")
                == .channel(path: "/Channel/Application/Writers")
        )
        #expect(
            configuration.policyPath(forResource: "_lifecycle/CommitChaincodeDefinition")
                == .channel(path: "/Channel/Application/Admins")
        )
        #expect(
            configuration.policyPath(forResource: "event/Block")
                == .channel(path: "/Channel/Application/Readers")
        )
        #expect(configuration.policyPath(forResource: "cscc/JoinChain") == .localAdmins)
        #expect(configuration.policyPath(forResource: "cscc/GetChannels") == .localMembers)
        #expect(configuration.policyPath(forResource: "made/Up") == .unmapped)
    }

    @Test func unknownValuesAndGroupsAreRefused() {
        #expect(self.fault { $0.values["Colour"] = .init() } == "/Channel/Colour")
        #expect(self.fault { $0.groups["Guests"] = .init() } == "/Channel/Guests")
        #expect(self.fault { $0.groups["Orderer"]?.values["Colour"] = .init() } == "/Channel/Orderer/Colour")
        #expect(
            self.fault { $0.groups["Application"]?.groups["Alpha"]?.groups["Sub"] = .init() }
                == "/Channel/Application/Alpha/Sub"
        )
        #expect(
            self.fault { $0.groups["Application"]?.groups["Alpha"]?.values["Endpoints"] = .init() }
                == "/Channel/Application/Alpha/Endpoints"
        )
    }

    @Test func namesFollowTheGrammar() {
        #expect(self.fault { $0.groups["Application"]?.policies["A b"] = .init() } == "/Channel/Application")
        #expect(self.fault { $0.policies[".."] = .init() } == "/Channel")
        #expect(self.fault { $0.policies[String(repeating: "x", count: 250)] = .init() } == "/Channel")
    }

    @Test func numbersThatMakeNoSenseAreRefused() {
        func set(_ key: String, _ message: some Message) -> String? {
            self.fault { $0.groups["Orderer"]?.values[key]?.value = try message.serializedBytes() }
        }
        #expect(
            set("BatchSize", Orderer_BatchSize.with { $0.maxMessageCount = 1 })
                == "/Channel/Orderer/BatchSize"
        )
        let inverted = Orderer_BatchSize.with {
            $0.maxMessageCount = 1
            $0.absoluteMaxBytes = 1
            $0.preferredMaxBytes = 2
        }
        #expect(set("BatchSize", inverted) == "/Channel/Orderer/BatchSize")
        for text in ["", "0s", "-1s", "soon"] {
            let timeout = Orderer_BatchTimeout.with { $0.timeout = text }
            #expect(set("BatchTimeout", timeout) == "/Channel/Orderer/BatchTimeout", "\(text)")
        }
    }

    @Test func bytesThatAreNoMessageAreRefused() {
        #expect(
            self.fault { $0.groups["Orderer"]?.values["BatchSize"]?.value = Data([0xff]) }
                == "/Channel/Orderer/BatchSize"
        )
        #expect(
            self.fault { $0.groups["Orderer"]?.groups["Order"]?.values["MSP"]?.value = Data([0xff]) }
                == "/Channel/Orderer/Order/MSP"
        )
    }

    @Test func capabilityV3RequiresEndpointsOfOrganizationsAndForbidsGlobalAddresses() throws {
        #expect(
            self.fault { $0.groups["Orderer"]?.groups["Order"]?.values["Endpoints"] = nil }
                == "/Channel/Orderer/Order/Endpoints"
        )
        let addresses = try Common_OrdererAddresses.with { $0.addresses = ["a:1"] }.serializedBytes() as Data
        #expect(
            self.fault { $0.values["OrdererAddresses"] = .with { $0.value = addresses } }
                == "/Channel/OrdererAddresses"
        )
        #expect(
            self.fault { $0.groups["Orderer"]?.values["Capabilities"] = nil } == "/Channel/Capabilities"
        )
    }

    @Test func anUnknownCapabilityIsReportedAtItsLevel() throws {
        let names =
            try Common_Capabilities.with { $0.capabilities = ["V9": .init(), "V2_5": .init()] }
            .serializedBytes() as Data
        let configuration = try self.configuration {
            $0.groups["Application"]?.values["Capabilities"]?.value = names
        }
        #expect(configuration.capabilities.unsupported(at: .application) == ["V9"])
        #expect(configuration.capabilities.unsupported(at: .channel).isEmpty)
    }

    @Test func sectionsAndIdentifiersOfOrganizationsStay() throws {
        let configuration = try self.configuration()
        let smaller = try self.configuration { $0.groups["Application"] = nil }
        #expect(throws: ConfigurationError.self) { try configuration.checkTransition(to: smaller) }
        let swapped = try self.configuration { group in
            let other = group.groups["Application"]?.groups["Bravo"]
            group.groups["Application"]?.groups["Alpha"] = other
        }
        #expect(throws: ConfigurationError.self) { try configuration.checkTransition(to: swapped) }
        try configuration.checkTransition(to: configuration)
    }

    @Test func aRefusalSaysWhatIsRequiredAndWhatEachSignatureWasGoodFor() throws {
        let configuration = try self.configuration()
        let failure = #expect(throws: PolicyFailure.self) {
            try configuration.policies.evaluate("/Channel/Application/Admins", [])
        }
        #expect(
            failure?.description
                == "policy /Channel/Application/Admins is not satisfied: MAJORITY Admins requires 2 of 2 groups and "
                + "has 0 (Alpha: it requires OR('AlphaMSP.admin'); Bravo: it requires OR('BravoMSP.admin')); "
                + "there are no signatures"
        )
        let garbage = SignedData(data: Data([1]), identity: Data([2]), signature: Data([3]))
        let second = #expect(throws: PolicyFailure.self) {
            try configuration.policies.evaluate("/Channel/Readers", [garbage])
        }
        #expect(second?.signatures.count == 1)
        #expect(second?.signatures.first?.outcome.hasPrefix("is ignored: ") == true)
    }

    @Test func aNameThatOnlyLooksLikeAnotherIsRefusedInAnUpdate() throws {
        let configuration = try self.configuration()
        // A group whose map of policies holds the name K and then the Kelvin sign, which Swift takes for equal.
        let entries = ["K", "\u{212A}"].map { name in
            let key = Data([0x0a, UInt8(name.utf8.count)]) + Data(name.utf8)
            return Data([0x22, UInt8(key.count)]) + key
        }
        let group = entries.reduce(Data(), +)
        let update = Data([0x0a, 5]) + Data("trade".utf8) + Data([0x1a, UInt8(group.count)]) + group
        #expect(try Common_ConfigUpdate(serializedBytes: update).writeSet.policies.count == 1)
        let error = #expect(throws: ConfigUpdateError.self) {
            try configuration.applying(.with { $0.configUpdate = update })
        }
        #expect(error?.reason.contains("other characters than") == true)
    }

    @Test func anyBytesAreAnUpdateOrAnErrorAndNeverACrash() throws {
        let configuration = try self.configuration()
        var random = SplitMix64(seed: 11)
        var wanted = try self.real().channelGroup
        let alpha = wanted.groups["Application"]?.groups["Alpha"]
        wanted.groups["Application"]?.groups["Carol"] = alpha
        let update = try Common_ConfigUpdate.computing(
            from: self.real().channelGroup,
            to: wanted,
            channelID: ChannelID("trade")
        )
        let real: Data = try update.serializedBytes()
        for _ in 0..<500 {
            var bytes = real
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                    in: 0...255,
                    using: &random
                )
            }
            bytes = bytes.prefix(Int.random(in: bytes.count / 2...bytes.count, using: &random))
            _ = try? configuration.applying(.with { $0.configUpdate = bytes })
        }
    }

    @Test func aBFTChannelNeedsConsentersWithNumbersOfTheirOwn() throws {
        try self.configuration("bft4-org2").checkBFTConsenters()
        for number in [UInt32(0), 2] {
            let configuration = try self.configuration("bft4-org2") { group in
                let value = group.groups["Orderer"]?.values["Orderers"]?.value ?? Data()
                var orderers = try Common_Orderers(serializedBytes: value)
                orderers.consenterMapping[0].id = number
                group.groups["Orderer"]?.values["Orderers"]?.value = try orderers.serializedBytes()
            }
            #expect(throws: ConfigurationError.self) { try configuration.checkBFTConsenters() }
        }
        let empty = try self.configuration("bft4-org2") { $0.groups["Orderer"]?.values["Orderers"] = nil }
        #expect(throws: ConfigurationError.self) { try empty.checkBFTConsenters() }
    }

    @Test(arguments: [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7)])
    func bftQuorumsMeetInACorrectConsenter(count: Int, quorum: Int) {
        #expect(BFTBlockValidation.quorum(of: count) == quorum)
    }
}
