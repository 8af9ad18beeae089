import Archive
import Channel
import Cryptography
import Foundation
import Logging
import RPC
import TestSupport
import Testing

@testable import Peer

/// What a package may be, and where it says that its contract listens.
@Suite struct ChaincodePackageTests {
    static func package(
        label: String = "basic_1.0",
        type: String = "ccaas",
        connection: String = #"{"address": "127.0.0.1:9999"}"#
    ) throws -> Data {
        let code = try Gzip.pack(Tar.archive([("connection.json", Data(connection.utf8))]))
        let metadata = #"{"path": "", "type": "\#(type)", "label": "\#(label)"}"#
        return try Gzip.pack(Tar.archive([("metadata.json", Data(metadata.utf8)), ("code.tar.gz", code)]))
    }

    @Test func aPackageIsNamedByItsLabelAndHash() throws {
        let bytes = try Self.package()
        let package = try ChaincodePackage(bytes)
        #expect(package.id == "basic_1.0:" + Digest.sha256(bytes).hexadecimal)
        #expect(package.type == "ccaas" && package.label == "basic_1.0")
        #expect(try package.codeFile("connection.json") == Data(#"{"address": "127.0.0.1:9999"}"#.utf8))
    }

    @Test(arguments: ["", "-a", "a b", "a/b", "ä", "a:b", "../x"])
    func invalidLabelsAreRefused(label: String) throws {
        let bytes = try Self.package(label: label)
        let error = #expect(throws: ContractError.self) { try ChaincodePackage(bytes) }
        #expect(error?.description.contains("invalid label") == true)
    }

    @Test func whatIsMissingIsNamed() throws {
        let empty = try Gzip.pack(Tar.archive([("code.tar.gz", Data())]))
        let error = #expect(throws: ContractError.self) { try ChaincodePackage(empty) }
        #expect(error?.description.contains("no metadata.json") == true)
        #expect(throws: ContractError.self) { try ChaincodePackage(Data("nonsense".utf8)) }
    }

    @Test(arguments: ["../connection.json", "/connection.json", "a/../../b"])
    func codeThatLeadsOutOfItsFolderIsRefused(path: String) throws {
        let code = try Gzip.pack(Tar.archive([("connection.json", Data()), (path, Data())]))
        let metadata = Data(#"{"type": "ccaas", "label": "x"}"#.utf8)
        let package = try ChaincodePackage(
            Gzip.pack(Tar.archive([("metadata.json", metadata), ("code.tar.gz", code)]))
        )
        let error = #expect(throws: ContractError.self) { try package.codeFile("connection.json") }
        #expect(error?.description.contains("leads out of its folder") == true)
    }

    @Test func addressesAreReadAsFabricDoes() throws {
        let plain = try ServiceAddress(
            json: Data(#"{"address": "cc.example:9999", "dial_timeout": "10s"}"#.utf8)
        )
        #expect(plain.address == "cc.example:9999" && plain.dialTimeout == .seconds(10) && plain.tls == nil)
        let number = try ServiceAddress(json: Data(#"{"address": "h:1", "dial_timeout": 2000000000}"#.utf8))
        #expect(number.dialTimeout == .seconds(2))
        #expect(try ServiceAddress(json: Data(#"{"address": "h:1"}"#.utf8)).dialTimeout == .seconds(3))
    }

    @Test(arguments: [
        (#"{}"#, "address"), (#"{"address": "nowhere"}"#, "address"), (#"{"address": "h:0"}"#, "address"),
        (#"{"address": "{{.peername}}:9999"}"#, "address"),
        (#"{"address": "h:1", "dial_timeout": "x"}"#, "dial_timeout"),
        (#"{"address": "h:1", "tls_required": true}"#, "root_cert"), ("[]", "JSON object"),
        (#"{"address": "h:1", "tls_required": true, "root_cert": "none"}"#, "PEM"),
    ])
    func unusableAddressesAreRefusedWithTheField(json: String, field: String) {
        let error = #expect(throws: ContractError.self) { try ServiceAddress(json: Data(json.utf8)) }
        #expect(error?.description.contains(field) == true, "\(error?.description ?? "")")
    }

    @Test func installedPackagesAreThereAfterARestart() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "packages-\(UUID().uuidString)"
        )
        defer { try? FileManager.default.removeItem(at: folder) }
        let bytes = try Self.package()
        func open() throws -> InstalledContracts {
            try InstalledContracts(
                dataFolder: folder.path,
                pollers: PollerGroup(),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
        }
        let first = try open()
        #expect(first.isEmpty)
        let installed = try await first.install(bytes)
        let again = await #expect(throws: ContractError.self) { try await first.install(bytes) }
        #expect(
            again?.description == "chaincode already successfully installed (package ID '\(installed.id)')"
        )
        let other = await #expect(throws: ContractError.self) {
            try await first.install(Self.package(type: "golang"))
        }
        #expect(other?.description.contains("ccaas") == true)

        let second = try open()
        #expect(second.packages == [installed])
        #expect(try second.bytes(packageID: installed.id) == bytes)
        #expect(try second.bytes(packageID: "other:00") == nil)
        let file = folder.appendingPathComponent("lifecycle/chaincodes")
            .appendingPathComponent(installed.id.replacing(":", with: ".") + ".tar.gz")
        try (bytes + Data([0])).write(to: file)
        #expect(try open().isEmpty, "a file that was changed isn't taken")
    }
}
