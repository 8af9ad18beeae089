import ArgumentParser
import Channel
import Foundation
import Ledger
import Peer

/// `weft ledger`: look after the ledgers in a data folder of a node that is stopped.
struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger",
        abstract: "Check the ledgers in a data folder.",
        subcommands: [Verify.self, LedgerTamperCommand.self]
    )

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Re-check every hash, signature and verdict of a ledger, and compute its state again.",
            discussion: """
                The peer must be stopped, or the folder be a copy. Trusts the genesis block and nothing else. Exit code 2 \
                when something is wrong; the first block and transaction that are wrong are named.

                Example: weft ledger verify weft-network/nodes/agency/data
                """
        )

        @Argument(help: "A peer's data folder, or the folder of one channel's ledger in it.")
        var folder: String

        @Flag(help: "Believe the stored verdicts: check hashes and state, but no signatures.")
        var withoutSignatures = false

        @OptionGroup var output: OutputOptions

        func run() async throws {
            let ledgers = try LedgerCommand.ledgers(in: self.folder)
            var entries: [JSONValue] = []
            var isIntact = true
            for ledger in ledgers {
                let report = try self.verify(ledger)
                isIntact = isIntact && report.isIntact
                entries.append(Self.json(ledger, report))
                self.output.say(Self.text(ledger, report))
            }
            if self.output.json {
                print(JSONValue.object(["ledgers": .array(entries), "intact": .boolean(isIntact)]).text)
            }
            guard isIntact else {
                throw Failure(
                    "the ledger is not what it should be; see above",
                    code: .wrong,
                    followsAnswer: true
                )
            }
        }

        private func verify(_ folder: String) throws -> VerificationReport {
            let bar = ProgressStep(title: "verifying")
            defer { bar.finish() }
            let judge = LedgerJudge()
            return try LedgerVerification.run(
                folder: folder,
                judge: self.withoutSignatures ? nil : judge.judge,
                progress: { done, total in bar.show(Int(clamping: done), of: Int(clamping: total)) }
            )
        }

        private static func json(_ folder: String, _ report: VerificationReport) -> JSONValue {
            .object([
                "folder": .string(folder),
                "intact": .boolean(report.isIntact),
                "height": .unsigned(report.height),
                "verifiedBlocks": .unsigned(report.verifiedBlocks),
                "commitHash": .string(report.commitHash.hexadecimal),
                "findings": .array(
                    report.findings.map { finding in
                        .object([
                            "block": finding.block.map { .unsigned($0) } ?? .null,
                            "transaction": finding.transaction.map { .integer(Int64($0)) } ?? .null,
                            "file": finding.file.map { .string($0) } ?? .null,
                            "message": .string(finding.message),
                        ])
                    }
                ),
            ])
        }

        private static func text(_ folder: String, _ report: VerificationReport) -> String {
            guard !report.isIntact else {
                return """
                    \(folder): intact. \(report.verifiedBlocks) blocks: every hash, signature and verdict holds, and the \
                    state is what the blocks say
                      commit hash \(report.commitHash.hexadecimal)
                    """
            }
            let shown = report.findings.prefix(20).map { "  \($0)" }
            let more = report.findings.count > 20 ? ["  and \(report.findings.count - 20) more"] : []
            return (["\(folder): WRONG"] + shown + more).joined(separator: "\n")
        }
    }

    /// The ledgers below a folder, whichever of its levels was named.
    static func ledgers(in folder: String) throws -> [String] {
        let files = FileManager.default
        if files.fileExists(atPath: folder + "/log") { return [folder] }
        for place in [folder + "/channels", folder + "/data/channels"] {
            let names = ((try? files.contentsOfDirectory(atPath: place)) ?? []).sorted()
            let found = names.map { "\(place)/\($0)" }.filter { files.fileExists(atPath: $0 + "/log") }
            if !found.isEmpty { return found }
        }
        throw Failure(
            """
            there is no ledger in \(folder); give the data folder of a peer, such as \
            weft-network/nodes/agency/data
            """
        )
    }
}
