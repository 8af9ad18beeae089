import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// What an update may do to consensus: BFT's rules, and the way from Raft to BFT.
@Suite struct ConsensusTransitionTests {
    private typealias Change = @Sendable (inout Common_ConfigGroup) throws -> Void

    private let bft: BFTTestNetwork
    private let raft: ChannelConfiguration
    private let byzantine: ChannelConfiguration

    init() throws {
        self.bft = try BFTTestNetwork(5)
        self.raft = try ChannelConfiguration(
            configBlock: self.bft.network.genesis(
                of: "trade",
                certificates: Array(self.bft.certificates.prefix(4))
            )
        )
        self.byzantine = try ChannelConfiguration(configBlock: self.bft.genesis(consenters: 4))
    }

    /// The configuration that an update leads to.
    private func apply(
        _ change: Change,
        to current: ChannelConfiguration,
        active: [NodeID]? = nil
    ) throws(Refusal) -> ChannelConfiguration {
        let processing = ConfigUpdateProcessing(
            rules: EnvelopeRules(configuration: current, now: Date()),
            signer: self.bft.signers[0],
            nonce: { Data(count: 24) },
            active: active,
            identifiers: [1, 2, 3, 4]
        )
        do {
            let update = try self.bft.network.update(
                from: current.config,
                sender: self.bft.network.ordererAdmin,
                change
            )
            let config = try processing.configuration(after: EnvelopeHeaders(update))
            return try ChannelConfiguration(channelID: current.channelID, config: config)
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw .badRequest("the test's update can't be made: \(error)")
        }
    }

    private func refusal(
        _ change: Change,
        of current: ChannelConfiguration,
        active: [NodeID]? = nil
    ) -> Refusal? {
        do throws(Refusal) {
            _ = try self.apply(change, to: current, active: active)
            return nil
        } catch {
            return error
        }
    }

    private static func consensus(_ change: @escaping @Sendable (inout Orderer_ConsensusType) throws -> Void)
        -> Change
    {
        { group in
            let bytes = group.groups["Orderer"]?.values["ConsensusType"]?.value ?? Data()
            var type = try Orderer_ConsensusType(serializedBytes: bytes)
            try change(&type)
            group.groups["Orderer"]?.values["ConsensusType"]?.value = try type.serializedBytes()
        }
    }

    private static func options(_ change: @escaping @Sendable (inout Orderer_Smartbft_Options) -> Void)
        -> Change
    {
        self.consensus { type in
            var options = try Orderer_Smartbft_Options(serializedBytes: type.metadata)
            change(&options)
            type.metadata = try options.serializedBytes()
        }
    }

    private static func consenters(_ consenters: [Common_Consenter], policy: Bool = true) -> Change {
        { group in
            group.groups["Orderer"]?.values["Orderers", default: .with { $0.modPolicy = "Admins" }].value =
                try Common_Orderers.with { $0.consenterMapping = consenters }.serializedBytes()
            guard policy else { return }
            group.groups["Orderer"]?.policies["BlockValidation"]?.policy =
                try BFTBlockValidation.policy(consenters: consenters)
        }
    }

    private static func combining(_ changes: [Change]) -> Change {
        { group in for change in changes { try change(&group) } }
    }

    private static let entering = consensus { $0.state = .maintenance }
    private static let leaving = consensus { $0.state = .normal }

    private func migration(_ consenters: [Common_Consenter]) -> Change {
        Self.combining([
            Self.consensus { type in
                type.type = "BFT"
                type.metadata = try Orderer_Smartbft_Options.fabricDefault.serializedBytes()
            }, Self.consenters(consenters),
        ])
    }

    // MARK: - Raft

    @Test("no consenter goes while too few work, or while a new leader doesn't know how many do")
    func keepsAQuorum() {
        let removal = Self.consensus { type in
            var metadata = try Etcdraft_ConfigMetadata(serializedBytes: type.metadata)
            metadata.consenters.removeLast()
            type.metadata = try metadata.serializedBytes()
        }
        #expect(self.refusal(removal, of: self.raft, active: [1, 2, 4])?.status == nil)
        let tooFew = self.refusal(removal, of: self.raft, active: [1, 4])
        #expect(tooFew?.status == .badRequest)
        #expect(tooFew?.info.contains("2 out of 4 nodes are alive") == true)
        let unknown = self.refusal(removal, of: self.raft, active: [])
        #expect(unknown?.status == .serviceUnavailable)
        #expect(unknown?.info.contains("try again") == true)
    }

    // MARK: - BFT

    @Test("consenters are added and removed together with the BlockValidation policy")
    func changesConsenters() throws {
        let five = try self.apply(Self.consenters(self.bft.consenters), to: self.byzantine)
        #expect(five.orderer?.consenters.count == 5)
        let three = try self.apply(Self.consenters(Array(self.bft.consenters.suffix(3))), to: five)
        #expect(three.orderer?.consenters.map(\.id) == [3, 4, 5])
    }

    @Test(
        "a BlockValidation policy that does not follow from the consenters is SERVICE_UNAVAILABLE, as in Fabric"
    )
    func needsPolicy() {
        let refusal = self.refusal(Self.consenters(self.bft.consenters, policy: false), of: self.byzantine)
        #expect(refusal?.status == .serviceUnavailable)
        #expect(refusal?.info.contains("BlockValidation") == true)
    }

    @Test("leaders in turn are SERVICE_UNAVAILABLE, as in Fabric")
    func refusesRotation() {
        let refusal = self.refusal(Self.options { $0.leaderRotation = .on }, of: self.byzantine)
        #expect(refusal?.status == .serviceUnavailable)
        #expect(refusal?.info.contains("leader_rotation") == true)
    }

    @Test("options that can't be kept are BAD_REQUEST, with the field")
    func refusesOptions() {
        let refusal = self.refusal(Self.options { $0.collectTimeout = "never" }, of: self.byzantine)
        #expect(refusal?.status == .badRequest)
        #expect(refusal?.info.contains("collect_timeout") == true)
    }

    @Test("a consenter whose identity no organization knows is BAD_REQUEST")
    func refusesStrangers() throws {
        var consenters = self.bft.consenters
        consenters[4].identity = try self.bft.network.stranger.issue("orderer5", "orderer").certificate.pem
        let refusal = self.refusal(Self.consenters(consenters), of: self.byzantine)
        #expect(refusal?.status == .badRequest)
        #expect(refusal?.info.contains("identity of consenter 5") == true)
    }

    @Test("two consenters with one identity are refused")
    func refusesTwins() {
        var consenters = self.bft.consenters
        consenters[4].identity = consenters[0].identity
        #expect(
            self.refusal(Self.consenters(consenters), of: self.byzantine)?.info.contains("vote twice") == true
        )
    }

    // MARK: - From Raft to BFT

    @Test("Raft becomes BFT in maintenance mode, with the same nodes")
    func migrates() throws {
        let four = Array(self.bft.consenters.prefix(4))
        let maintenance = try self.apply(Self.entering, to: self.raft)
        #expect(maintenance.orderer?.isMaintenance == true)
        let changed = try self.apply(self.migration(four), to: maintenance)
        #expect(changed.orderer?.consensusType == "BFT")
        let normal = try self.apply(Self.leaving, to: changed)
        #expect(normal.orderer?.isMaintenance == false)
        #expect(try ChannelConsenters(normal).count == 4)
    }

    @Test("outside of maintenance mode, or together with leaving it, the type can't change")
    func needsMaintenance() throws {
        let migration = self.migration(Array(self.bft.consenters.prefix(4)))
        let outside = self.refusal(migration, of: self.raft)
        #expect(outside?.status == .badRequest)
        #expect(outside?.info.contains("outside of maintenance mode") == true)
        let maintenance = try self.apply(Self.entering, to: self.raft)
        let leaving = self.refusal(Self.combining([migration, Self.leaving]), of: maintenance)
        #expect(leaving?.info.contains("outside of maintenance mode") == true)
    }

    @Test("the BFT consenters must be the Raft consenters: as many, the same addresses and certificates")
    func keepsNodes() throws {
        let maintenance = try self.apply(Self.entering, to: self.raft)
        let more = self.refusal(self.migration(self.bft.consenters), of: maintenance)
        #expect(more?.status == .badRequest)
        #expect(more?.info.contains("4 Raft consenters and would have 5") == true)
        var others = Array(self.bft.consenters.prefix(4))
        others[3] = self.bft.consenter(4)
        let other = self.refusal(self.migration(others), of: maintenance)
        #expect(other?.info.contains("localhost:7053 is no BFT consenter") == true)
    }

    @Test("BFT can't become Raft")
    func goesOneWay() throws {
        let maintenance = try self.apply(Self.entering, to: self.byzantine)
        let metadata = self.raft.orderer?.consensusMetadata ?? Data()
        let refusal = self.refusal(
            Self.consensus { type in
                type.type = "etcdraft"
                type.metadata = metadata
            },
            of: maintenance
        )
        #expect(refusal?.status == .badRequest)
        #expect(refusal?.info.contains("only etcdraft can become BFT") == true)
    }

    @Test("entering maintenance mode is all that its update does")
    func entersAlone() {
        let refusal = self.refusal(
            Self.combining([Self.entering, Self.consenters(self.bft.consenters)]),
            of: self.byzantine
        )
        #expect(refusal?.info.contains("nothing but /Channel/Orderer/ConsensusType") == true)
    }
}
