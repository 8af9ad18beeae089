import Foundation
import Testing

@testable import weft

@Suite struct FileContentTests {
    @Test func `What comes out of a pipe is read to its end`() throws {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data("from a pipe".utf8))
        try pipe.fileHandleForWriting.close()
        let path = "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)"
        #expect(try readText(path, as: "it") == "from a pipe")
        #expect(try content(ofFile: "/dev/null").isEmpty)
    }

    @Test func `A pipe is written into`() throws {
        let pipe = Pipe()
        try writeNew(Data("into a pipe".utf8), to: "/dev/fd/\(pipe.fileHandleForWriting.fileDescriptor)")
        try pipe.fileHandleForWriting.close()
        #expect(try pipe.fileHandleForReading.readToEnd() == Data("into a pipe".utf8))
    }

    @Test func `A file that a link names is replaced, and the link stays`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "weft-\(UUID().uuidString)"
        )
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (file, link) = (folder.path + "/file", folder.path + "/link")
        try writeNew(Data("old".utf8), to: file)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
        try writeNew(Data("new".utf8), to: link)
        #expect(try readText(file, as: "it") == "new")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == file)
    }

    @Test func `What can't be read is named, with the reason`() {
        let missing = #expect(throws: Failure.self) { try readBytes("/nonexistent/file", as: "the block") }
        #expect(missing?.description == "the block should be in /nonexistent/file, but there is no such file")
        let folder = #expect(throws: Failure.self) { try readBytes("/", as: "the block") }
        #expect(folder?.description.contains("it can't be read") == true)
    }

    @Test func `A file that an argument names and that isn't there is wrong usage`() throws {
        let missing = #expect(throws: Failure.self) { try readArgument("/nonexistent/file", as: "the block") }
        #expect(missing?.code == .usage)
        let operations = try EditOperation.parse([
            "set-consenter-certificates", "address=localhost:7050", "client-cert=/nonexistent/file",
        ])
        let edit = #expect(throws: Failure.self) { try operations[0].edit(now: Date()) }
        #expect(edit?.code == .usage)
        #expect(edit?.description.contains("client-cert=") == true)
    }
}
