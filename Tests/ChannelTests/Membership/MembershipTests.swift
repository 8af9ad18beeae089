import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@Suite struct MembershipTests {
    /// An organization with one authority, made in memory.
    struct Organization {
        let root: Certificate
        let key: PrivateKey
        let start = CivilTime(year: 2026, month: 1, day: 1).date
        let end = CivilTime(year: 2027, month: 1, day: 1).date

        init() throws {
            self.key = try PrivateKey.generate(.p256)
            var template = CertificateTemplate(
                subject: try DistinguishedName([.commonName("ca")]),
                serialNumber: try CertificateTemplate.randomSerialNumber(),
                notBefore: self.start,
                notAfter: self.end,
                keyUsage: .certificateSigning
            )
            template.isCA = true
            self.root = try template.selfSigned(with: self.key)
        }

        func member(_ unit: String, of msp: String = "Org1MSP") throws -> SigningIdentity {
            let key = try PrivateKey.generate(.p256)
            let certificate = try CertificateTemplate(
                subject: try DistinguishedName([.organizationalUnit(unit), .commonName("someone")]),
                serialNumber: try CertificateTemplate.randomSerialNumber(),
                notBefore: self.start,
                notAfter: self.end,
                keyUsage: .digitalSignature
            ).issued(for: key.publicKey, by: self.root, with: self.key)
            return try SigningIdentity(mspID: MSPID(msp), certificate: certificate, key: key)
        }

        func msp(
            _ name: String = "Org1MSP",
            _ change: (inout Msp_FabricMSPConfig) -> Void = { _ in }
        ) throws -> MSP {
            var config = Msp_FabricMSPConfig()
            config.name = name
            config.rootCerts = [self.root.pem]
            config.fabricNodeOus.enable = true
            config.fabricNodeOus.adminOuIdentifier.organizationalUnitIdentifier = "admin"
            config.fabricNodeOus.peerOuIdentifier.organizationalUnitIdentifier = "peer"
            change(&config)
            var message = Msp_MSPConfig()
            message.config = try config.serializedData()
            return try MSP(message, version: .v3_0)
        }
    }

    @Test func acceptsTheSignatureOfAMember() throws {
        let organization = try Organization()
        let directory = try MembershipDirectory([organization.msp()])
        let signer = try organization.member("peer")
        let message = Data("block 7".utf8)
        let identity = try directory.identity(from: signer.serialized)
        try directory.validate(identity)
        try identity.verify(signer.sign(message), of: message)
        #expect(throws: IdentityError.self) { try identity.verify(signer.sign(message), of: Data()) }
        #expect(!identity.isExpired(at: organization.start) && identity.isExpired(at: .distantFuture))
    }

    @Test func whatAPolicyLacksIsTheLeastThatWouldDo() throws {
        let names = ["Org1MSP", "Org2MSP", "Org3MSP"]
        let organizations = try names.map { _ in try Organization() }
        let directory = try MembershipDirectory(zip(organizations, names).map { try $0.msp($1) })
        func missing(_ text: String, from signers: [(Int, String)]) throws -> [String] {
            let policy = try CompiledPolicy(
                signaturePolicy: PolicyExpression.parse(text),
                directory: directory
            )
            let identities = try signers.map { index, unit in
                try directory.identity(
                    from: organizations[index].member(unit, of: names[index]).serialized
                )
            }
            return policy.missing(from: identities).map(\.description)
        }
        let majority = "OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')"
        // That two others would do as well is not told: one is less.
        #expect(try missing(majority, from: [(0, "peer")]) == ["'Org2MSP.peer'", "'Org3MSP.peer'"])
        #expect(try missing(majority, from: [(0, "peer"), (2, "peer")]).isEmpty)
        #expect(
            try missing("AND('Org1MSP.peer', 'Org1MSP.admin')", from: [(0, "peer")]) == ["'Org1MSP.admin'"]
        )
        #expect(try missing("OR('Org1MSP.peer')", from: [(1, "peer")]) == ["'Org1MSP.peer'"])
    }

    @Test func recallsIdentitiesByTheirBytes() throws {
        let organization = try Organization()
        let directory = try MembershipDirectory([organization.msp()], cacheCapacity: 4)
        let signers = try (0..<9).map { _ in try organization.member("peer") }
        let first = try directory.identity(from: signers[0].serialized)
        #expect(try directory.identity(from: signers[0].serialized) === first)
        for signer in signers { _ = try directory.identity(from: signer.serialized) }
        let again = try directory.identity(from: signers[0].serialized)
        #expect(again == first && again !== first)
    }

    @Test func tellsAnotherOrganizationsMembersApart() throws {
        let organization = try Organization()
        let other = try Organization()
        let directory = try MembershipDirectory([organization.msp(), other.msp("Org2MSP")])
        let impostor = try other.member("peer", of: "Org1MSP")
        let stranger = try other.member("peer", of: "Org3MSP")
        let refusal = #expect(throws: IdentityError.self) {
            try directory.identity(from: impostor.serialized)
        }
        #expect(refusal?.code == .untrusted)
        let unknown = #expect(throws: IdentityError.self) {
            try directory.identity(from: stranger.serialized)
        }
        #expect(unknown?.code == .unknownMSP)
        #expect(unknown?.reason.contains("Org1MSP, Org2MSP") == true)
    }

    /// A member under one configuration need not be one under the next.
    @Test func judgesByItsOwnConfiguration() throws {
        let organization = try Organization()
        let signer = try organization.member("peer")
        let before = try organization.msp()
        let identity = try before.identity(from: signer.serialized)
        let list = try RevocationListTemplate(
            entries: [.init(serialNumber: signer.certificate.serialNumber, revokedAt: organization.start)],
            number: 1,
            thisUpdate: organization.start,
            nextUpdate: organization.end
        ).signed(by: organization.root, with: organization.key)
        let after = try organization.msp { $0.revocationList = [list.pem] }
        try before.validate(identity)
        let refusal = #expect(throws: IdentityError.self) { try after.validate(identity) }
        #expect(refusal?.code == .revoked)
    }

    @Test func refusesAConfigurationWithAReason() throws {
        let organization = try Organization()
        let noAdmin = #expect(throws: MSPError.self) {
            try organization.msp { $0.fabricNodeOus.clearAdminOuIdentifier() }
        }
        #expect(noAdmin?.description.contains("there is no administrator") == true)
        #expect(throws: MSPError.self) { try organization.msp { $0.rootCerts = [] } }
        #expect(throws: MSPError.self) { try organization.msp("") }
        #expect(throws: MSPError.self) {
            try organization.msp { $0.cryptoConfig.identityIdentifierHashFunction = "MD5" }
        }
        #expect(throws: MSPError.self) { try MembershipDirectory([organization.msp(), organization.msp()]) }
        var idemix = Msp_MSPConfig()
        idemix.type = 1
        var named = Msp_FabricMSPConfig()
        named.name = "HiddenMSP"
        idemix.config = try named.serializedData()
        let refused = #expect(throws: MSPError.self) { try MSP(idemix, version: .v3_0) }
        #expect(refused?.description.hasPrefix("MSP HiddenMSP: it is an Idemix MSP") == true)
    }

    @Test func refusesAKeyThatIsNotTheCertificates() throws {
        let organization = try Organization()
        let certificate = try organization.member("peer").certificate
        #expect(throws: IdentityError.self) {
            try SigningIdentity(
                mspID: MSPID("Org1MSP"),
                certificate: certificate,
                key: PrivateKey.generate(.p256)
            )
        }
    }

    @Test func nestedPrincipalsCountAtAnyDepth() throws {
        let organization = try Organization()
        let msp = try organization.msp()
        let identity = try msp.identity(from: organization.member("peer").serialized)
        for (isNominal, holds) in [(true, true), (false, false)] {
            var principal = Common_MSPPrincipal()
            principal.principalClassification = .anonymity
            var anonymity = Common_MSPIdentityAnonymity()
            anonymity.anonymityType = isNominal ? .nominal : .anonymous
            principal.principal = try anonymity.serializedData()
            for depth in 1...2_000 {
                principal = try Self.combined([principal])
                guard depth.isMultiple(of: 400) else { continue }
                #expect(((try? msp.satisfies(identity, principal)) != nil) == holds, "\(depth) levels")
            }
        }
    }

    @Test func principalsWithoutEndAreRefused() throws {
        let organization = try Organization()
        let msp = try organization.msp()
        let identity = try msp.identity(from: organization.member("peer").serialized)
        var principal = Common_MSPPrincipal()
        principal.principalClassification = .anonymity
        for _ in 1...6_000 { principal = try Self.combined([principal]) }
        let error = #expect(throws: IdentityError.self) { try msp.satisfies(identity, principal) }
        #expect(error?.description.contains("nested too deep") == true)
        // What is empty at the bottom is satisfied by nobody.
        let hollow = try Self.combined([Self.combined([])])
        #expect(throws: IdentityError.self) { try msp.satisfies(identity, hollow) }
    }

    private static func combined(_ principals: [Common_MSPPrincipal]) throws -> Common_MSPPrincipal {
        var combined = Common_CombinedPrincipal()
        combined.principals = principals
        var principal = Common_MSPPrincipal()
        principal.principalClassification = .combined
        principal.principal = try combined.serializedData()
        return principal
    }

    @Test func survivesDamagedIdentities() throws {
        let organization = try Organization()
        let directory = try MembershipDirectory([organization.msp()])
        let serialized = try organization.member("peer").serialized
        for index in serialized.indices {
            var damaged = serialized
            damaged[index] ^= 0x55
            _ = try? directory.identity(from: damaged)
        }
    }
}
