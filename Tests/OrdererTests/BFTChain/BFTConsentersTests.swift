import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// The consenters and options that a BFT channel's configuration names.
@Suite struct BFTConsentersTests {
    private let organization: TestOrganization
    private let identities: [Data]
    private let certificates: [Data]

    init() throws {
        let organization = try TestOrganization("OrdererMSP")
        self.organization = organization
        self.identities = try (1...4).map {
            try organization.issue("orderer\($0)", "orderer").certificate.pem
        }
        self.certificates = try (1...4).map { try organization.issueTLS("orderer\($0)") }
    }

    private var mapping: [Common_Consenter] {
        (0..<4).map { index in
            .with {
                $0.id = UInt32(index) + 1
                $0.host = "orderer\(index + 1)"
                $0.port = 7050
                $0.mspID = "OrdererMSP"
                $0.identity = self.identities[index]
                $0.clientTlsCert = self.certificates[index]
                $0.serverTlsCert = self.certificates[index]
            }
        }
    }

    private func read(
        _ mapping: [Common_Consenter],
        _ change: (inout Orderer_Smartbft_Options) -> Void = { _ in }
    ) throws -> BFTConsenters {
        var options = Orderer_Smartbft_Options.fabricDefault
        change(&options)
        return try BFTConsenters(mapping: mapping, metadata: options.serializedBytes())
    }

    @Test("consenters keep the order and the numbers of the configuration")
    func readsConsenters() throws {
        var mapping = self.mapping
        mapping.reverse()
        let consenters = try self.read(mapping)
        #expect(consenters.identifiers == [4, 3, 2, 1])
        #expect(consenters[2]?.endpoint == "orderer2:7050")
        #expect(consenters.options.requestForwardTimeout == .seconds(2))
        #expect(consenters.options.leaderHeartbeatTimeout == .seconds(60))
    }

    @Test("a node finds itself by the key of its identity")
    func findsItself() throws {
        let identity = try self.organization.issue("orderer9", "orderer")
        var mapping = self.mapping
        mapping[2].identity = identity.certificate.pem
        let consenters = try self.read(mapping)
        #expect(consenters.own(identity)?.id == 3)
        #expect(try consenters.own(self.organization.issue("orderer9", "orderer")) == nil)
    }

    @Test("consenters that can't be told apart or reached are refused, with the one at fault")
    func refusesConsenters() throws {
        let mapping = self.mapping
        let cases: [(String, (inout [Common_Consenter]) -> Void)] = [
            ("empty consenter set", { $0 = [] }), ("number 0", { $0[1].id = 0 }),
            ("both have the number 1", { $0[1].id = 1 }),
            ("same identity", { $0[1].identity = $0[0].identity }),
            ("share a TLS key", { $0[1].clientTlsCert = $0[0].clientTlsCert }),
            ("share a TLS key", { $0[1].serverTlsCert = $0[0].clientTlsCert }),
            ("no host and port", { $0[1].host = "" }), ("no host and port", { $0[1].port = 70_000 }),
            ("has no identity", { $0[1].identity = Data() }),
            ("client_tls_cert of consenter 2", { $0[1].clientTlsCert = Data("nothing".utf8) }),
            ("has no server_tls_cert", { $0[1].serverTlsCert = Data() }),
        ]
        for (reason, change) in cases {
            var changed = mapping
            change(&changed)
            #expect {
                try self.read(changed)
            } throws: { error in
                error is InvalidConsensusMetadata && "\(error)".contains(reason)
            }
        }
    }

    @Test("options that can't be kept are refused, with the field at fault")
    func refusesOptions() throws {
        let cases: [(String, (inout Orderer_Smartbft_Options) -> Void)] = [
            ("request_forward_timeout \"\"", { $0.requestForwardTimeout = "" }),
            ("leader_heartbeat_timeout \"0s\"", { $0.leaderHeartbeatTimeout = "0s" }),
            ("view_change_timeout \"-1s\"", { $0.viewChangeTimeout = "-1s" }),
            ("collect_timeout \"soon\"", { $0.collectTimeout = "soon" }),
            ("request_pool_size must be above 0", { $0.requestPoolSize = 0 }),
            ("leader_heartbeat_count must be above 0", { $0.leaderHeartbeatCount = 0 }),
            ("request_batch_max_count must be above 0", { $0.requestBatchMaxCount = 0 }),
            ("must be at most request_complain_timeout (20s)", { $0.requestForwardTimeout = "21s" }),
            ("must be at most request_auto_remove_timeout (3m0s)", { $0.requestComplainTimeout = "4m" }),
            ("must be at most view_change_timeout (20s)", { $0.viewChangeResendInterval = "21s" }),
            ("leader_rotation", { $0.leaderRotation = .on }),
        ]
        for (reason, change) in cases {
            #expect {
                try self.read(self.mapping, change)
            } throws: { error in
                error is InvalidConsensusMetadata && "\(error)".contains(reason)
            }
        }
    }

    @Test("a leader rotation that is off may have a count, as in Fabric")
    func acceptsRotationOff() throws {
        #expect(throws: Never.self) {
            try self.read(self.mapping) {
                $0.leaderRotation = .off
                $0.decisionsPerLeader = 3
            }
        }
    }
}
