import Foundation
import TestSupport
import Testing

/// Nothing that real Fabric programs made is missing: a loop over vectors that aren't there would hold, too.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["WEFT_VECTORS"] == nil, "other vectors are tried"))
struct VectorInventoryTests {
    /// How many files each folder has.
    private static let files = [
        "block-signatures": 53, "blocks": 5, "chaincode-stream": 4, "config": 277, "configtx": 29,
        "endorsement": 386, "gossip": 3, "msp": 377,
        "policies": 8, "signatures": 8, "snapshots": 24, "translation": 5,
    ]

    @Test(arguments: files)
    func everyFileIsThere(folder: String, count: Int) throws {
        let root = VectorReport.folder(folder)
        let found = try #require(
            FileManager.default.enumerator(at: root, includingPropertiesForKeys: [.isRegularFileKey])
        )
        var files = 0
        for case let file as URL in found {
            if try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true { files += 1 }
        }
        #expect(files == count, "\(root.path)")
    }

    @Test func everyFolderIsCounted() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: VectorReport.root.path)
        #expect(Set(folders) == Set(Self.files.keys))
    }

    /// How many cases the files have that hold many.
    @Test(arguments: [
        ("block-signatures/cases.json", nil, 49), ("blocks/main.json", "chain", 107),
        ("blocks/side.json", "chain", 4), ("chaincode-stream/cases.json", nil, 36),
        ("config/updates.json", nil, 68),
        ("config/bft-chain/chain.json", "chain", 13), ("endorsement/cases.json", "cases", 201),
        ("msp/expected.json", nil, 63), ("msp/identities.json", nil, 69), ("msp/principals.json", nil, 148),
        ("policies/cases.json", "cases", 249), ("policies/policy-text.json", "signature_policies", 69),
        ("policies/policy-text.json", "implicit_meta_policies", 13), ("signatures/cases.json", nil, 47),
        ("translation/documents.json", nil, 363),
    ])
    func everyCaseIsThere(file: String, list: String?, count: Int) throws {
        let data = try Data(contentsOf: VectorReport.root.appendingPathComponent(file))
        var json = try JSONSerialization.jsonObject(with: data)
        if let list { json = try #require((json as? [String: Any])?[list]) }
        #expect((json as? [Any])?.count == count)
    }
}
