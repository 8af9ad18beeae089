import Cryptography
import Foundation
import Testing

/// The published signature vectors of Project Wycheproof, read from the folder that `scripts/crypto-vectors` names.
///
/// What the vectors call valid is refused here in one case: an ECDSA signature with high S, which Fabric forbids. What
/// they call invalid is accepted in one case: bytes after or inside the DER that Fabric's parser, Go's `encoding/asn1`,
/// ignores.
@Suite struct WycheproofTests {
    private struct File: Decodable {
        var testGroups: [Group]
    }

    private struct Group: Decodable {
        var publicKeyDer: String
        var sha: String?
        var tests: [Case]
    }

    private struct Case: Decodable {
        var tcId: Int
        var comment: String
        var flags: [String]
        var msg: String
        var sig: String
        var result: String
    }

    @Test(.enabled(if: PublicVectors.folder != nil, "run scripts/crypto-vectors DIR"))
    func judgesSignaturesAsFabricDoes() throws {
        let files = try PublicVectors.files(suffix: "_test.json").filter {
            $0.lastPathComponent.hasPrefix("ecdsa_") || $0.lastPathComponent.hasPrefix("ed25519_")
        }
        #expect(!files.isEmpty, "there are no files ecdsa_*_test.json and ed25519_test.json in the folder")
        for file in files {
            let name = file.lastPathComponent
            guard !name.contains("p1363"), !name.contains("shake") else {
                PublicVectors.report("\(name)\tskipped\tanother encoding or hash function than Fabric's")
                continue
            }
            let vectors = try JSONDecoder().decode(File.self, from: Data(contentsOf: file))
            #expect(!vectors.testGroups.isEmpty, "\(name)")
            for group in vectors.testGroups { try self.check(group, of: name) }
        }
    }

    private func check(_ group: Group, of name: String) throws {
        let hashes: [String: HashFunction] = [
            "SHA-256": .sha256, "SHA-384": .sha384, "SHA3-256": .sha3_256, "SHA3-384": .sha3_384,
        ]
        let hash = hashes[group.sha ?? "SHA-256"]
        let keyBytes = try #require(Self.bytes(group.publicKeyDer))
        let key: PublicKey
        do throws(CryptographyError) {
            key = try PublicKey(der: keyBytes)
        } catch {
            for test in group.tests {
                PublicVectors.report("\(name)\trefused\t\(test.tcId)\t\(error.message)")
            }
            return
        }
        guard let hash else {
            PublicVectors.report(
                "\(name)\tskipped\tFabric does not sign with \(group.sha ?? "this hash function")"
            )
            return
        }
        for test in group.tests {
            let signature = try #require(Self.bytes(test.sig))
            let verdict = key.verify(signature, of: try #require(Self.bytes(test.msg)), hash: hash)
            let note = "\(test.tcId)\t\(test.comment) [\(test.flags.joined(separator: ", "))]"
            switch (test.result, verdict) {
            case ("valid", .valid), ("invalid", .invalid):
                PublicVectors.report("\(name)\tagrees\t\(note)")
            case ("valid", .invalid(.highS)):
                PublicVectors.report("\(name)\tdiffers\t\(note)\tFabric refuses high S")
            case ("invalid", .valid):
                let reason = try Self.ignoredBytes(signature, key)
                PublicVectors.report("\(name)\tdiffers\t\(note)\t\(reason ?? "no reason known")")
                #expect(reason != nil, "\(name) \(note): accepted")
            default:
                PublicVectors.report("\(name)\tdiffers\t\(note)\tno reason known: \(verdict)")
                Issue.record("\(name) \(note): expected \(test.result), found \(verdict)")
            }
        }
    }

    /// Why Go's parser accepts a signature that is no strict DER; `nil` if it is strict.
    private static func ignoredBytes(_ signature: Data, _ key: PublicKey) throws -> String? {
        guard case .ecdsa = key.algorithm, signature.count > 2 else { return nil }
        // The shortest encoding of the same numbers ends with the second integer.
        let bytes = Array(signature)
        var end = 2 + (bytes[1] & 0x80 != 0 ? Int(bytes[1] & 0x7f) : 0)
        for _ in 0..<2 where end + 1 < bytes.count { end += 2 + Int(bytes[end + 1]) }
        return end < bytes.count ? "Go's parser, and so Fabric, ignores bytes behind r and s" : nil
    }

    private static func bytes(_ hex: String) -> Data? {
        guard hex.utf8.count.isMultiple(of: 2) else { return nil }
        var data = Data()
        var rest = hex[...]
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            data.append(byte)
            rest = rest.dropFirst(2)
        }
        return data
    }
}

/// Public test vectors, which are no part of this repository.
enum PublicVectors {
    static let folder = ProcessInfo.processInfo.environment["WEFT_CRYPTO_VECTORS"]

    static func files(suffix: String) throws -> [URL] {
        guard let folder else { return [] }
        let root = URL(fileURLWithPath: folder)
        let found = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
        var files: [URL] = []
        while let file = found?.nextObject() as? URL {
            if file.lastPathComponent.hasSuffix(suffix) { files.append(file) }
        }
        return files.sorted { $0.path < $1.path }
    }

    /// Adds a line to the report that `scripts/crypto-vectors` prints.
    static func report(_ line: String) {
        guard let path = ProcessInfo.processInfo.environment["WEFT_CRYPTO_REPORT"] else { return }
        let flat = line.unicodeScalars.map { $0 == "\n" || $0 == "\r" ? " " : String($0) }.joined()
        // One write to a file opened for appending is not torn by another test's write.
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        Data((flat + "\n").utf8).withUnsafeBytes { _ = write(descriptor, $0.baseAddress, $0.count) }
    }
}
