import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// Typed changes on configurations that Fabric's configtxgen made.
@Suite struct ConfigurationEditTests {
    static func real(_ name: String) throws -> ChannelConfiguration {
        let file = VectorReport.folder("config").appendingPathComponent("genesis/\(name)/genesis.block")
        return try ChannelConfiguration(configBlock: Common_Block(serializedBytes: Data(contentsOf: file)))
    }

    /// Makes the changes and has everything checked that `weft channel edit` has checked.
    static func review(
        _ edits: ConfigurationEdit...,
        on configuration: ChannelConfiguration
    ) throws -> ConfigUpdateReview {
        var editor = ConfigurationEditor(configuration.config.channelGroup)
        for edit in edits { try editor.apply(edit) }
        try editor.checkConsenterChange(from: configuration.config.channelGroup)
        let update = try Common_ConfigUpdate.computing(
            from: configuration.config.channelGroup,
            to: editor.channelGroup,
            channelID: configuration.channelID
        )
        return try configuration.review(ConfigUpdateFile(update).content)
    }

    private func review(
        _ edits: ConfigurationEdit...,
        on name: String = "raft1-org3"
    ) throws -> ConfigUpdateReview {
        let configuration = try Self.real(name)
        var editor = ConfigurationEditor(configuration.config.channelGroup)
        for edit in edits { try editor.apply(edit) }
        try editor.checkConsenterChange(from: configuration.config.channelGroup)
        let update = try Common_ConfigUpdate.computing(
            from: configuration.config.channelGroup,
            to: editor.channelGroup,
            channelID: configuration.channelID
        )
        return try configuration.review(ConfigUpdateFile(update).content)
    }

    private func msp(of organization: String, in name: String) throws -> Msp_MSPConfig {
        let group = try Self.real(name).config.channelGroup
        let value =
            group.groups["Application"]?.groups[organization]?.values["MSP"]
            ?? group.groups["Orderer"]?.groups[organization]?.values["MSP"]
        return try Msp_MSPConfig(serializedBytes: try #require(value).value)
    }

    @Test func batchBoundsChangeUnderTheOrdererAdministratorsPolicy() throws {
        let review = try self.review(.setBatch(.init(maxMessageCount: 99, timeout: .milliseconds(1500))))
        #expect(review.result.orderer?.batch.maxMessageCount == 99)
        #expect(review.result.orderer?.batchTimeout == .milliseconds(1500))
        #expect(review.needs.map(\.policy) == ["/Channel/Orderer/Admins"])
        #expect(review.requirement.combinations().list.map(\.description) == ["'OrderMSP.admin'"])
        #expect(!review.isAuthorized)
        #expect(
            review.difference.lines == [
                "/Channel/Orderer/BatchSize", "  ~ max_message_count: 20 -> 99",
                "/Channel/Orderer/BatchTimeout", "  ~ timeout: 250ms -> 1.5s",
            ]
        )
    }

    @Test func anOrganizationJoinsWithTheSignaturesOfAMajority() throws {
        let profile = ChannelProfile.OrganizationProfile(
            name: "Carol",
            msp: try self.msp(of: "Carol", in: "raft1-org3"),
            policies: .applicationOrganization("CarolMSP"),
            anchorPeers: [.init(host: "carol", port: 7051)]
        )
        let review = try self.review(.addOrganization(profile, to: .application), on: "raft1-acls")
        #expect(review.result.application?.organizations.map(\.name) == ["Alpha", "Bravo", "Carol"])
        #expect(review.result.application?.organizations.last?.anchorPeers.first?.host == "carol")
        #expect(review.needs.map(\.policy) == ["/Channel/Application/Admins"])
        #expect(
            review.requirement.combinations().list.map(\.description)
                == ["'AlphaMSP.admin' and 'BravoMSP.admin'"]
        )
        #expect(throws: ConfigurationEditError.self) {
            try self.review(.addOrganization(profile, to: .application))
        }
    }

    @Test func anOrganizationLeavesButNeverTheLastOne() throws {
        let review = try self.review(.removeOrganization("CarolMSP", from: .application))
        #expect(review.result.application?.organizations.map(\.name) == ["Alpha", "Bravo"])
        #expect(review.requirement.combinations().list.count == 3)
        #expect(throws: ConfigurationEditError.self) {
            try self.review(.removeOrganization("Nobody", from: .application))
        }
        #expect(throws: ConfigurationEditError.self) {
            try self.review(.removeOrganization("Order", from: .orderer))
        }
    }

    @Test func policiesAccessAndCapabilitiesAreSet() throws {
        let review = try self.review(
            .setPolicy(path: "/Channel/Application/Readers", .implicitMeta("ALL Readers")),
            .setAccess(resource: "qscc/GetChainInfo", policy: nil),
            .setAccess(resource: "event/Block", policy: "Admins"),
            .setCapability(.application, "V2_0", isRequired: true),
            on: "raft1-acls"
        )
        #expect(review.result.application?.acls["qscc/GetChainInfo"] == nil)
        #expect(
            review.result.policyPath(forResource: "event/Block")
                == .channel(path: "/Channel/Application/Admins")
        )
        #expect(review.result.capabilities.application.contains("V2_0"))
    }

    @Test(
        "changes that lead nowhere good are refused before anything is written",
        arguments: [
            ConfigurationEdit.setPolicy(
                path: "/Channel/Application/Readers",
                .signature("OR('Org1MSP.boss')")
            ),
            .setPolicy(path: "Writers", .implicitMeta("ANY Writers")),
            .setPolicy(path: "/Channel/Nowhere/Writers", .implicitMeta("ANY Writers")),
            .removePolicy(path: "/Channel/Application/Nothing"),
            .setAccess(resource: "cscc/JoinChain", policy: "Admins"),
            .setAccess(resource: "made/Up", policy: "Admins"),
            .setAccess(resource: "event/Block", policy: "/Channel/Application/Missing"),
            .setCapability(.channel, "V9_9", isRequired: true),
            .setBatch(.init(maxMessageCount: 0)),
            .setBatch(.init(preferredMaxBytes: .max)),
            .setBatch(.init()),
            .removeConsenter("127.0.0.1:1"),
            .removeConsenter("127.0.0.1:30700"),
            .addOrdererEndpoint("nowhere", of: "Order"),
            .removeOrdererEndpoint("127.0.0.1:1", of: "Order"),
            .removeOrdererEndpoint("127.0.0.1:30700", of: "Order"),
            .setAnchorPeers([.init(host: "", port: 1)], of: "Alpha"),
            .addRevocationList(Data("no list".utf8), of: "Alpha"),
            .setModificationPolicy(path: "/Channel/Application/Alpha/MSP", "no path!"),
        ]
    )
    func isRefused(edit: ConfigurationEdit) {
        #expect(throws: (any Error).self) { try self.review(edit) }
    }

    @Test func aLockedElementIsAllowedAndWarnedOf() throws {
        let review = try self.review(
            .setModificationPolicy(path: "/Channel/Application/ACLs", "Nobody"),
            on: "raft1-acls"
        )
        #expect(review.warnings.count == 1)
        #expect(review.warnings.first?.contains("/Channel/Application/ACLs") == true)
        let stranger = try self.review(
            .setPolicy(path: "/Channel/Orderer/Admins", .signature("OR('StrangerMSP.admin')"))
        )
        #expect(stranger.warnings.contains { $0.contains("/Channel/Orderer/Admins") })
        #expect(try self.review(.setBatch(.init(maxMessageCount: 5))).warnings.isEmpty)
    }

    @Test func consentersOfABFTChannelKeepTheirBlockPolicy() throws {
        let review = try self.review(.removeConsenter("127.0.0.1:30730"), on: "bft4-org2")
        #expect(review.result.orderer?.consenters.count == 3)
        #expect(throws: Never.self) { try review.result.checkBFTConsenters() }
    }

    @Test func raftBecomesBFTInMaintenanceMode() throws {
        let real = try Self.real("raft3-org2")
        let metadata = try Etcdraft_ConfigMetadata(
            serializedBytes: try #require(real.orderer).consensusMetadata
        )
        let known = try #require(Self.real("bft4-org2").orderer).consenters
        func identities(_ mspID: String, _ certificate: (Int) -> Data) -> [ConfigurationEdit.BFTIdentity] {
            metadata.consenters.enumerated().map { index, consenter in
                ConfigurationEdit.BFTIdentity(
                    address: "\(consenter.host):\(consenter.port)",
                    number: UInt32(3 - index),
                    mspID: mspID,
                    certificate: certificate(index)
                )
            }
        }
        let consenters = identities("OrderMSP") { known[$0].identity }
        let review = try Self.review(
            .setMaintenance(true),
            .changeToBFT(consenters, .quick),
            on: real
        )
        let orderer = try #require(review.result.orderer)
        #expect(orderer.consensusType == "BFT")
        #expect(orderer.isMaintenance)
        #expect(orderer.consenters.map(\.id) == [1, 2, 3])
        #expect(
            orderer.consenters.map(\.serverTlsCert) == metadata.consenters.reversed().map(\.serverTlsCert)
        )
        // BlockValidation follows.
        #expect(throws: Never.self) { try review.result.checkBFTConsenters() }
        #expect(throws: ConfigurationEditError.self) {
            try Self.review(.changeToBFT(consenters, .quick), on: real)
        }
        #expect(throws: ConfigurationEditError.self) {
            try Self.review(
                .setMaintenance(true),
                .changeToBFT(Array(consenters.dropFirst()), .quick),
                on: real
            )
        }
        #expect(throws: ConfigurationEditError.self) { try Self.review(.setMaintenance(false), on: real) }
        // TLS certificates are no identities, and an organization that isn't there has none.
        for wrong in [
            identities("OrderMSP") { metadata.consenters[$0].serverTlsCert },
            identities("AnotherMSP") { known[$0].identity },
        ] {
            let refusal = try #require(throws: ConfigurationError.self) {
                try Self.review(.setMaintenance(true), .changeToBFT(wrong, .quick), on: real)
            }
            #expect(refusal.reason.contains("the identity of consenter 1"))
        }
    }

    @Test func raftConsentersChangeOneAtATime() throws {
        let real = try Self.real("raft3-org2")
        let metadata = try Etcdraft_ConfigMetadata(
            serializedBytes: try #require(real.orderer).consensusMetadata
        )
        let addresses = metadata.consenters.map { "\($0.host):\($0.port)" }
        #expect(try self.review(.removeConsenter(addresses[0]), on: "raft3-org2").warnings.isEmpty)
        #expect(throws: ConfigurationEditError.self) {
            try self.review(.removeConsenter(addresses[0]), .removeConsenter(addresses[1]), on: "raft3-org2")
        }
        let other = metadata.consenters[1].clientTlsCert
        #expect(throws: ConfigurationEditError.self) {
            try self.review(
                .setConsenterCertificates(addresses[0], client: other, server: nil),
                on: "raft3-org2"
            )
        }
        // A TLS certificate of another authority.
        let stranger = try #require(
            try Msp_FabricMSPConfig(serializedBytes: self.msp(of: "Alpha", in: "raft3-org2").config)
                .tlsRootCerts.first
        )
        #expect(throws: ConfigurationEditError.self) {
            try self.review(
                .setConsenterCertificates(addresses[0], client: stranger, server: nil),
                on: "raft3-org2"
            )
        }
    }

    @Test func signaturesCountOnceTheyAreThereAndTravelInAFile() throws {
        let configuration = try Self.real("raft1-org3")
        var editor = ConfigurationEditor(configuration.config.channelGroup)
        try editor.apply(.setAccess(resource: "event/Block", policy: "Admins"))
        let update = try Common_ConfigUpdate.computing(
            from: configuration.config.channelGroup,
            to: editor.channelGroup,
            channelID: configuration.channelID
        )
        let bytes: Data = try ConfigUpdateFile(update).unsignedEnvelope().serializedBytes()
        let file = try ConfigUpdateFile(serialized: bytes)
        #expect(file.signers.isEmpty)
        #expect(file.channelID == configuration.channelID)
        #expect(try Common_ConfigUpdate(serializedBytes: file.content.configUpdate) == update)
        #expect(throws: ConfigUpdateError.self) { try ConfigUpdateFile(serialized: Data("nothing".utf8)) }
    }
}
