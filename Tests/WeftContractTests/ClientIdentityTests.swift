import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@testable import WeftContract

/// Who has proposed a transaction, as contracts see it.
@Suite struct ClientIdentityTests {
    private struct Vector: Decodable {
        var name: String?
        var serialized_hex: String?
        var msp: String?
        var msp_config_hex: String?
    }

    private func vectors(_ file: String) throws -> [Vector] {
        let url = VectorReport.folder("msp").appending(path: file)
        return try JSONDecoder().decode([Vector].self, from: Data(contentsOf: url))
    }

    /// A contract within the peer and one in a process of its own must come to the same result, whatever they make of
    /// the certificate: also of one whose signature the peer turns into its twin to compare identities.
    @Test(.enabled(if: VectorReport.applies("msp")), arguments: ["client", "high-s-certificate"])
    func `Contracts within the peer and elsewhere see the same certificate`(_ name: String) throws {
        let configs = try self.vectors("expected.json").filter { $0.msp == "intermediate-nodeous" }
        let config = try self.bytes(configs.compactMap(\.msp_config_hex).first)
        let msp = try MSP(Msp_MSPConfig(serializedBytes: config), version: .v3_0)
        let vector = try self.vectors("identities.json").first { $0.name == name }
        let serialized = try self.bytes(vector?.serialized_hex)
        let identity = try msp.identity(from: serialized)
        #expect((identity.certificate != identity.received) == (name == "high-s-certificate"))

        let within = ClientIdentity(identity)
        let elsewhere = try ClientIdentity(serialized: serialized)
        #expect(within.certificate == elsewhere.certificate)
        #expect(within.id == elsewhere.id && within.mspID == elsewhere.mspID)
        #expect(within.serialized == elsewhere.serialized)
    }

    private func bytes(_ hexadecimal: String?) throws -> Data {
        let text = try #require(hexadecimal)
        return try #require(Data(hexadecimal: text))
    }
}
