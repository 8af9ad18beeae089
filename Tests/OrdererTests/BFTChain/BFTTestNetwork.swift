import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf

@testable import Orderer

/// The nodes of a BFT channel of the test network's organizations.
struct BFTTestNetwork: Sendable {
    let network: TestNetwork
    let signers: [SigningIdentity]
    let certificates: [Data]

    init(_ count: Int, network: TestNetwork? = nil) throws {
        let network = try network ?? TestNetwork()
        self.network = network
        self.signers = try (1...count).map {
            try network.ordererOrganization.issue("orderer\($0)", "orderer")
        }
        self.certificates = try (1...count).map { try network.ordererOrganization.issueTLS("orderer\($0)") }
    }

    /// The consenters with the numbers 1, 2 and so on.
    var consenters: [Common_Consenter] { self.signers.indices.map { self.consenter($0) } }

    func consenter(_ index: Int) -> Common_Consenter {
        .with {
            $0.id = UInt32(index) + 1
            $0.host = "localhost"
            $0.port = UInt32(7050 + index)
            $0.mspID = "OrdererMSP"
            $0.identity = self.signers[index].certificate.pem
            $0.clientTlsCert = self.certificates[index]
            $0.serverTlsCert = self.certificates[index]
        }
    }

    /// A genesis block with the first `count` of the nodes as consenters; all without.
    func genesis(
        of channel: String = "trade",
        consenters count: Int? = nil,
        _ change: (inout Orderer_Smartbft_Options) -> Void = { _ in }
    ) throws -> Common_Block {
        var options = Orderer_Smartbft_Options.fabricDefault
        change(&options)
        return try self.network.genesis(of: channel) { profile in
            profile.orderer?.consensus = .bft(
                options: options,
                consenters: Array(self.consenters.prefix(count ?? self.consenters.count))
            )
        }
    }
}
