import ArgumentParser
import Channel
import FabricProtos
import Foundation
import WeftClient

/// `weft tx submit`: have a contract's function endorsed, ordered and committed.
struct TransactionSubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Have a contract's function endorsed, ordered and committed; returns once it is valid.",
        discussion: """
            With --retry, a transaction that the ledger holds as invalid because of what it had read (MVCC_READ_CONFLICT, \
            PHANTOM_READ_CONFLICT) is made anew. One whose outcome isn't known never is: at most one takes effect.

            Example: weft tx submit kv put greeting hello
            """
    )

    @OptionGroup var call: TransactionCommand.InvocationOptions

    @Option(
        help: ArgumentHelp(
            "How often a transaction that failed by a conflict of reads is made anew.",
            valueName: "times"
        )
    )
    var retry = 0

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (0...1_000).contains(self.retry) else {
            throw ValidationError("--retry takes a number from 0 to 1000, not \(self.retry)")
        }
    }

    func run() async throws {
        let invocation = try self.call.invocation()
        let submission = RetriedSubmission(retries: self.retry) { standardError("weft: \($0)") }
        let (result, attempts) = try await self.connection.withTarget { connection, target in
            let gateway = connection.gateway(channel: target.channel, as: target.signer)
            return try await submission.run(
                endorse: { try await gateway.endorse(invocation) },
                submit: { try await gateway.submit($0) },
                status: { try await gateway.status(of: $0.transactionID) },
                result: \.result
            )
        }
        guard let done = attempts.last else { throw Failure("nothing was submitted") }
        self.output.answer(
            .object([
                "transaction": .string(done.transactionID),
                "block": .unsigned(done.block),
                "code": .string(done.codeName),
                "result": .bytes(result),
                "attempts": .array(
                    attempts.map { attempt in
                        .object([
                            "transaction": .string(attempt.transactionID),
                            "block": .unsigned(attempt.block),
                            "code": .string(attempt.codeName),
                        ])
                    }
                ),
            ]),
            """
            committed in block \(done.block) as \(done.codeName), transaction \(done.transactionID)
            \(readable(result))
            """.trimmingCharacters(in: .newlines)
        )
    }
}

/// Submits a call until it is valid, as long as what failed is known to have failed by a conflict of reads.
///
/// A new proposal is made only after the ledger has told that the one before it is invalid. Whatever else happens, an
/// unknown outcome above all, ends the submission.
struct RetriedSubmission: Sendable {
    /// How many proposals more than one are made.
    let retries: Int
    /// Takes a line about each transaction that is made anew.
    let tell: @Sendable (String) -> Void

    /// The longest pause before an attempt, which lets other endorsers come to the same block.
    private static let longestPause: Duration = .milliseconds(500)
    private static let conflicts = [
        Protos_TxValidationCode.mvccReadConflict, .phantomReadConflict,
    ].map(\.rawValue)

    /// - Parameters:
    ///   - endorse: Makes a proposal and has it endorsed.
    ///   - submit: Has a transaction ordered.
    ///   - status: Waits for its verdict.
    ///   - result: What the contract answered.
    /// - Returns: The answer to the valid transaction, and the verdicts on all, the valid one last.
    /// - Throws: ``Failure`` if the last transaction is invalid, and what the closures throw.
    func run<Endorsed>(
        endorse: () async throws -> Endorsed,
        submit: (Endorsed) async throws -> Void,
        status: (Endorsed) async throws -> CommitStatus,
        result: (Endorsed) -> Data
    ) async throws -> (result: Data, attempts: [CommitStatus]) {
        var attempts: [CommitStatus] = []
        while true {
            let endorsed = try await endorse()
            try await submit(endorsed)
            let verdict = try await status(endorsed)
            attempts.append(verdict)
            if verdict.isValid { return (result(endorsed), attempts) }
            let what =
                "transaction \(verdict.transactionID) is in block \(verdict.block) but took no effect: it was judged "
                + "\(verdict.codeName) (\(verdict.code))"
            guard Self.conflicts.contains(verdict.code), attempts.count <= self.retries else {
                let often = attempts.count > 1 ? ", the last of \(attempts.count) attempts" : ""
                throw Failure("\(what)\(often); say why with: weft tx explain \(verdict.transactionID)")
            }
            self.tell("\(what); attempt \(attempts.count + 1) of \(self.retries + 1) follows")
            let pause = min(Self.longestPause, .milliseconds(10) * (1 << min(attempts.count, 10)))
            try await Task.sleep(for: pause * Double.random(in: 0.5...1))
        }
    }
}
