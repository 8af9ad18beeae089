import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

/// A folder that disappears with the test.
final class TemporaryFolder {
    let path = FileManager.default.temporaryDirectory.appending(path: "weft-ca-\(UUID())").path

    init() throws {
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }

    func mode(_ file: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(self.path)/\(file)")
        return try #require(attributes[.posixPermissions] as? Int)
    }

    func exists(_ file: String) -> Bool { FileManager.default.fileExists(atPath: "\(self.path)/\(file)") }

    func read(_ file: String) throws -> Data { try Data(contentsOf: URL(filePath: "\(self.path)/\(file)")) }
}

@Suite struct OrganizationAuthorityTests {
    let folder: TemporaryFolder
    let now = CivilTime(year: 2026, month: 3, day: 1).date
    let authority: OrganizationAuthority

    init() throws {
        self.folder = try TemporaryFolder()
        self.authority = try OrganizationAuthority.create(
            at: "\(self.folder.path)/org",
            Organization(domain: "org.example.com", mspID: "OrgMSP"),
            now: self.now
        )
    }

    func msp(_ version: MSPVersion = .v3_0) throws -> MSP {
        let (config, warnings) = try MSPFolder("\(self.authority.path)/msp")
            .configuration(mspID: MSPID("OrgMSP"))
        #expect(warnings.isEmpty)
        return try MSP(config, version: version)
    }

    @Test(arguments: IssueRequest.Role.allCases, Organization.KeyKind.allCases)
    func issuesMembersThatTheirMSPKnows(_ role: IssueRequest.Role, _ kind: Organization.KeyKind) throws {
        var request = IssueRequest(name: "m0", role: role, hosts: ["localhost", "127.0.0.1", "m0"])
        request.keyKind = kind
        let issued = try self.authority.issue(request, now: self.now)
        let signer = try MSPFolder("\(issued.path)/msp").signingIdentity(mspID: MSPID("OrgMSP"))
        let msp = try self.msp()
        let identity = try msp.identity(from: signer.serialized)
        try msp.validate(identity)
        try identity.verify(signer.sign(Data("x".utf8)), of: Data("x".utf8))
        for other in [Principal.Role.admin, .client, .peer, .orderer] {
            let isSatisfied = (try? msp.satisfies(identity, .role(mspID: "OrgMSP", role: other))) != nil
            #expect(isSatisfied == ("\(other)" == role.rawValue))
        }
        let names = (issued.tls.subjectAlternativeNames ?? []).map(\.description)
        let own =
            role.isNode
            ? ["m0.org.example.com", "m0", "localhost", "127.0.0.1"] : ["localhost", "127.0.0.1", "m0"]
        #expect(names == own)
        #expect(issued.tls.publicKey != issued.enrollment.publicKey)
    }

    @Test func protectsPrivateKeys() throws {
        try self.authority.issue(IssueRequest(name: "peer0", role: .peer), now: self.now)
        let peer = "org/peers/peer0.org.example.com"
        for key in [
            "org/ca/priv_sk", "org/tlsca/priv_sk", "\(peer)/msp/keystore/priv_sk", "\(peer)/tls/server.key",
        ] {
            #expect(try self.folder.mode(key) == 0o600)
        }
        #expect(try self.folder.mode("\(peer)/msp/keystore") == 0o700)
        #expect(try self.folder.mode("\(peer)/tls/server.crt") == 0o644)
    }

    @Test func neverOverwrites() throws {
        try self.authority.issue(IssueRequest(name: "peer0", role: .peer), now: self.now)
        let file = "org/peers/peer0.org.example.com/tls/server.key"
        let before = try self.folder.read(file)
        let again = #expect(throws: AuthorityError.self) {
            try self.authority.issue(IssueRequest(name: "peer0", role: .peer), now: self.now)
        }
        #expect(again?.code == .exists)
        #expect(try self.folder.read(file) == before)
        let second = #expect(throws: AuthorityError.self) {
            try OrganizationAuthority.create(
                at: self.authority.path,
                self.authority.organization,
                now: self.now
            )
        }
        #expect(second?.code == .exists)
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(self.authority.path)/peers")
        #expect(names == ["peer0.org.example.com"])
    }

    @Test func renewsWithTheSameKeys() throws {
        let first = try self.authority.issue(
            IssueRequest(name: "peer0", role: .peer, hosts: ["h"]),
            now: self.now
        )
        let later = self.now.addingTimeInterval(300 * 86_400)
        let second = try self.authority.renew(first.name, now: later)
        #expect(second.enrollment.publicKey == first.enrollment.publicKey)
        #expect(second.tls.publicKey == first.tls.publicKey)
        #expect(second.tls.subjectAlternativeNames == first.tls.subjectAlternativeNames)
        #expect(second.enrollment.notAfter == later.addingTimeInterval(365 * 86_400))
        let signer = try MSPFolder("\(second.path)/msp").signingIdentity(mspID: MSPID("OrgMSP"))
        #expect(signer.certificate == second.enrollment)
        let archive = "org/superseded/\(first.name)-\(hexadecimal(first.enrollment.serialNumber))"
        #expect(self.folder.exists("\(archive)/msp/signcerts/\(first.name)-cert.pem"))
        let third = try self.authority.renew(first.name, now: later, withNewKeys: true)
        #expect(third.enrollment.publicKey != first.enrollment.publicKey)
        let states = try self.authority.certificates().filter { $0.name == first.name }.map(\.status)
        #expect(states.filter { $0 == .issued }.count == 2 && states.filter { $0 == .superseded }.count == 4)
    }

    @Test func revokesAllOfAMembersCertificates() throws {
        let issued = try self.authority.issue(IssueRequest(name: "alice", role: .client), now: self.now)
        let renewed = try self.authority.renew(issued.name, now: self.now)
        let kept = try self.authority.issue(IssueRequest(name: "bob", role: .client), now: self.now)
        let (revoked, lists) = try self.authority.revoke(issued.name, now: self.now)
        #expect(revoked.count == 4 && lists.number == 1)
        let msp = try self.msp()
        for certificate in [issued.enrollment, renewed.enrollment] {
            let identity = try msp.identity(from: self.serialized(certificate))
            #expect(throws: IdentityError.self) { try msp.validate(identity) }
        }
        try msp.validate(msp.identity(from: self.serialized(kept.enrollment)))
        #expect(throws: AuthorityError.self) { try self.authority.revoke(issued.name, now: self.now) }
        #expect(throws: AuthorityError.self) { try self.authority.renew(issued.name, now: self.now) }
        #expect(throws: AuthorityError.self) { try self.authority.revoke("nobody", now: self.now) }
        #expect(try self.authority.writeRevocationLists(now: self.now).number == 2)
    }

    func serialized(_ certificate: Certificate) throws -> Data {
        var identity = Msp_SerializedIdentity()
        identity.mspid = "OrgMSP"
        identity.idBytes = certificate.pem
        return try identity.serializedData()
    }

    @Test func saysWhenWhatExpires() throws {
        try self.authority.issue(IssueRequest(name: "peer0", role: .peer, days: 30), now: self.now)
        let entries = try OrganizationAuthority(opening: self.authority.path).certificates()
        #expect(entries.map { $0.daysLeft(at: self.now) } == [30, 30, 3652, 3652])
        #expect(entries[0].daysLeft(at: self.now.addingTimeInterval(31 * 86_400)) == -1)
    }

    @Test func readsTheLocalMemberWithTheClockInView() throws {
        let issued = try self.authority.issue(
            IssueRequest(name: "peer0", role: .peer, days: 30),
            now: self.now
        )
        let folder = MSPFolder("\(issued.path)/msp")
        let id = try MSPID("OrgMSP")
        let member = try LocalMember(folder, mspID: id, now: self.now)
        #expect(member.signer.certificate == issued.enrollment && member.warnings.isEmpty)
        let soon = try LocalMember(folder, mspID: id, now: self.now.addingTimeInterval(24 * 86_400))
        #expect(soon.warnings.count == 1 && soon.warnings[0].contains("expires at 2026-03-31"))
        let late = #expect(throws: AuthorityError.self) {
            try LocalMember(folder, mspID: id, now: self.now.addingTimeInterval(31 * 86_400))
        }
        #expect(late?.code == .expired && late?.message.contains("weft ca renew") == true)
        #expect(throws: AuthorityError.self) {
            try LocalMember(MSPFolder("\(self.authority.path)/msp"), mspID: id, now: self.now)
        }
    }

    @Test func neverOutlivesTheAuthority() throws {
        let later = self.now.addingTimeInterval(3500 * 86_400)
        let issued = try self.authority.issue(IssueRequest(name: "peer0", role: .peer), now: later)
        #expect(issued.enrollment.notAfter == self.now.addingTimeInterval(3652 * 86_400))
        #expect(!issued.notes.isEmpty)
        let tooLate = self.now.addingTimeInterval(3653 * 86_400)
        let refusal = #expect(throws: AuthorityError.self) {
            try self.authority.issue(IssueRequest(name: "peer1", role: .peer), now: tooLate)
        }
        #expect(refusal?.code == .expired)
        #expect(!self.folder.exists("org/peers/peer1.org.example.com"))
    }

    @Test(arguments: ["", "../evil", "a/b", ".hidden", "a b", String(repeating: "x", count: 80)])
    func refusesNamesThatAreNoNames(_ name: String) {
        #expect(throws: AuthorityError.self) {
            try self.authority.issue(IssueRequest(name: name, role: .peer), now: self.now)
        }
    }

    @Test(arguments: ["https://h", "h:7051", "", "a b"])
    func refusesHostsThatAreNoHosts(_ host: String) {
        #expect(throws: AuthorityError.self) {
            try self.authority.issue(IssueRequest(name: "p", role: .peer, hosts: [host]), now: self.now)
        }
    }

    @Test func keepsASecondProcessOut() throws {
        let file = open("\(self.authority.path)/.lock", O_RDWR | O_CREAT, 0o600)
        #expect(file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0)
        let busy = #expect(throws: AuthorityError.self) {
            try self.authority.issue(IssueRequest(name: "peer0", role: .peer), now: self.now)
        }
        #expect(busy?.code == .busy)
        close(file)
        try self.authority.issue(IssueRequest(name: "peer0", role: .peer), now: self.now)
        try self.authority.issue(IssueRequest(name: "peer1", role: .peer), now: self.now)
    }

    @Test func namesTheDamagedFile() throws {
        try Data("{".utf8).write(to: URL(filePath: "\(self.authority.path)/register.json"))
        let damaged = #expect(throws: AuthorityError.self) { try self.authority.certificates() }
        #expect(damaged?.message.contains("register.json") == true)
        try FileManager.default.removeItem(atPath: "\(self.authority.path)/ca/priv_sk")
        let keyless = #expect(throws: AuthorityError.self) {
            try OrganizationAuthority(opening: self.authority.path)
        }
        #expect(keyless?.code == .missing)
        let nothing = #expect(throws: AuthorityError.self) {
            try OrganizationAuthority(opening: self.folder.path)
        }
        #expect(nothing?.message.contains("weft ca init") == true)
    }
}
