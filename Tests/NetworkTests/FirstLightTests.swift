import CertificateAuthority
import Channel
import FabricProtos
import Foundation
import Ledger
import Peer
import SwiftProtobuf
import Testing
import WeftClient

/// A consortium of three organizations commits real transactions over mutual TLS.
@Suite struct FirstLightTests {
    private func approve(_ consortium: TestConsortium, _ organization: String) async throws {
        let arguments: Data = try Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs.with {
            $0.sequence = 1
            $0.name = "kv"
            $0.version = "1.0"
        }.serializedBytes()
        try await consortium.connect(as: "Admin", .admin, of: organization) { connection, identity in
            _ = try await connection.gateway(channel: "emissions", as: identity).submit(
                Invocation(
                    contract: "_lifecycle",
                    arguments: [Data("ApproveChaincodeDefinitionForMyOrg".utf8), arguments],
                    organizations: ["\(organization)MSP"]
                )
            )
        }
    }

    private func commitDefinition(_ consortium: TestConsortium) async throws {
        let arguments: Data = try Lifecycle_CommitChaincodeDefinitionArgs.with {
            $0.sequence = 1
            $0.name = "kv"
            $0.version = "1.0"
        }.serializedBytes()
        try await consortium.connect(as: "Officer", .admin, of: "Utility") { connection, identity in
            _ = try await connection.gateway(channel: "emissions", as: identity).submit(
                Invocation(
                    contract: "_lifecycle",
                    arguments: [Data("CommitChaincodeDefinition".utf8), arguments],
                    organizations: ["UtilityMSP", "AuditorMSP"]
                )
            )
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func threeOrganizationsAgreeOnWhatIsCommitted() async throws {
        let consortium = try TestConsortium()
        try await consortium.run {
            for organization in TestConsortium.organizations {
                try await self.approve(consortium, organization)
            }
            try await self.commitDefinition(consortium)
            let block = try await consortium.connect(as: "alice", .client, of: "Auditor") {
                connection,
                identity in
                let gateway = connection.gateway(channel: "emissions", as: identity)
                let committed = try await gateway.submit(Invocation("kv", "put", ["answer", "42"]))
                #expect(try await gateway.evaluate(Invocation("kv", "get", ["answer"])) == Data("42".utf8))
                return committed.block
            }
            var hashes = Set<Data>()
            for organization in TestConsortium.organizations {
                let channel = try consortium.channel(of: organization)
                try await channel.committed.waitForBlock(block)
                #expect(channel.ledger.height == block + 1)
                hashes.insert(channel.ledger.lastCommitHash)
                let value = try channel.ledger.snapshot().value(namespace: "kv", key: "answer")
                #expect(value?.value == Data("42".utf8))
            }
            #expect(hashes.count == 1)
        }
    }
}
