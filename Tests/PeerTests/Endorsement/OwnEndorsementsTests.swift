import Channel
import Foundation
import Testing

@testable import Peer

@Suite struct OwnEndorsementsTests {
    private func endorsement(
        _ data: String,
        identity: String = "peer",
        signature: String = "signature"
    ) -> SignedData {
        SignedData(data: Data(data.utf8), identity: Data(identity.utf8), signature: Data(signature.utf8))
    }

    @Test("an endorsement is known once, and only with the same bytes, identity and signature")
    func knowsWhatWasMade() {
        let own = OwnEndorsements()
        own.add(self.endorsement("a"))
        #expect(!own.take(self.endorsement("b")))
        #expect(!own.take(self.endorsement("a", identity: "peep")))
        #expect(!own.take(self.endorsement("a", signature: "signaturf")))
        #expect(own.take(self.endorsement("a")))
        #expect(!own.take(self.endorsement("a")))
    }

    @Test("a byte that moves from one part to another makes another endorsement")
    func separatesParts() {
        let own = OwnEndorsements()
        own.add(self.endorsement("ab", identity: "c"))
        #expect(!own.take(self.endorsement("a", identity: "bc")))
    }

    @Test("the oldest are forgotten beyond the bound")
    func isBounded() {
        let own = OwnEndorsements(capacity: 4)
        for number in 0..<5 { own.add(self.endorsement("\(number)")) }
        #expect((0..<5).map { own.take(self.endorsement("\($0)")) } == [false, false, true, true, true])
    }
}
