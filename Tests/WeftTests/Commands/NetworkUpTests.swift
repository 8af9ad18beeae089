import ArgumentParser
import Testing

@testable import weft

@Suite struct NetworkUpTests {
    @Test(
        arguments: [
            (["--contract", "nope"], "(emissions, kv), and \"nope\" is none"),
            (["--channel", "NOPE"], "--channel: "),
            (["--orgs", "4"], "--orgs takes 1 to 3"),
        ]
    )
    func `A wrong value of a flag is wrong usage`(flags: [String], reason: String) {
        let error = #expect(throws: (any Error).self) { try NetworkCommand.Up.parse(flags) }
        guard let error else { return }
        #expect(NetworkCommand.Up.exitCode(for: error) == .validationFailure)
        #expect(NetworkCommand.Up.message(for: error).contains(reason))
    }

    @Test func `Built-in contracts can be named`() throws {
        let up = try NetworkCommand.Up.parse(["--contract", "kv", "--contract", "emissions"])
        #expect(up.contracts == ["kv", "emissions"])
    }
}
