import Foundation
import Testing

@testable import Cryptography

/// Extensions are read as far as Go's library reads them, whose verdicts Fabric's peers share.
@Suite struct CertificateExtensionTests {
    /// As Fabric CA issues them: attributes in JSON, which is no DER, in an extension that libraries don't know.
    private static let withAttributes = """
        -----BEGIN CERTIFICATE-----
        MIIB8zCCAZigAwIBAgIUSlFA5xVEyVVE1pmqPA+smuhqBWEwCgYIKoZIzj0EAwIw
        ITEPMA0GA1UECwwGY2xpZW50MQ4wDAYDVQQDDAV1c2VyMTAgFw0yNjExMjExMTEw
        NDRaGA8yMTI2MTAyODExMTA0NFowITEPMA0GA1UECwwGY2xpZW50MQ4wDAYDVQQD
        DAV1c2VyMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABESRnvyK3PBiU/9/XUeb
        hblZhsG3Q6gg4hNQCwJPclsexkYfrEuGWO2sD6W+maHSlqEjV8V3Y6ThEw0N20ca
        JAijgaswgagwHQYDVR0OBBYEFNo6GIlj/flnCLD34vthWJsh0V9gMB8GA1UdIwQY
        MBaAFNo6GIlj/flnCLD34vthWJsh0V9gMFgGCCoDBAUGBwgBBEx7ImF0dHJzIjp7
        ImhmLkFmZmlsaWF0aW9uIjoiIiwiaGYuRW5yb2xsbWVudElEIjoidXNlcjEiLCJo
        Zi5UeXBlIjoiY2xpZW50In19MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSQAw
        RgIhAPAQDJ+DvDOCHlNS2HBGDQVkHWgiAgbjfw7L+J4OiqOXAiEAxtvXfEPrh+fj
        r2gKK0GfvA9eB1EibjucIwMfDHQW8Dg=
        -----END CERTIFICATE-----
        """

    /// The same, marked as critical.
    private static let withCriticalAttributes = """
        -----BEGIN CERTIFICATE-----
        MIIB+DCCAZ6gAwIBAgIULyOgbE3QlPgcfASJQ3i0nkCXR2EwCgYIKoZIzj0EAwIw
        ITEPMA0GA1UECwwGY2xpZW50MQ4wDAYDVQQDDAV1c2VyMTAgFw0yNjExMjExMTEw
        NDRaGA8yMTI2MTAyODExMTA0NFowITEPMA0GA1UECwwGY2xpZW50MQ4wDAYDVQQD
        DAV1c2VyMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABC6s/2e/rfOSN2pseMK1
        KJZQ/g8fel0i5HIKGFMoSjBDWnDWKH7iQoSQ/xRD9c4CkBnaFPaTlJhsCXu2FDO0
        5CqjgbEwga4wHQYDVR0OBBYEFIm6TmV9ypfLLHExGxViXPwY6YjuMB8GA1UdIwQY
        MBaAFIm6TmV9ypfLLHExGxViXPwY6YjuMA8GA1UdEwEB/wQFMAMBAf8wWwYIKgME
        BQYHCAEBAf8ETHsiYXR0cnMiOnsiaGYuQWZmaWxpYXRpb24iOiIiLCJoZi5FbnJv
        bGxtZW50SUQiOiJ1c2VyMSIsImhmLlR5cGUiOiJjbGllbnQifX0wCgYIKoZIzj0E
        AwIDSAAwRQIhAPQYQ/06aBlBThfEBpOkeU8lwVRMQQj3+Vr6TBRFQkUmAiA4mTm4
        8vP4ftY3XTJEJekvzSVwx1Iv91wSx/PFHEMQDQ==
        -----END CERTIFICATE-----
        """

    @Test func unknownExtensionsNeedNotBeDER() throws {
        let certificate = try Certificate(pem: Data(Self.withAttributes.utf8))
        #expect(certificate.subject.organizationalUnits == ["client"])
        #expect(!certificate.hasUnknownCriticalExtension)
        #expect(certificate.isSigned(by: certificate.publicKey))
    }

    @Test func criticalOnesAreNoted() throws {
        let certificate = try Certificate(pem: Data(Self.withCriticalAttributes.utf8))
        #expect(certificate.hasUnknownCriticalExtension)
    }

    @Test(arguments: [
        ("bar.example.com", "*.example.com", false), ("bar.example.com", "*.EXAMPLE.com", false),
        ("bar.example.com", "foo.example.com", true), ("bar.example.com", "*.foo.example.com", true),
        ("example.com", "*.example.com", false), (".example.com", "example.com", true),
        (".example.com", "a.example.com", false), ("", "anything", false), ("com", "*.org", true),
    ])
    func hostsThatAnAuthorityMustNotName(domain: String, host: String, isAllowed: Bool) {
        let constraints = NameConstraints(permitted: [], excluded: [.dns(domain)])
        #expect(constraints.allow(.dns(host)) == isAllowed)
    }

    @Test(arguments: [
        ("example.com", "a.example.com", true), ("example.com", "*.example.com", true),
        ("foo.example.com", "*.example.com", false), ("example.com", ".example.com", false),
        ("example.com", "a..example.com", false), ("example.com", "a.example.com.", false),
        ("example.com", "a b.example.com", false), ("example.com", "testexample.com", false),
    ])
    func hostsThatAnAuthorityMayName(domain: String, host: String, isAllowed: Bool) {
        let constraints = NameConstraints(permitted: [.dns(domain)], excluded: [])
        #expect(constraints.allow(.dns(host)) == isAllowed)
    }

    @Test func namesOfOtherKindsAreFreeIfTheyAreNames() {
        let constraints = NameConstraints(permitted: [.dns("example.com")], excluded: [])
        #expect(constraints.allow(.email("a@other.org")))
        #expect(constraints.allow(.uri("https://other.org/path")))
        #expect(constraints.allow(.address(Data([127, 0, 0, 1]))))
        #expect(!constraints.allow(.email("other.org")))
        #expect(!constraints.allow(.uri("urn:example")))
    }
}
