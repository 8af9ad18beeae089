import Foundation
import Testing

@testable import weft

@Suite struct ContractSourceTests {
    private func inFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    @Test(arguments: [
        ("go.mod", "golang"), ("package.json", "node"), ("connection.json", "ccaas"),
        ("chaincode", "executable"), ("trade.py", "python"),
    ])
    func theTypeIsToldByTheFiles(_ file: String, _ type: String) throws {
        try self.inFolder { folder in
            try Data("x".utf8).write(to: folder.appendingPathComponent(file))
            #expect(try ContractSource.type(of: folder.path) == type)
        }
    }

    @Test func whatCannotBeToldIsAskedFor() throws {
        try self.inFolder { folder in
            let failure = #expect(throws: Failure.self) { try ContractSource.type(of: folder.path) }
            #expect(failure?.description.contains("--type") == true)
            #expect(failure?.code == .usage)
            let missing = #expect(throws: Failure.self) {
                try ContractSource.type(of: folder.path + "/nothing")
            }
            #expect(missing?.description.contains("there is no") == true)
        }
    }

    @Test func theSameAddressGivesTheSamePackage() throws {
        let one = try ContractSource(address: "localhost:9999", label: "svc_1.0")
        #expect(try ContractSource(address: "localhost:9999", label: "svc_1.0").id == one.id)
        #expect(try ContractSource(address: "localhost:9998", label: "svc_1.0").id != one.id)
        #expect(one.id.hasPrefix("svc_1.0:"))
    }

    @Test func aFinishedPackageIsTakenAsItIs() throws {
        try self.inFolder { folder in
            let made = try ContractSource(address: "localhost:9999", label: "svc_1.0")
            let file = folder.appendingPathComponent("svc.tar.gz")
            try made.package.write(to: file)
            #expect(try ContractSource(path: file.path, type: nil, label: "other").id == made.id)
        }
    }
}
