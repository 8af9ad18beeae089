import Cryptography
import Foundation
import Testing

/// The certificate chains of x509-limbo, read from the folder that `scripts/crypto-vectors` names.
///
/// Its own verdicts are those of RFC 5280 and of browsers, for a server of a certain name. Members of Fabric are judged by
/// Go's `crypto/x509` without a name: those verdicts are computed by `scripts/crypto-vectors.d/chains.go`, and Weft's must be
/// the same. Without Go, the differences from x509-limbo's verdicts are reported, and nothing is decided.
@Suite struct LimboTests {
    private struct Suite: Decodable {
        var testcases: [Case]
    }

    private struct Case: Decodable {
        var id: String
        var features: [String]?
        var trusted_certs: [String]
        var untrusted_intermediates: [String]
        var peer_certificate: String
        var validation_time: String?
        var validation_kind: String?
        var expected_result: String
        var extended_key_usage: [String]?
        var max_chain_depth: Int?
    }

    private struct GoResults: Decodable {
        struct Result: Decodable {
            var id: String
            var actual_result: String
        }
        var results: [Result]
    }

    @Test(.enabled(if: PublicVectors.folder != nil, "run scripts/crypto-vectors DIR"))
    func buildsChainsAsGoDoes() throws {
        let file = try #require(
            PublicVectors.files(suffix: "limbo.json").first,
            "there is no limbo.json in the folder"
        )
        let suite = try JSONDecoder().decode(Suite.self, from: Data(contentsOf: file))
        var oracle: [String: String] = [:]
        if let path = ProcessInfo.processInfo.environment["WEFT_CRYPTO_CHAINS"] {
            let verdicts = try Data(contentsOf: URL(fileURLWithPath: path))
            for result in try JSONDecoder().decode(GoResults.self, from: verdicts).results {
                oracle[result.id] = result.actual_result
            }
            #expect(oracle.count == suite.testcases.count)
        }
        let name = oracle.isEmpty ? "limbo.json" : "limbo.json, by Go's verdicts on members"
        for test in suite.testcases {
            if oracle.isEmpty, let reason = Self.reasonToSkip(test) {
                PublicVectors.report("\(name)\tskipped\t\(test.id): \(reason)")
                continue
            }
            let expected = oracle.isEmpty ? test.expected_result : oracle[test.id] ?? ""
            let verdict = Self.verdict(test)
            let isEqual = (verdict == nil) == (expected == "SUCCESS")
            #expect(
                oracle.isEmpty || isEqual,
                "\(test.id): expected \(expected), found \(verdict ?? "a chain")"
            )
            PublicVectors.report(
                "\(name)\t\(isEqual ? "agrees" : "differs")\t\(test.id)\texpected \(expected)\t\(verdict ?? "a chain")"
            )
        }
    }

    /// What these tests ask that building chains of members' certificates never answers.
    private static func reasonToSkip(_ test: Case) -> String? {
        if test.validation_kind == "CLIENT" { return "members are judged as TLS servers" }
        if test.max_chain_depth != nil { return "chains have no depth to be set" }
        if test.features?.contains("has-crl") == true { return "revocation is not part of building chains" }
        return nil
    }

    /// Why there is no chain; `nil` if there is one.
    private static func verdict(_ test: Case) -> String? {
        do {
            let roots = try test.trusted_certs.map { try Certificate(pem: Data($0.utf8)) }
            let intermediates = try test.untrusted_intermediates.map { try Certificate(pem: Data($0.utf8)) }
            let leaf = try Certificate(pem: Data(test.peer_certificate.utf8))
            var time = Date()
            if let text = test.validation_time {
                let formatter = ISO8601DateFormatter()
                guard let date = formatter.date(from: text) else { return "the time can't be read" }
                time = date
            }
            _ = try CertificateAuthorities(roots: roots, intermediates: intermediates).chains(
                for: leaf,
                at: time
            )
            return nil
        } catch {
            return "\(error)"
        }
    }
}
