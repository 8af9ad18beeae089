import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation
import Testing

@Suite struct CryptoMaterialTests {
    let folder: TemporaryFolder
    let now = CivilTime(year: 2026, month: 3, day: 1).date

    init() throws { self.folder = try TemporaryFolder() }

    var configuration: CryptoConfiguration {
        var orderers = CryptoConfiguration.OrganizationEntry(name: "Orderer", domain: "example.com")
        orderers.specs = [CryptoConfiguration.NodeEntry(hostname: "orderer")]
        orderers.enableNodeOUs = true
        var peers = CryptoConfiguration.OrganizationEntry(name: "Org1", domain: "org1.example.com")
        peers.enableNodeOUs = true
        peers.template.count = 2
        peers.template.alternativeNames = ["{{.Hostname}}.alt.{{.Domain}}", "10.0.0.1"]
        peers.userCount = 1
        peers.authority.place.country = "DE"
        peers.authority.place.locality = "Emden"
        return CryptoConfiguration(ordererOrganizations: [orderers], peerOrganizations: [peers])
    }

    /// The files are those of Fabric's tool, but for empty folders, and the two records for `weft ca`.
    @Test func writesTheLayoutOfFabricsTool() throws {
        try CryptoMaterial(path: self.folder.path).generate(self.configuration, now: self.now)
        let base = "peerOrganizations/org1.example.com"
        let peer = "\(base)/peers/peer1.org1.example.com"
        for file in [
            "\(base)/ca/ca.org1.example.com-cert.pem", "\(base)/ca/priv_sk",
            "\(base)/tlsca/tlsca.org1.example.com-cert.pem", "\(base)/msp/config.yaml",
            "\(base)/msp/cacerts/ca.org1.example.com-cert.pem",
            "\(base)/msp/tlscacerts/tlsca.org1.example.com-cert.pem",
            "\(peer)/msp/signcerts/peer1.org1.example.com-cert.pem", "\(peer)/msp/keystore/priv_sk",
            "\(peer)/tls/ca.crt", "\(peer)/tls/server.crt", "\(peer)/tls/server.key",
            "\(base)/users/User1@org1.example.com/tls/client.crt",
            "\(base)/users/Admin@org1.example.com/msp/signcerts/Admin@org1.example.com-cert.pem",
            "ordererOrganizations/example.com/orderers/orderer.example.com/tls/server.crt",
            "ordererOrganizations/example.com/users/Admin@example.com/msp/keystore/priv_sk",
        ] {
            #expect(self.folder.exists(file), "\(file)")
        }
        let tls = try Certificate(pem: self.folder.read("\(peer)/tls/server.crt"))
        #expect(
            tls.subjectAlternativeNames?.map(\.description)
                == ["peer1.org1.example.com", "peer1", "peer1.alt.org1.example.com", "10.0.0.1"]
        )
        #expect(tls.subject.description == "CN=peer1.org1.example.com,L=Emden,C=DE")
    }

    @Test func extendsWithoutTouchingWhatIsThere() throws {
        let material = CryptoMaterial(path: self.folder.path)
        try material.generate(self.configuration, now: self.now)
        let old = "peerOrganizations/org1.example.com/peers/peer0.org1.example.com/tls/server.crt"
        let before = try self.folder.read(old)
        #expect(throws: AuthorityError.self) { try material.generate(self.configuration, now: self.now) }
        var larger = self.configuration
        larger.peerOrganizations[0].template.count = 3
        larger.peerOrganizations[0].userCount = 2
        try material.extend(larger, now: self.now)
        #expect(try self.folder.read(old) == before)
        #expect(self.folder.exists("peerOrganizations/org1.example.com/peers/peer2.org1.example.com/msp"))
        #expect(self.folder.exists("peerOrganizations/org1.example.com/users/User2@org1.example.com/msp"))
    }

    @Test func listsTheAdministratorWithoutNodeOUs() throws {
        var configuration = self.configuration
        configuration.peerOrganizations[0].enableNodeOUs = false
        try CryptoMaterial(path: self.folder.path).generate(configuration, now: self.now)
        let base = "\(self.folder.path)/peerOrganizations/org1.example.com"
        let admin = try MSPFolder("\(base)/users/Admin@org1.example.com/msp")
            .signingIdentity(mspID: MSPID("Org1MSP"))
        for path in ["msp", "peers/peer0.org1.example.com/msp", "users/Admin@org1.example.com/msp"] {
            let config = try MSPFolder("\(base)/\(path)").configuration(mspID: MSPID("Org1MSP")).config
            let msp = try MSP(config, version: .v3_0)
            let identity = try msp.identity(from: admin.serialized)
            try msp.satisfies(identity, .role(mspID: "Org1MSP", role: .admin))
            #expect(identity.organizationalUnits.isEmpty)
        }
    }

    @Test(arguments: ["{{.Nothing}}", "{{.Hostname", "{{Hostname}}"])
    func refusesUnknownPlaceholders(_ name: String) {
        var configuration = self.configuration
        configuration.peerOrganizations[0].template.alternativeNames = [name]
        #expect(throws: AuthorityError.self) {
            try CryptoMaterial(path: self.folder.path).generate(configuration, now: self.now)
        }
    }
}
