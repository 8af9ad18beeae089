import Foundation
import Testing

@testable import Gossip

@Suite struct PKIIDTests {
    @Test func aNameHasThirtyTwoBytes() {
        #expect(PKIID(Data(count: 31)) == nil)
        #expect(PKIID(Data(count: 33)) == nil)
        #expect(PKIID(Data(count: 32)) != nil)
    }

    @Test func theOrganizationAndTheCertificateMakeTheName() {
        let one = PKIID(mspID: "Org1MSP", certificate: Data("pem".utf8))
        #expect(one != PKIID(mspID: "Org2MSP", certificate: Data("pem".utf8)))
        #expect(one == PKIID(mspID: "Org1MSPp", certificate: Data("em".utf8)))  // no separator, as in Fabric
    }
}
