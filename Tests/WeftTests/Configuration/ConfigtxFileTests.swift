import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import weft

@Suite struct ConfigtxFileTests {
    /// A file as people write it: anchors, merges, and keys in several cases.
    private static let yaml = """
        Organizations:
          - &Orderers
            Name: OrdererOrg
            ID: OrdererMSP
            MSPDir: msp/orderer
            Policies: &OrgPolicies
              Readers: { Type: Signature, Rule: "OR('OrdererMSP.member')" }
              Writers: { Type: Signature, Rule: "OR('OrdererMSP.member')" }
              Admins: { Type: Signature, Rule: "OR('OrdererMSP.admin')" }
            OrdererEndpoints: ["orderer.example:7050"]
          - &One
            Name: One
            ID: OneMSP
            MSPDir: msp/one
            Policies: *OrgPolicies
            AnchorPeers: [{ Host: peer.one.example, Port: 7051 }]
        Capabilities:
          Channel: &ChannelCapabilities { V3_0: true, V2_0: false }
          Orderer: &OrdererCapabilities { V2_0: true }
          Application: &ApplicationCapabilities { V2_5: true }
        Orderer: &OrdererDefaults
          OrdererType: etcdraft
          Addresses:
          BatchTimeout: 2s
          BatchSize: { MaxMessageCount: 10, AbsoluteMaxBytes: 10 MB, PreferredMaxBytes: 512 KB }
          MaxChannels: 0
          Policies: &Policies
            Readers: { Type: ImplicitMeta, Rule: "ANY Readers" }
            Writers: { Type: ImplicitMeta, Rule: "ANY Writers" }
            Admins: { Type: ImplicitMeta, Rule: "MAJORITY Admins" }
            BlockValidation: { Type: ImplicitMeta, Rule: "ANY Writers" }
          Capabilities: { <<: *OrdererCapabilities }
        Application: &ApplicationDefaults
          ACLs: { peer/Propose: /Channel/Application/Writers }
          Organizations:
          Policies: *Policies
          Capabilities: { <<: *ApplicationCapabilities }
        Channel: &ChannelDefaults
          Policies: *Policies
          Capabilities: { <<: *ChannelCapabilities }
        Profiles:
          Raft:
            <<: *ChannelDefaults
            Orderer:
              <<: *OrdererDefaults
              EtcdRaft:
                Consenters:
                  - { Host: orderer.example, Port: 7050, ClientTlsCert: tls.pem, ServerTLSCert: tls.pem }
                Options: { TickInterval: 250ms, ElectionTick: 0 }
              Organizations: [*Orderers]
            Application:
              <<: *ApplicationDefaults
              organizations: [*One]
          BFT:
            <<: *ChannelDefaults
            Orderer:
              <<: *OrdererDefaults
              OrdererType: BFT
              SmartBFT: { RequestBatchMaxInterval: 200ms, LeaderHeartbeatCount: 10, SpeedUpViewChange: true }
              ConsenterMapping:
                - { ID: 1, Host: a, Port: 1, MSPID: OrdererMSP, Identity: tls.pem, ClientTLSCert: tls.pem, \
        ServerTLSCert: tls.pem }
              Organizations: [*Orderers]
            Application: { <<: *ApplicationDefaults, Organizations: [*One] }
          Plain:
            <<: *ChannelDefaults
            Orderer: { <<: *OrdererDefaults, OrdererType: BFT, ConsenterMapping: [], Organizations: [*Orderers] }
          Creation:
            <<: *ChannelDefaults
            Consortium: Some
            Application: { <<: *ApplicationDefaults, Organizations: [*One] }
          System:
            <<: *ChannelDefaults
            Orderer:
              <<: *OrdererDefaults
              EtcdRaft:
                Consenters: [{ Host: o, Port: 7050, ClientTLSCert: tls.pem, ServerTLSCert: tls.pem }]
              Organizations: [*Orderers]
            Consortiums: { Some: { Organizations: [*One] } }
        """

    /// Works on the file in a folder with a certificate beside it.
    private func withFile<Value>(
        _ yaml: String = Self.yaml,
        environment: [String: String] = [:],
        _ body: (ConfigtxFile) throws -> Value
    ) throws -> Value {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("configtx-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("a certificate".utf8).write(to: folder.appendingPathComponent("tls.pem"))
        let file = folder.appendingPathComponent("configtx.yaml")
        try Data(yaml.utf8).write(to: file)
        let found = try ConfigtxFile.find(in: folder.path, environment: [:])
        #expect(found == file.path)
        return try body(
            ConfigtxFile(file: found, environment: environment) { folder, mspID in
                try .with {
                    $0.config = try Msp_FabricMSPConfig.with { $0.name = mspID }.serializedBytes()
                    $0.type = folder.hasPrefix("/") ? 0 : 9
                }
            }
        )
    }

    @Test func aRaftProfileIsRead() throws {
        let profile = try self.withFile { try $0.profile("Raft") }
        #expect(profile.capabilities == ["V3_0"])
        let orderer = try #require(profile.orderer)
        guard case .raft(let metadata) = orderer.consensus else {
            Issue.record("not Raft")
            return
        }
        #expect(metadata.consenters.map(\.host) == ["orderer.example"])
        #expect(metadata.consenters.first?.clientTlsCert == Data("a certificate".utf8))
        #expect(metadata.options.tickInterval == "250ms")
        #expect(metadata.options.electionTick == 10)
        #expect(metadata.options.snapshotIntervalSize == 16 << 20)
        #expect(orderer.batchSize.maxMessageCount == 10)
        #expect(orderer.batchSize.absoluteMaxBytes == 10 << 20)
        #expect(orderer.batchSize.preferredMaxBytes == 512 << 10)
        #expect(orderer.organizations.map(\.ordererEndpoints) == [["orderer.example:7050"]])
        let application = try #require(profile.application)
        #expect(application.acls == ["peer/Propose": "/Channel/Application/Writers"])
        #expect(application.organizations.first?.anchorPeers.first?.port == 7051)
        #expect(application.organizations.first?.msp?.type == 0, "paths are meant from the file's folder")
        #expect(application.policies["Admins"] == .implicitMeta("MAJORITY Admins"))
    }

    @Test func whatASmartBFTSectionLeavesOutStaysUnset() throws {
        let profile = try self.withFile { try $0.profile("BFT") }
        guard case .bft(let options, let consenters)? = profile.orderer?.consensus else {
            Issue.record("not BFT")
            return
        }
        #expect(consenters.map(\.id) == [1])
        #expect(options.requestBatchMaxInterval == "200ms")
        #expect(options.leaderHeartbeatCount == 10)
        #expect(options.speedUpViewChange)
        #expect(options.requestBatchMaxCount == 0)
        #expect(options.viewChangeTimeout.isEmpty)
    }

    @Test func theEnvironmentOverridesTheProfile() throws {
        let environment = [
            "CONFIGTX_PROFILES_RAFT_ORDERER_BATCHTIMEOUT": "7s",
            "CONFIGTX_PROFILES_RAFT_ORDERER_BATCHSIZE_MAXMESSAGECOUNT": "77",
            "CONFIGTX_ORDERER_BATCHTIMEOUT": "9s",
        ]
        let profile = try self.withFile(environment: environment) { try $0.profile("Raft") }
        #expect(profile.orderer?.batchTimeout == .seconds(7))
        #expect(profile.orderer?.batchSize.maxMessageCount == 77)
    }

    @Test func anOrganizationIsFoundByItsName() throws {
        let organization = try self.withFile { try $0.organization(named: "One") }
        let group = try organization.applicationGroup()
        #expect(Set(group.values.keys) == ["MSP", "AnchorPeers"])
        #expect(Set(group.policies.keys) == ["Readers", "Writers", "Admins"])
        let orderer = try self.withFile { try $0.organization(named: "OrdererOrg") }
        #expect(Set(try orderer.ordererGroup().values.keys) == ["MSP", "Endpoints"])
        #expect(throws: weft.ConfigurationError.self) {
            try self.withFile { try $0.organization(named: "Two") }
        }
    }

    @Test func whatIsWrongIsNamed() throws {
        let cases: [(profile: String, replace: String, by: String, says: String)] = [
            (
                "Nothing", "", "",
                "Could not find profile: Nothing; there are: Raft, BFT, Plain, Creation, System"
            ),
            ("Plain", "", "", "did not specify any consenter"),
            ("Raft", "BatchTimeout: 2s", "BatchTimout: 2s", "unknown key"),
            ("Raft", "BatchTimeout: 2s", "BatchTimeout: 2", "\"2\" is not valid"),
            ("Raft", "OrdererType: etcdraft", "OrdererType: solo", "Fabric 3 has no consensus of type solo"),
            ("Raft", "10 MB", "10 Megabytes", "expected a number of bytes"),
            ("Raft", "TickInterval: 250ms", "HeartbeatTick: 10", "election tick must be greater"),
            ("Raft", "tls.pem, ServerTLSCert", "no.pem, ServerTLSCert", "there is no such file"),
            (
                "Raft", "Type: ImplicitMeta, Rule: \"ANY Readers\"", "Type: Implicit, Rule: \"ANY Readers\"",
                "ImplicitMeta"
            ),
        ]
        for test in cases {
            let yaml = test.replace.isEmpty ? Self.yaml : Self.yaml.replacing(test.replace, with: test.by)
            #expect(test.replace.isEmpty || yaml != Self.yaml, "\(test.replace)")
            #expect {
                try self.withFile(yaml) { try $0.profile(test.profile) }
            } throws: { error in
                "\(error)".contains(test.says)
            }
        }
    }

    @Test func aGenesisBlockOfAProfileIsAConfigurationThatNodesAccept() throws {
        let profile = try self.withFile { try $0.profile("System") }
        let group = try profile.channelGroup()
        let consortium = try #require(group.groups["Consortiums"]?.groups["Some"])
        #expect(consortium.modPolicy == "/Channel/Orderer/Admins")
        #expect(consortium.groups["One"]?.values.keys.sorted() == ["MSP"])
        #expect(consortium.values.keys.sorted() == ["ChannelCreationPolicy"])
    }

    @Test func aRequestToCreateAChannelNamesItsConsortium() throws {
        let (profile, base) = try self.withFile { (try $0.profile("Creation"), try $0.profile("System")) }
        for base in [nil, base] {
            let envelope = try ChannelCreation.envelope(
                channelID: ChannelID("c"),
                profile: profile,
                base: base,
                timestamp: Date(timeIntervalSince1970: 5)
            )
            let payload = try Common_Payload(serializedBytes: envelope.payload)
            let outer = try Common_ConfigUpdateEnvelope(serializedBytes: payload.data)
            let update = try Common_ConfigUpdate(serializedBytes: outer.configUpdate)
            #expect(update.channelID == "c")
            #expect(update.readSet.values["Consortium"] == Common_ConfigValue())
            #expect(update.writeSet.groups["Application"]?.groups.keys.sorted() == ["One"])
        }
    }
}
