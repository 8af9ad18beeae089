import Foundation
import Testing

@testable import Peer

@Suite struct ContractLogTests {
    @Test func aLogIsOfBoundedSize() throws {
        let folder = try TemporaryFolder()
        let bounds = ContractLog.Bounds(fileBytes: 1_000, bytesPerSecond: .max)
        let log = ContractLog(file: folder.url.appendingPathComponent("log"), bounds: bounds)
        for number in 0..<1_000 { log.write(Data("line \(number)\n".utf8)) }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(Set(names) == ["log", "log.1"])
        #expect(folder.text("log").utf8.count <= 1_000 && folder.text("log.1").utf8.count <= 1_000)
        #expect(folder.text("log").hasSuffix("line 999\n"))
        #expect(log.tail.hasSuffix("line 999") && log.tail.utf8.count <= 4_096)
    }

    @Test func aLogGoesOnAfterARestart() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appendingPathComponent("log")
        ContractLog(file: file).write(Data("one\n".utf8))
        let second = ContractLog(file: file)
        second.begin("starts")
        #expect(second.tail.isEmpty)
        second.write(Data("two\n".utf8))
        let lines = folder.text("log").split(separator: "\n")
        #expect(lines.count == 3 && lines[0] == "one" && lines[1].hasPrefix("[weft ") && lines[2] == "two")
    }
}
