import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

/// Changes of who orders and how, on configurations that Fabric's configtxgen made.
@Suite struct ConsenterEditTests {
    private let bft: ChannelConfiguration
    private let consenters: [Common_Consenter]

    init() throws {
        self.bft = try ConfigurationEditTests.real("bft4-org2")
        self.consenters = try #require(self.bft.orderer).consenters
    }

    /// The four consenters after the last one left, who comes back with another one's certificates.
    private func comesBack(tls: Int, identity: Int) throws -> ConfigUpdateReview {
        let last = try #require(self.consenters.last)
        return try ConfigurationEditTests.review(
            .removeConsenter("\(last.host):\(last.port)"),
            .addConsenter(
                ConfigurationEdit.Consenter(
                    host: "new",
                    port: 1,
                    clientTLSCertificate: self.consenters[tls].clientTlsCert,
                    serverTLSCertificate: self.consenters[tls].serverTlsCert,
                    identity: (5, last.mspID, self.consenters[identity].identity)
                )
            ),
            on: self.bft
        )
    }

    @Test func aConsenterWithKeysOfItsOwnIsAdded() throws {
        let review = try self.comesBack(tls: 3, identity: 3)
        #expect(review.result.orderer?.consenters.map(\.id) == [1, 2, 3, 5])
        #expect(throws: Never.self) { try review.result.checkBFTConsenters() }
    }

    @Test func aConsenterWithAnothersTLSCertificateIsRefused() throws {
        let first = "\(self.consenters[0].host):\(self.consenters[0].port)"
        let refusal = try #require(throws: ConfigurationEditError.self) {
            try self.comesBack(tls: 0, identity: 3)
        }
        #expect(refusal.reason.contains("its TLS certificate has the key of consenter \(first)"))
    }

    @Test func aConsenterWithAnothersIdentityIsRefused() throws {
        let second = "\(self.consenters[1].host):\(self.consenters[1].port)"
        let refusal = try #require(throws: ConfigurationEditError.self) {
            try self.comesBack(tls: 3, identity: 1)
        }
        #expect(refusal.reason.contains("its identity has the key of consenter \(second)"))
    }

    @Test func aConsenterCannotGetAnothersCertificate() throws {
        let address = "\(self.consenters[0].host):\(self.consenters[0].port)"
        #expect(throws: ConfigurationEditError.self) {
            try ConfigurationEditTests.review(
                .setConsenterCertificates(address, client: nil, server: self.consenters[1].serverTlsCert),
                on: self.bft
            )
        }
    }

    @Test func optionsOfBFTAreSetAndTheOthersStay() throws {
        let review = try ConfigurationEditTests.review(
            .setBFTOptions([
                .leaderHeartbeatTimeout(.seconds(2)), .requestPoolSize(9), .requestMaxBytes(1 << 20),
                .speedUpViewChange(true),
            ]),
            on: self.bft
        )
        let before = try Orderer_Smartbft_Options(
            serializedBytes: try #require(self.bft.orderer).consensusMetadata
        )
        let after = try Orderer_Smartbft_Options(
            serializedBytes: try #require(review.result.orderer).consensusMetadata
        )
        var expected = before
        expected.leaderHeartbeatTimeout = "2s"
        expected.requestPoolSize = 9
        expected.requestMaxBytes = 1 << 20
        expected.speedUpViewChange = true
        #expect(after == expected)
        #expect(review.needs.map(\.policy) == ["/Channel/Orderer/Admins"])
    }

    @Test(
        "options that no orderer takes are refused",
        arguments: [
            [ConfigurationEdit.BFTOption.requestForwardTimeout(.seconds(3600))],
            [.viewChangeResendInterval(.seconds(30)), .viewChangeTimeout(.seconds(20))],
            [.requestPoolSize(0)], [.collectTimeout(.zero)], [.leaderHeartbeatCount(0)], [],
        ]
    )
    func areRefused(options: [ConfigurationEdit.BFTOption]) {
        #expect(throws: ConfigurationEditError.self) {
            try ConfigurationEditTests.review(.setBFTOptions(options), on: self.bft)
        }
    }

    @Test func aRaftChannelHasNoOptionsOfBFT() throws {
        let raft = try ConfigurationEditTests.real("raft3-org2")
        #expect(throws: ConfigurationEditError.self) {
            try ConfigurationEditTests.review(.setBFTOptions([.requestPoolSize(9)]), on: raft)
        }
    }
}
