import CertificateAuthority
import Channel
import FabricProtos
import Foundation
import Ledger
import Peer
import Testing
import WeftClient

/// A consortium of three organizations commits real transactions over mutual TLS.
@Suite struct FirstLightTests {
    @Test(.timeLimit(.minutes(10)))
    func threeOrganizationsAgreeOnWhatIsCommitted() async throws {
        let consortium = try TestConsortium()
        try await consortium.run {
            try await consortium.define("kv")
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
