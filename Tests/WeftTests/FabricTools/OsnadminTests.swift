import ArgumentParser
import Foundation
import Testing

@testable import weft

struct OsnadminTests {
    @Test("flags may stand before the command, as Fabric's osnadmin has it")
    func flagsStandAnywhere() {
        let flags = ["-o", "localhost:9443", "--no-status", "--ca-file", "ca.pem"]
        let command = ["channel", "list", "--channelID", "trade"]
        #expect(OsnadminCommand.withCommandFirst(flags + command) == command + flags)
        #expect(OsnadminCommand.withCommandFirst(command + flags) == command + flags)
        let shift = ["--tlsHandshakeTimeShift", "1h"]
        #expect(OsnadminCommand.withCommandFirst(shift + command) == command + shift)
        #expect(OsnadminCommand.withCommandFirst(["--help"]) == ["--help"])
        #expect(OsnadminCommand.withCommandFirst(["-o"]) == ["-o"])
        #expect(OsnadminCommand.withCommandFirst([]) == [])
    }

    @Test(
        "a flag that is given twice is found",
        arguments: [
            ("channel list -o a -o b", "orderer-address"),
            ("channel list -o a --orderer-address=b", "orderer-address"),
            ("-oa channel list -ob", "orderer-address"),
            ("channel list --no-status --no-status", "no-status"),
            ("channel list -o a --ca-file a", nil), ("channel list -o a -- -o b", nil), ("", nil),
        ] as [(String, String?)]
    )
    func findsRepetitions(line: String, flag: String?) {
        let words = line.split(separator: " ").map(String.init)
        #expect(KingpinProgram.repeatedFlag(in: words, OsnadminCommand.shortNames) == flag)
    }

    @Test("answers are printed as Fabric's osnadmin prints them")
    func printsAnswers() throws {
        let list = Data(
            "{\"systemChannel\":null,\"channels\":[{\"name\":\"a b\",\"url\":\"/x\"}],\"e\":[],\"f\":{}}\n"
                .utf8
        )
        let lines = [
            "Status: 200", "{", "\t\"systemChannel\": null,", "\t\"channels\": [", "\t\t{",
            "\t\t\t\"name\": \"a b\",",
            "\t\t\t\"url\": \"/x\"", "\t\t}", "\t],", "\t\"e\": [],", "\t\"f\": {}", "}", "",
        ]
        let answer = OsnadminAnswer(status: 200, body: list)
        #expect(try answer.output(withStatus: true, file: nil) == lines.joined(separator: "\n"))
        #expect(try answer.output(withStatus: false, file: nil) == lines.dropFirst().joined(separator: "\n"))
        let empty = OsnadminAnswer(status: 204, body: Data())
        #expect(try empty.output(withStatus: true, file: nil) == "Status: 204\n")
        #expect(try empty.output(withStatus: false, file: nil) == "")
        #expect(
            indentedJSON("{\"error\":\"a \\\"{,:}\\\" \\\\\"}")
                == "{\n\t\"error\": \"a \\\"{,:}\\\" \\\\\"\n}"
        )
    }

    @Test("a good answer goes into the file, another one to the terminal")
    func writesBlocks() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "weft-\(UUID().uuidString).block")
            .path
        let block = OsnadminAnswer(status: 200, body: Data([1, 2, 3]))
        #expect(try block.output(withStatus: true, file: file) == "Status: 200\n")
        #expect(FileManager.default.contents(atPath: file) == Data([1, 2, 3]))
        try FileManager.default.removeItem(atPath: file)
        let missing = OsnadminAnswer(status: 404, body: Data("{\"error\":\"x\"}\n".utf8))
        #expect(try missing.output(withStatus: true, file: file) == "Status: 404\n{\n\t\"error\": \"x\"\n}\n")
        #expect(!FileManager.default.fileExists(atPath: file))
        #expect(throws: OsnadminFailure.self) { try block.output(withStatus: true, file: nil) }
        #expect(throws: OsnadminFailure.self) {
            try OsnadminAnswer(status: 404, body: Data("404 page not found\n".utf8)).output(
                withStatus: true,
                file: nil
            )
        }
    }

    @Test(
        "every command takes Fabric's flag that shifts the clock",
        arguments: [
            "list", "remove -c trade", "join -c trade -b file", "update -c trade -e file",
            "fetch -c trade -b newest -f file",
        ]
    )
    func takesTimeShift(command: String) throws {
        let words = ["channel"] + command.split(separator: " ").map(String.init) + ["-o", "localhost:9443"]
        _ = try OsnadminCommand.parseAsRoot(words + ["--tlsHandshakeTimeShift", "1h"])
        _ = try OsnadminCommand.parseAsRoot(words + ["-t", "1h"])
        #expect(throws: (any Error).self) { try OsnadminCommand.parseAsRoot(words + ["-t", "soon"]) }
    }

    @Test("a file of another kind is named, with what was expected")
    func namesWrongFiles() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "weft-\(UUID().uuidString)").path
        try Data("root:x:0:0:root:/root:/bin/bash\n".utf8).write(to: URL(fileURLWithPath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let flags = ["-c", "trade", "-o", "localhost:9443"]
        let join = try OsnadminCommand.ChannelActions.Join.parse(flags + ["-b", file])
        let block = await #expect(throws: OsnadminFailure.self) { try await join.run() }
        #expect(block?.description.contains("\(file) holds no config block; expected ") == true)
        let update = try OsnadminCommand.ChannelActions.Update.parse(flags + ["-e", file])
        let envelope = await #expect(throws: OsnadminFailure.self) { try await update.run() }
        #expect(envelope?.description.contains("\(file) holds no config update envelope; expected ") == true)
    }

    @Test(
        "an address where nobody listens is named, with the reason alone",
        arguments: ["127.0.0.1", "localhost"]
    )
    func namesUnreachableAddress(host: String) async throws {
        let address = "\(host):\(try #require(LoopbackPorts.free(1).first))"
        let failure = await #expect(throws: OsnadminFailure.self) {
            try await OsnadminRequest.list(nil).send(to: address, tls: nil)
        }
        #expect(
            failure?.description
                == "GET \"http://\(address)/participation/v1/channels\": no connection to \(address): Connection refused"
        )
    }
}
