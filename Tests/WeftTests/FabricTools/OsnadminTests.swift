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
}
