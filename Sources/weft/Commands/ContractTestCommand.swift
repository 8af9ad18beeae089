import ArgumentParser
import FabricProtos
import Foundation
import Logging
import Peer

/// `weft contract test`: tests a contract without a network.
struct ContractTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Run a contract's own tests, and see that it builds, starts and answers.",
        discussion: """
            A Swift package: swift test, whose tests run the contract in process (WeftContractTesting). Anything else is built \
            and started as a peer would, without a network, and asked for its metadata; tests of a contract in Python \
            (test_*.py, *_test.py) run first, in the environment that was built. A contract that is a service elsewhere must run.

            Exit codes: 0 passed; 2 tests failed; 1 it can't be built or started.
            """
    )

    @Argument(help: "The contract: a folder, a program, or a package (.tar.gz).")
    var path = "."

    @Option(
        help: ArgumentHelp(
            "How it is built and run (executable, python, ccaas, …); else told by its files.",
            valueName: "type"
        )
    )
    var type: String?

    @OptionGroup var output: OutputOptions

    func run() async throws {
        let isQuiet = self.output.json
        let outcome = try await ContractTestRun(
            path: self.path,
            type: self.type,
            isQuiet: isQuiet,
            logger: self.output.logger("weft.contract", level: .critical),
            tell: { if !isQuiet { print($0) } }
        ).run()
        var lines: [String] = []
        if let tests = outcome.tests {
            lines.append("its tests \(tests.passed ? "passed" : "failed"): \(tests.command)")
        }
        if let trial = outcome.trial {
            if outcome.tests == nil {
                lines.append("it has no tests of its own that this command knows how to run")
            }
            lines.append(
                "it was built as \(trial.packageID) (\(trial.type)), started, registered, and answered after \(Self.text(trial.time))"
            )
            lines += Self.text(Self.transactions(trial.response), trial.response)
        }
        self.output.answer(Self.json(outcome), lines.joined(separator: "\n"))
        guard outcome.hasPassed else {
            throw Failure("the contract's tests failed", code: .wrong, followsAnswer: true)
        }
    }

    private static func text(_ time: Duration) -> String {
        time.formatted(.units(allowed: [.seconds], width: .narrow, fractionalPart: .show(length: 2)))
    }

    private static func text(
        _ transactions: [(contract: String, names: [String])]?,
        _ response: Protos_Response
    )
        -> [String]
    {
        guard let transactions else {
            let answer =
                response.message.isEmpty ? "" : ", \"\(readable(Data(response.message.prefix(300).utf8)))\""
            return [
                "it has no metadata (status \(response.status)\(answer)), as contracts that don't use a contract API"
            ]
        }
        return transactions.map { "\($0.contract): \($0.names.joined(separator: ", "))" }
    }

    private static func json(_ outcome: ContractTestRun.Outcome) -> JSONValue {
        var members: [(String, JSONValue)] = [("passed", .boolean(outcome.hasPassed))]
        if let tests = outcome.tests {
            members.append(
                ("tests", .object(["command": .string(tests.command), "passed": .boolean(tests.passed)]))
            )
        }
        if let trial = outcome.trial {
            let contracts = self.transactions(trial.response)?.map { contract -> (String, JSONValue) in
                (contract.contract, .array(contract.names.map { .string($0) }))
            }
            members += [
                ("package", .string(trial.packageID)), ("type", .string(trial.type)),
                ("status", .integer(Int64(trial.response.status))),
                ("message", .string(trial.response.message)), ("printed", .string(trial.printed)),
                ("contracts", contracts.map { .members($0) } ?? .null),
            ]
        }
        return .members(members)
    }

    /// The contracts and transactions that metadata describes; `nil` if that is no metadata.
    ///
    /// - Source: Fabric's contract API, the metadata's schema.
    static func transactions(_ response: Protos_Response) -> [(contract: String, names: [String])]? {
        struct Metadata: Decodable {
            struct Contract: Decodable {
                struct Transaction: Decodable { var name: String }
                var transactions: [Transaction]?
            }
            var contracts: [String: Contract]
        }
        guard response.status == 200,
            let metadata = try? JSONDecoder().decode(Metadata.self, from: response.payload)
        else { return nil }
        return metadata.contracts.sorted { $0.key < $1.key }
            .map { ($0.key, ($0.value.transactions ?? []).map(\.name)) }
    }
}
