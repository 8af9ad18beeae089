import Cryptography
import Foundation
import Testing

@Suite struct CertificateTests {
    let start = CivilTime(year: 2026, month: 1, day: 2, hours: 3, minutes: 4, seconds: 5).date
    let end = CivilTime(year: 2036, month: 1, day: 2).date

    func authority(_ kind: PrivateKey.Kind = .p256, name: String = "ca") throws -> (Certificate, PrivateKey) {
        let key = try PrivateKey.generate(kind)
        var template = CertificateTemplate(
            subject: try DistinguishedName([.country("DE"), .organization("Grün"), .commonName(name)]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: self.start,
            notAfter: self.end,
            keyUsage: [.digitalSignature, .certificateSigning, .revocationListSigning]
        )
        template.isCA = true
        return (try template.selfSigned(with: key), key)
    }

    func member(_ change: (inout CertificateTemplate) -> Void = { _ in }) throws -> CertificateTemplate {
        var template = CertificateTemplate(
            subject: try DistinguishedName([.organizationalUnit("peer"), .commonName("peer0.example.com")]),
            serialNumber: Data([0x80]),
            notBefore: self.start,
            notAfter: self.end,
            keyUsage: .digitalSignature
        )
        change(&template)
        return template
    }

    @Test(arguments: PrivateKey.Kind.allCases)
    func readsWhatItIssued(_ kind: PrivateKey.Kind) throws {
        let (root, rootKey) = try self.authority(kind)
        let key = try PrivateKey.generate(.ed25519)
        let template = try self.member {
            $0.subjectAlternativeNames = [.dns("peer0"), .address(Data([127, 0, 0, 1]))]
            $0.extendedKeyUsages = [.serverAuthentication, .clientAuthentication]
        }
        let certificate = try template.issued(for: key.publicKey, by: root, with: rootKey)
        #expect(certificate.subject.organizationalUnits == ["peer"])
        #expect(certificate.subject.commonName == "peer0.example.com")
        #expect(certificate.issuer == root.subject)
        #expect(root.subject.description == "CN=ca,O=Grün,C=DE")
        #expect(certificate.serialNumber == Data([0x80]))
        #expect(certificate.notBefore == self.start && certificate.notAfter == self.end)
        #expect(certificate.publicKey == key.publicKey)
        #expect(!certificate.isCA && root.isCA)
        #expect(certificate.keyUsage == .digitalSignature)
        #expect(certificate.extendedKeyUsages == [.serverAuthentication, .clientAuthentication])
        #expect(certificate.subjectAlternativeNames?.map(\.description) == ["peer0", "127.0.0.1"])
        #expect(certificate.authorityKeyIdentifier == root.subjectKeyIdentifier)
        #expect(certificate.isSigned(by: root.publicKey) && root.isSigned(by: root.publicKey))
        #expect(!root.isSigned(by: key.publicKey))
        #expect(try Certificate(pem: certificate.pem) == certificate)
        #expect(try certificate.sanitised(issuer: root.publicKey) == certificate)
    }

    /// An independent program reads the same.
    @Test func isAcceptedByTheOpenSSLProgram() throws {
        let (root, rootKey) = try self.authority()
        let key = try PrivateKey.generate(.p256)
        let certificate = try self.member().issued(for: key.publicKey, by: root, with: rootKey)
        let folder = FileManager.default.temporaryDirectory.appending(path: "weft-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let list = try RevocationListTemplate(
            entries: [.init(serialNumber: certificate.serialNumber, revokedAt: self.start)],
            number: 1,
            thisUpdate: self.start,
            nextUpdate: self.end
        ).signed(by: root, with: rootKey)
        try root.pem.write(to: folder.appending(path: "root.pem"))
        try (root.pem + list.pem).write(to: folder.appending(path: "root-and-list.pem"))
        try certificate.pem.write(to: folder.appending(path: "leaf.pem"))
        let strict = ["verify", "-x509_strict", "-CAfile"]
        #expect(try self.openssl(strict + ["root.pem", "leaf.pem"], in: folder) == 0)
        #expect(try self.openssl(strict + ["root-and-list.pem", "-crl_check", "leaf.pem"], in: folder) != 0)
    }

    private func openssl(_ arguments: [String], in folder: URL) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = folder
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    @Test func readsTheRevocationListItIssued() throws {
        let (root, rootKey) = try self.authority()
        let (other, _) = try self.authority()
        let list = try RevocationListTemplate(
            entries: [.init(serialNumber: Data([0, 0x80]), revokedAt: self.start)],
            number: 3,
            thisUpdate: self.start,
            nextUpdate: self.end
        ).signed(by: root, with: rootKey)
        let copy = try CertificateRevocationList(list.pem)
        #expect(copy.revokedSerialNumbers == [Data([0x80])])
        #expect(copy.authorityKeyIdentifier == root.subjectKeyIdentifier)
        #expect(copy.issuer == root.subject && copy.thisUpdate == self.start && copy.nextUpdate == self.end)
        #expect(copy.isSigned(by: root.publicKey) && !copy.isSigned(by: other.publicKey))
    }

    @Test func buildsChainsThroughIntermediates() throws {
        let (root, rootKey) = try self.authority(name: "root")
        let key = try PrivateKey.generate(.p256)
        let middle = try self.member {
            $0.isCA = true
            $0.maximumPathLength = 0
            $0.keyUsage = .certificateSigning
        }.issued(for: key.publicKey, by: root, with: rootKey)
        let leafKey = try PrivateKey.generate(.p256)
        let leaf = try self.member { $0.serialNumber = Data([9]) }
            .issued(for: leafKey.publicKey, by: middle, with: key)
        let trusted = CertificateAuthorities(roots: [root], intermediates: [middle])
        let now = self.start.addingTimeInterval(1)
        #expect(try trusted.chains(for: leaf, at: now) == [[leaf, middle, root]])
        #expect(try trusted.chains(for: root, at: now) == [[root]])
        #expect(throws: ChainFault.self) {
            try CertificateAuthorities(roots: [root]).chains(for: leaf, at: now)
        }
        #expect(throws: ChainFault.self) {
            try trusted.chains(for: leaf, at: self.start.addingTimeInterval(-1))
        }
        #expect(throws: ChainFault.self) { try trusted.chains(for: leaf, at: self.end.addingTimeInterval(1)) }
    }

    @Test func refusesAnIssuerThatIsNoAuthority() throws {
        let (root, rootKey) = try self.authority(name: "root")
        let key = try PrivateKey.generate(.p256)
        let member = try self.member().issued(for: key.publicKey, by: root, with: rootKey)
        let leaf = try self.member { $0.serialNumber = Data([9]) }
            .issued(for: try PrivateKey.generate(.p256).publicKey, by: member, with: key)
        let trusted = CertificateAuthorities(roots: [root], intermediates: [member])
        #expect(throws: ChainFault.self) { try trusted.chains(for: leaf, at: self.start) }
    }

    /// Every prefix and every changed byte is either refused or read, and never ends the process.
    @Test func survivesDamagedBytes() throws {
        let (root, _) = try self.authority()
        for count in 0..<root.der.count {
            #expect(throws: CryptographyError.self) { try Certificate(der: root.der.prefix(count)) }
        }
        for index in 0..<root.der.count {
            for value: UInt8 in [0, 0x7f, 0x80, 0xff] {
                var damaged = root.der
                damaged[index] = value
                _ = (try? Certificate(der: damaged))?.isSigned(by: root.publicKey)
            }
        }
    }

    @Test func convertsDatesBothWays() {
        for days in stride(from: -700_000, to: 2_900_000, by: 997) {
            let date = Date(timeIntervalSince1970: Double(days) * 86_400 + 3661)
            #expect(CivilTime(date).date == date)
        }
        #expect(CivilTime(Date(timeIntervalSince1970: 951_782_400)).description == "2000-02-29T00:00:00Z")
        #expect(CivilTime(Date(timeIntervalSince1970: -1)).description == "1969-12-31T23:59:59Z")
    }
}

@Suite struct PEMTests {
    let block = "-----BEGIN THING-----\nAQID\n-----END THING-----\n"

    @Test func readsLeniently() throws {
        for text in [
            self.block, "hello\n" + self.block, self.block.replacingOccurrences(of: "\n", with: "\r\n"),
        ] {
            #expect(try #require(PEMBlock(firstIn: Data(text.utf8))).contents == Data([1, 2, 3]))
        }
        let block = try #require(PEMBlock(firstIn: Data((self.block + "rest").utf8)))
        #expect(block.type == "THING" && block.rest == Data("rest".utf8))
    }

    @Test(arguments: ["", "-----BEGIN X-----", "-----BEGIN X-----\nAQID\n-----END Y-----\n"])
    func findsNoBlock(_ text: String) {
        #expect(PEMBlock(firstIn: Data(text.utf8)) == nil)
    }

    @Test func skipsABrokenBlock() {
        let text = "-----BEGIN X-----\n!\n-----END X-----\n" + self.block + self.block
        #expect(PEMBlock.all(in: Data(text.utf8)).map(\.type) == ["THING", "THING"])
    }

    @Test func breaksLinesAfter64Characters() {
        let text = String(decoding: PEMBlock.encode(Data(repeating: 0, count: 49), type: "X"), as: UTF8.self)
        #expect(text.split(separator: "\n").map(\.count) == [17, 64, 4, 15])
    }
}
