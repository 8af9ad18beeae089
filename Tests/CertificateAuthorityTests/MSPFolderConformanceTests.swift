import CertificateAuthority
import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// MSP folders read by Fabric v3.1.5: the configuration made of them, and those that must be refused.
@Suite struct MSPFolderConformanceTests {
    struct Expectation: Decodable, Sendable, CustomTestStringConvertible {
        var msp: String
        var msp_version: String
        var mspid: String
        var directory: String
        var load_error: String?
        var setup_error: String?
        var msp_config_hex: String?
        var testDescription: String { "\(self.msp) at \(self.msp_version)" }
    }

    static let file = Result {
        let url = VectorReport.folder("msp").appending(path: "expected.json")
        return try JSONDecoder().decode([Expectation].self, from: Data(contentsOf: url))
    }
    static let expectations = (try? file.get()) ?? []
    static let versions: [String: MSPVersion] = [
        "1.0": .v1_0, "1.1": .v1_1, "1.3": .v1_3, "1.4.3": .v1_4_3, "3.0": .v3_0,
    ]

    @Test func hasCases() throws { #expect(try Self.file.get().count > 0) }

    @Test(arguments: expectations)
    func readsWhatFabricReads(_ expectation: Expectation) throws {
        let version = try #require(Self.versions[expectation.msp_version])
        let path = VectorReport.folder("msp").appending(path: expectation.directory).path
        var problem: (any Error)?
        var config: Msp_MSPConfig?
        do {
            config = try MSPFolder(path).configuration(mspID: MSPID(expectation.mspid)).config
            _ = try MSP(try #require(config), version: version)
        } catch {
            problem = error
        }
        let isRefused = expectation.load_error != nil || expectation.setup_error != nil
        var holds = (problem != nil) == isRefused
        if let hex = expectation.msp_config_hex { holds = holds && Self.isSame(config, hex) }
        VectorReport.record(
            folder: "msp",
            name: "folder \(expectation.testDescription)",
            holds: holds,
            note: problem.map { "\($0)" } ?? "accepted"
        )
        #expect(holds, "\(problem.map { "\($0)" } ?? "accepted")")
    }

    private static func isSame(_ config: Msp_MSPConfig?, _ hex: String) -> Bool {
        guard let config else { return false }
        let digits = hex.compactMap(\.hexDigitValue).map(UInt8.init)
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
        return (try? config.serializedData()) == Data(bytes)
    }
}
