import Archive
import Foundation
import Testing

@testable import Peer

/// What goes into the packages that `peer lifecycle chaincode package` makes.
@Suite struct ChaincodePackagingTests {
    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    private func paths(_ type: String, path: String? = nil) throws -> [String] {
        let bytes = try ChaincodePackaging.package(
            path: path ?? self.folder.path,
            type: type,
            label: "cc_1.0"
        )
        return try ChaincodePackage(bytes).codeEntries().map(\.path)
    }

    @Test func aGoModuleIsPackedAsAWhole() throws {
        try self.folder.write("// comment\nmodule example.com/trade\n\ngo 1.22\n", to: "go.mod")
        for file in ["main.go", "cmd/cc/main.go", "vendor/x/x.go", ".git/config", ".hidden/y.go", ".golint"] {
            try self.folder.write("", to: file)
        }
        try self.folder.write("{}", to: "cmd/cc/META-INF/statedb/couchdb/indexes/owner.json")
        let path = self.folder.path + "/cmd/cc"
        let bytes = try ChaincodePackaging.package(path: path, type: "golang", label: "cc")
        let package = try ChaincodePackage(bytes)
        #expect(
            String(decoding: package.metadata, as: UTF8.self)
                == #"{"path":"example.com/trade/cmd/cc","type":"golang","label":"cc"}"#
        )
        #expect(
            try package.codeEntries().map(\.path) == [
                "META-INF/statedb/couchdb/indexes/owner.json", "src/.golint", "src/cmd/cc/main.go",
                "src/go.mod",
                "src/main.go", "src/vendor/x/x.go",
            ]
        )
    }

    @Test func eachLanguageHasItsLayout() throws {
        for file in [
            "package.json", "lib/x.js", "node_modules/y/y.js", "target/z.js", "a.class", "__pycache__/b.pyc",
        ] {
            try self.folder.write("", to: file)
        }
        #expect(
            try self.paths("node") == [
                "src/__pycache__/b.pyc", "src/a.class", "src/lib/x.js", "src/package.json", "src/target/z.js",
            ]
        )
        #expect(
            try self.paths("java") == [
                "src/__pycache__/b.pyc", "src/lib/x.js", "src/node_modules/y/y.js", "src/package.json",
            ]
        )
        #expect(
            try self.paths("python") == [
                "a.class", "lib/x.js", "node_modules/y/y.js", "package.json", "target/z.js",
            ]
        )
        #expect(try self.paths("ccaas").count == 6)
    }

    @Test func programsStayProgramsAndOneFileIsEnough() throws {
        try self.folder.write("#!/bin/sh\n", to: "bin/trade", isProgram: true)
        try self.folder.write("", to: "README")
        let path = self.folder.path
        let whole = try ChaincodePackage(
            ChaincodePackaging.package(path: path, type: "executable", label: "x")
        ).codeEntries()
        #expect(whole.map(\.path) == ["README", "bin/trade"] && whole.map(\.isExecutable) == [false, true])
        #expect(try self.paths("executable", path: path + "/bin/trade") == ["trade"])
    }

    @Test func theSameFilesGiveTheSameBytes() throws {
        try self.folder.write("1", to: "a/b.py")
        try self.folder.write("2", to: "c.py")
        let first = try ChaincodePackaging.package(path: self.folder.path, type: "python", label: "x")
        let other = try TemporaryFolder()
        try other.write("2", to: "c.py")
        try other.write("1", to: "a/b.py")
        let second = try ChaincodePackaging.package(path: other.path, type: "python", label: "x")
        // Only where they lay is written into a package.
        #expect(try ChaincodePackage(first).codeEntries() == ChaincodePackage(second).codeEntries())
        #expect(first == (try ChaincodePackaging.package(path: self.folder.path, type: "python", label: "x")))
    }

    @Test func whatCannotBePackedIsNamed() throws {
        func reason(_ type: String, path: String? = nil, label: String = "x") -> String {
            do {
                _ = try ChaincodePackaging.package(path: path ?? self.folder.path, type: type, label: label)
                return ""
            } catch { return error.description }
        }
        #expect(reason("python").contains("no source files found"))
        #expect(reason("python", path: "/nonexistent").contains("does not exist: /nonexistent"))
        #expect(reason("python", label: "a b").contains("invalid label"))
        #expect(reason("golang").contains("no go.mod"))
        try self.folder.write("", to: "index.js")
        #expect(reason("node").contains("no package.json"))
        try FileManager.default.createSymbolicLink(
            atPath: self.folder.path + "/link",
            withDestinationPath: "/etc/passwd"
        )
        #expect(reason("python").contains("/link is a link or device"))
        try FileManager.default.removeItem(atPath: self.folder.path + "/link")
        try self.folder.write("no json", to: "META-INF/statedb/couchdb/indexes/a.json")
        #expect(reason("ccaas").contains("not a valid JSON"))
        try self.folder.write("{}", to: "META-INF/other.json")
        #expect(reason("ccaas").contains("not supported"))
    }
}
