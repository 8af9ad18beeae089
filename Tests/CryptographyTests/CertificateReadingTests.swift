import Cryptography
import Foundation
import Testing

/// Certificates with a changed byte, which Go's library reads or refuses.
///
/// Peers must agree on that, too, since an identity that cannot be read makes a transaction invalid.
/// `scripts/crypto-vectors` makes them with `scripts/crypto-vectors.d/certificates.go`.
///
/// The two do not agree on everything that no authority writes: Go does not look at bytes behind the fields that it knows
/// (behind the signature, in a public key, in an attribute of a name), where Weft wants whole DER; and Weft does not look into
/// policies and distribution points. The report lists every difference.
@Suite struct CertificateReadingTests {
    private static let path = ProcessInfo.processInfo.environment["WEFT_CRYPTO_CERTIFICATES"]

    @Test(.enabled(if: path != nil, "run scripts/crypto-vectors DIR with Go in the path"))
    func readsWhatGoReads() throws {
        let text = try String(contentsOfFile: #require(Self.path), encoding: .utf8)
        var agreed = 0
        var differing = (refusedByWeft: 0, refusedByGo: 0)
        for (number, line) in text.split(separator: "\n").enumerated() {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 3, let der = Data(base64Encoded: String(fields[0])) else {
                Issue.record("line \(number + 1) can't be read")
                continue
            }
            var fault: String?
            do throws(CryptographyError) {
                let certificate = try Certificate(der: der)
                if case .other = certificate.publicKey.algorithm { continue }
            } catch {
                fault = error.message
            }
            if (fault == nil) == (fields[1] == "read") {
                agreed += 1
                continue
            }
            if fault == nil { differing.refusedByGo += 1 } else { differing.refusedByWeft += 1 }
            PublicVectors.report(
                "changed certificates\tdiffers\t\(number + 1)\tGo: \(fields[1]) \(fields[2])\tWeft: \(fault ?? "read")"
            )
        }
        #expect(agreed > 1_000)
        #expect(differing.refusedByWeft * 100 < agreed)
        #expect(differing.refusedByGo * 500 < agreed)
        for _ in 0..<agreed { PublicVectors.report("changed certificates\tagrees\t") }
    }
}
