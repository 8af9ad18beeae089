import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// Configurations and updates of real Fabric: see `Vectors/config/README.md` for how they were made.
@Suite struct ConfigurationVectorTests {
    private struct Update: Decodable {
        struct Answer: Decodable {
            let status: Int
            let info: String
        }
        let id: String
        let channel: String
        let orderer: Answer?
        let before: String
        let wanted: String?
        let after: String?
        let sequenceAfter: UInt64?

        enum CodingKeys: String, CodingKey {
            case id, channel, orderer
            case before = "config_before"
            case wanted = "config_wanted"
            case after = "config_after"
            case sequenceAfter = "sequence_after"
        }
    }

    private struct UnsupportedCapabilities: Error {
        let names: [String]
    }

    private let folder = VectorReport.folder("config")

    private func bytes(_ path: String) throws -> Data {
        try Data(contentsOf: self.folder.appendingPathComponent(path))
    }

    private func updates() throws -> [Update] {
        try JSONDecoder().decode([Update].self, from: self.bytes("updates.json"))
    }

    @Test func everyGenesisBlockOfFabricIsAccepted() throws {
        for name in try self.genesisNames() {
            let block = try Common_Block(serializedBytes: self.bytes("genesis/\(name)/genesis.block"))
            let result = Result { try ChannelConfiguration(configBlock: block) }
            let configuration = try? result.get()
            let holds = configuration?.orderer != nil && configuration?.application != nil
            VectorReport.record(folder: "config", name: "genesis/\(name)", holds: holds, note: "\(result)")
            #expect(holds, "\(name): \(result)")
        }
    }

    private func genesisNames() throws -> [String] {
        try FileManager.default.contentsOfDirectory(
            atPath: self.folder.appendingPathComponent("genesis").path
        ).sorted()
    }

    @Test func updatesAreComputedAsFabricComputesThem() throws {
        for update in try self.updates() {
            guard let wanted = update.wanted else { continue }
            let result = Result {
                try Common_ConfigUpdate.computing(
                    from: Common_Config(serializedBytes: self.bytes(update.before)).channelGroup,
                    to: Common_Config(serializedBytes: self.bytes(wanted)).channelGroup,
                    channelID: ChannelID(update.channel)
                )
            }
            let file = "updates/\(update.id)/config_update.pb"
            // Fabric has computed nothing where there is nothing to change.
            guard update.id != "08-no-change" else {
                #expect(throws: ConfigUpdateError.self, "\(update.id)") { try result.get() }
                continue
            }
            let expected = try Common_ConfigUpdate(serializedBytes: self.bytes(file))
            let isEqual = (try? result.get()) == expected
            VectorReport.record(
                folder: "config",
                name: "compute \(update.id)",
                holds: isEqual,
                note: "\(result)"
            )
            #expect(isEqual, "\(update.id): \(result)")
        }
    }

    @Test func updatesAreAcceptedOrRefusedAsFabricDoesAndHaveTheSameResult() throws {
        for update in try self.updates() {
            guard let answer = update.orderer else { continue }
            // Who may be a Raft consenter is for the consensus engine to say.
            let isEnginesConcern = answer.info.contains("consensus metadata update")
            let result = Result { try self.apply(update) }
            let next = try? result.get()
            var holds = (next != nil) == (answer.status == 200)
            if let after = update.after, let next {
                let expected = try Common_Config(serializedBytes: self.bytes(after))
                holds = holds && next.config == expected && next.sequence == update.sequenceAfter
            }
            if isEnginesConcern, !holds { continue }
            VectorReport.record(
                folder: "config",
                name: "update \(update.id)",
                holds: holds,
                note: "\(result)"
            )
            #expect(holds, "\(update.id): Fabric: \(answer.status) \(answer.info); here: \(result)")
        }
    }

    /// What an orderer does with an update, but for what its consensus engine has to say.
    private func apply(_ update: Update) throws -> ChannelConfiguration {
        let current = try ChannelConfiguration(
            channelID: ChannelID(update.channel),
            config: Common_Config(serializedBytes: self.bytes(update.before))
        )
        let envelope = try Common_Envelope(serializedBytes: self.bytes("updates/\(update.id)/envelope.pb"))
        let headers = try EnvelopeHeaders(envelope)
        let writers =
            current.orderer?.isMaintenance == true ? "/Channel/Orderer/Writers" : "/Channel/Writers"
        try current.policies.evaluate(writers, [headers.signedData])
        let config = try current.applying(Common_ConfigUpdateEnvelope(serializedBytes: headers.payload.data))
        let next = try ChannelConfiguration(channelID: current.channelID, config: config)
        try current.checkTransition(to: next)
        try next.checkBFTConsenters()
        for level in Capabilities.Level.allCases {
            let names = next.capabilities.unsupported(at: level)
            guard names.isEmpty else { throw UnsupportedCapabilities(names: names) }
        }
        return next
    }

    @Test func configBlocksOfFabricAreFollowedByReceivers() throws {
        for update in try self.updates() {
            guard let after = update.after else { continue }
            let file = "updates/\(update.id)/config_block.block"
            let block = try Common_Block(serializedBytes: self.bytes(file))
            let current = try ChannelConfiguration(
                channelID: ChannelID(update.channel),
                config: Common_Config(serializedBytes: self.bytes(update.before))
            )
            let result = Result { try current.successor(block.configEnvelope()) }
            let expected = try Common_Config(serializedBytes: self.bytes(after))
            let holds = (try? result.get())?.config == expected
            VectorReport.record(folder: "config", name: "block \(update.id)", holds: holds, note: "\(result)")
            #expect(holds, "\(update.id): \(result)")

            var forged = try block.configEnvelope()
            forged.config.channelGroup.groups["Orderer"]?.modPolicy = "Readers"
            #expect(throws: ConfigurationError.self) { try current.successor(forged) }
            #expect(throws: ConfigurationError.self) { try result.get().successor(block.configEnvelope()) }
        }
    }

    /// The profiles of `Vectors/config/genesis`, without the MSPs, which are taken from the real block.
    static let profiles = [
        "bft4-org2", "bft4-org3", "raft1-acls", "raft1-cap14", "raft1-cap20", "raft1-noanchors", "raft1-org1",
        "raft1-org3", "raft3-org2", "raft3-policies", "raft5-org3",
    ]

    @Test(arguments: profiles)
    func aProfileBecomesTheConfigurationThatConfigtxgenWrites(name: String) throws {
        let block = try Common_Block(serializedBytes: self.bytes("genesis/\(name)/genesis.block"))
        let real = try block.configEnvelope().config.channelGroup
        let made = try self.profile(name, msps: real).channelGroup()
        VectorReport.record(folder: "config", name: "profile \(name)", holds: made == real)
        #expect(made == real)
    }

    @Test func aGenesisBlockHasTheFormOfConfigtxgens() throws {
        let bytes = try self.bytes("genesis/bft4-org2/genesis.block")
        let real = try Common_Block(serializedBytes: bytes)
        let headers = try EnvelopeHeaders(Common_Envelope(serializedBytes: real.data.data[0]))
        let made = try GenesisBlock.make(
            channelID: ChannelID(headers.channel.channelID),
            profile: self.profile("bft4-org2", msps: real.configEnvelope().config.channelGroup),
            nonce: headers.signature.nonce,
            timestamp: Date(timeIntervalSince1970: Double(headers.channel.timestamp.seconds) + 0.7)
        )
        let again = try EnvelopeHeaders(Common_Envelope(serializedBytes: made.data.data[0]))
        #expect(again.channel == headers.channel)
        #expect(again.signature == headers.signature)
        #expect(made.metadata == real.metadata)
        #expect(made.header.number == 0)
        #expect(try made.configEnvelope() == real.configEnvelope())
        // Order of map entries aside, the same bytes.
        #expect(try (made.serializedBytes() as Data).count == bytes.count)
    }

    /// How many orderers and application organizations the profile of that name has.
    private static func counts(_ name: String) -> (orderers: Int, organizations: Int) {
        let orderers =
            name.hasPrefix("raft1") ? 1 : name.hasPrefix("raft3") ? 3 : name.hasPrefix("raft5") ? 5 : 4
        let hasThree = ["org3", "noanchors", "policies"].contains { name.hasSuffix($0) }
        return (orderers, name.hasSuffix("org1") ? 1 : hasThree ? 3 : 2)
    }

    private func profile(_ name: String, msps real: Common_ConfigGroup) throws -> ChannelProfile {
        let (orderers, organizations) = Self.counts(name)
        let realOrderer = try #require(real.groups["Orderer"])
        let realApplication = try #require(real.groups["Application"])
        func msp(_ group: Common_ConfigGroup?) throws -> Msp_MSPConfig {
            try Msp_MSPConfig(serializedBytes: try #require(group?.values["MSP"]).value)
        }
        let ports = (0..<orderers).map { 30700 + 10 * $0 }
        var application = ChannelProfile.ApplicationProfile(organizations: [])
        let names = [("Alpha", 30150), ("Bravo", 30170), ("Carol", 30190)].prefix(organizations)
        for (group, port) in names {
            application.organizations.append(
                .init(
                    name: group,
                    msp: try msp(realApplication.groups[group]),
                    policies: .applicationOrganization("\(group)MSP"),
                    anchorPeers: name.hasSuffix("noanchors") ? [] : [.init(host: "127.0.0.1", port: port)]
                )
            )
        }
        var orderer = ChannelProfile.OrdererProfile(
            consensus: try self.consensus(name, realOrderer, ports),
            organizations: [
                .init(
                    name: "Order",
                    msp: try msp(realOrderer.groups["Order"]),
                    policies: .ordererOrganization("OrderMSP"),
                    ordererEndpoints: ports.map { "127.0.0.1:\($0)" }
                )
            ],
            batchTimeout: .milliseconds(250),
            batchSize: .with {
                $0.maxMessageCount = 20
                $0.absoluteMaxBytes = 2 << 20
                $0.preferredMaxBytes = 512 << 10
            }
        )
        var profile = ChannelProfile(orderer: nil, application: nil)
        switch name {
        case "bft4-org3":
            orderer.batchTimeout = .milliseconds(300)
            orderer.batchSize.maxMessageCount = 7
        case "raft3-org2":
            orderer.batchTimeout = .seconds(2)
            orderer.batchSize = .fabricDefault
        case "raft1-cap14":
            profile.capabilities = ["V1_4_3"]
            orderer.capabilities = ["V1_4_2"]
            application.capabilities = ["V1_4_2"]
        case "raft1-cap20":
            profile.capabilities = ["V2_0"]
            application.capabilities = ["V2_0"]
        case "raft1-acls":
            application.acls = [
                "peer/Propose": "/Channel/Application/Writers",
                "qscc/GetChainInfo": "/Channel/Application/Admins",
                "_lifecycle/CommitChaincodeDefinition": "Admins",
            ]
        case "raft3-policies":
            profile.policies["Writers"] = .signature("OR('AlphaMSP.client','OrderMSP.orderer')")
            profile.policies["Admins"] = .implicitMeta("ANY Admins")
            application.policies["LifecycleEndorsement"] = .implicitMeta("ANY Endorsement")
            application.policies["Endorsement"] = .implicitMeta("ALL Endorsement")
        default: break
        }
        profile.orderer = orderer
        profile.application = application
        return profile
    }

    /// The consensus part of a profile; certificates come from the real block.
    private func consensus(
        _ name: String,
        _ real: Common_ConfigGroup,
        _ ports: [Int]
    ) throws -> ChannelProfile.Consensus {
        if name.hasPrefix("bft") {
            let value = try #require(real.values["Orderers"]).value
            return .bft(
                options: .fabricDefault,
                consenters: try Common_Orderers(serializedBytes: value).consenterMapping
            )
        }
        let type = try Orderer_ConsensusType(
            serializedBytes: try #require(real.values["ConsensusType"]).value
        )
        var metadata = try Etcdraft_ConfigMetadata(serializedBytes: type.metadata)
        for (index, port) in ports.enumerated() {
            metadata.consenters[index].host = "127.0.0.1"
            metadata.consenters[index].port = UInt32(port)
        }
        metadata.options = .fabricDefault
        if name == "raft5-org3" {
            metadata.options.tickInterval = "250ms"
            metadata.options.snapshotIntervalSize = 20 << 20
        }
        return .raft(metadata)
    }
}
