import CertificateAuthority
import FabricProtos
import Foundation
import Peer
import Testing
import WeftClient

/// A contract that comes to another result at every peer.
private struct DiceContract: Contract {
    func invoke(_ stub: ContractStub) async -> Protos_Response {
        do {
            let roll = Data(UUID().uuidString.utf8)
            try await stub.put("last", roll)
            try await stub.put("throws", Data("1".utf8))
            return .success(roll)
        } catch {
            return .failure("\(error)")
        }
    }
}

/// Endorsers that disagree, as a client hears of it.
@Suite struct DisagreementTests {
    @Test(.timeLimit(.minutes(10)))
    func theGatewayAndTheLibraryTellWhoAnsweredWhatAndInWhatItDiffers() async throws {
        let consortium = try TestConsortium(contracts: ["dice": DiceContract()])
        try await consortium.run {
            try await consortium.define("dice")
            let failure = try await consortium.connect(as: "alice", .client, of: "Auditor") {
                connection,
                identity in
                await #expect(throws: ClientError.self) {
                    try await connection.gateway(channel: "emissions", as: identity).endorse(
                        Invocation(
                            contract: "dice",
                            arguments: [Data("roll".utf8)],
                            organizations: ["UtilityMSP", "AuditorMSP"]
                        )
                    )
                }
            }
            // Fabric's words, code and details, as its clients know them.
            #expect(failure?.code == .refused)
            #expect(
                failure?.message
                    == "failed to collect enough transaction endorsements, see attached details for more info"
            )
            let details = failure?.details ?? []
            #expect(details.first?.message == "ProposalResponsePayloads do not match")
            // Ours comes behind them.
            let told = try #require(details.last?.message)
            #expect(details.count == 2)
            #expect(told.contains("the endorsers came to 2 different results"))
            #expect(told.contains("UtilityMSP at "))
            #expect(told.contains("AuditorMSP at "))
            #expect(told.contains("response payload: (1) "))
            #expect(told.contains("dice, key \"last\", value written: (1) "))
            #expect(!told.contains("throws"))
            try await self.askBoth(consortium)
        }
    }

    /// Without a gateway, the library compares.
    private func askBoth(_ consortium: TestConsortium) async throws {
        try await consortium.connect(as: "bob", .client, of: "Auditor") { auditor, identity in
            try await consortium.connect(as: "carol", .client, of: "Utility") { utility, _ in
                let peers = [auditor, utility].map { $0.peer(channel: "emissions", as: identity) }
                let failure = await #expect(throws: ClientError.self) {
                    _ = try await type(of: peers[0]).endorse(Invocation("dice", "roll"), on: peers)
                }
                #expect(failure?.code == .refused)
                #expect(failure?.message.contains("UtilityMSP at localhost:") == true)
                #expect(failure?.message.contains("key \"last\", value written") == true)
            }
        }
    }
}
