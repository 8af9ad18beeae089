import CertificateAuthority
import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing
import Translation

@testable import weft

/// What `configtxgen` makes of a file, held against what Fabric's makes of the same file.
@Suite(.enabled(if: VectorReport.applies("configtx"))) struct ConfigtxVectorTests {
    private static let folder = VectorReport.folder("configtx")

    private static func file() throws -> ConfigtxFile {
        let path = try ConfigtxFile.find(in: self.folder.path, environment: [:])
        return try ConfigtxFile(file: path) { folder, mspID in
            try MSPFolder(folder).configuration(mspID: MSPID(mspID)).config
        }
    }

    private static func vector(_ name: String) throws -> Data {
        try Data(contentsOf: self.folder.appendingPathComponent(name))
    }

    @Test(arguments: ["Raft", "OldRaft", "BFT", "BFTOptions"])
    func aGenesisBlockHoldsTheConfigurationThatFabricWrites(_ profile: String) throws {
        let expected = try Common_Block(serializedBytes: Self.vector("\(profile).block"))
        let config = try expected.configEnvelope().config
        let block = try GenesisBlock.make(
            channelID: ChannelID("ch"),
            profile: Self.file().profile(profile),
            nonce: Data(repeating: 7, count: 24),
            timestamp: Date(timeIntervalSince1970: 0)
        )
        let translation = try FabricJSON()
        let ours = try translation.json(
            of: block.configEnvelope().config.serializedBytes(),
            type: "common.Config"
        )
        let theirs = try translation.json(of: config.serializedBytes(), type: "common.Config")
        #expect(ours.document == theirs.document)
        #expect(block.metadata == expected.metadata)
        VectorReport.record(folder: "configtx", name: profile, holds: ours.document == theirs.document)
    }

    @Test(arguments: ["OrdererOrg", "Org1", "Org2"])
    func anOrganizationIsPrintedAsFabricPrintsIt(_ name: String) throws {
        let organization = try Self.file().organization(named: name)
        let isOrderer = name == "OrdererOrg"
        let group = isOrderer ? try organization.ordererGroup() : try organization.applicationGroup()
        let document = try FabricJSON().json(
            ofGroup: group.serializedBytes(),
            at: isOrderer ? .ordererOrganization : .applicationOrganization
        ).document
        let expected = try Self.vector("\(name).json")
        #expect(document == expected)
        VectorReport.record(folder: "configtx", name: name, holds: document == expected)
    }

    @Test(arguments: [nil, "OldRaft"])
    func aRequestToCreateAChannelIsTheOneThatFabricMakes(_ base: String?) throws {
        let name = base.map { "Creation-\($0)" } ?? "Creation"
        let file = try Self.file()
        let expected = try Common_Envelope(serializedBytes: Self.vector("\(name).tx"))
        let header = try EnvelopeHeaders(expected).channel
        let envelope = try ChannelCreation.envelope(
            channelID: ChannelID("ch"),
            profile: file.profile("Creation"),
            base: base.map(file.profile),
            timestamp: Date(timeIntervalSince1970: Double(header.timestamp.seconds))
        )
        let translation = try FabricJSON()
        let ours = try translation.json(of: envelope.serializedBytes(), type: "common.Envelope").document
        let theirs = try translation.json(of: expected.serializedBytes(), type: "common.Envelope").document
        #expect(ours == theirs)
        VectorReport.record(folder: "configtx", name: name, holds: ours == theirs)
    }
}
