import ArgumentParser
import Foundation
import WeftClient

/// `weft emissions`: work with the built-in contract `emissions` beyond single calls.
struct EmissionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "emissions",
        abstract: "Fill the emissions channel with audited records, for demonstrations and measurements.",
        subcommands: [Load.self]
    )

    struct Load: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Submit generated monthly records of customers of the utilities that the channel knows.",
            discussion: """
                The same seed gives the same records. Every account gets the twelve months of a year, all in one \
                transaction; it goes through a peer's gateway like any other, and is endorsed as the contract's policy \
                asks. The identity must be of an accredited auditor, and the factors approved.

                Example: weft emissions load --as auditor/user --seed 7 --records 2400
                """
        )

        @Option(help: "What the records are generated from.")
        var seed: UInt64 = 1

        @Option(help: "How many records, at least; rounded up to whole years of accounts.")
        var records = 2400

        @Option(help: "The year that the records are about; it must be over.")
        var year = 2024

        @Option(help: "How many accounts in one transaction: 1 to 80.")
        var accountsPerTransaction = 5

        @Option(help: "How many transactions are under way at a time.")
        var workers = 8

        @Option(help: "The contract's name on the channel.")
        var contract = "emissions"

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (1...1_000_000).contains(self.records) else {
                throw ValidationError("--records takes 1 to 1000000")
            }
            guard (1990...2100).contains(self.year) else {
                throw ValidationError("--year takes 1990 to 2100")
            }
            guard (1...80).contains(self.accountsPerTransaction) else {
                throw ValidationError("--accounts-per-transaction takes 1 to 80")
            }
            guard (1...1000).contains(self.workers) else {
                throw ValidationError("--workers takes 1 to 1000")
            }
        }

        func run() async throws {
            let clock = ContinuousClock()
            let began = clock.now
            let tally = try await self.connection.withTarget { connection, target in
                let gateway = connection.gateway(channel: target.channel, as: target.signer)
                let utilities = try await self.utilities(gateway)
                let plan = GeneratedRecords(
                    seed: self.seed,
                    year: self.year,
                    utilities: utilities,
                    accounts: (self.records + 11) / 12
                )
                return try await self.submit(plan, over: gateway)
            }
            let seconds = began.duration(to: clock.now) / .seconds(1)
            self.output.answer(
                .object([
                    "records": .integer(Int64(tally.records)),
                    "accounts": .integer(Int64(tally.accounts)),
                    "wattHours": .integer(tally.wattHours),
                    "transactions": .integer(Int64(tally.transactions)),
                    "firstBlock": .unsigned(tally.firstBlock),
                    "lastBlock": .unsigned(tally.lastBlock),
                    "seconds": .number(seconds),
                ]),
                """
                \(tally.records) records of \(tally.accounts) accounts, \(tally.wattHours / 1000) kWh, committed in \
                \(tally.transactions) transactions, blocks \(tally.firstBlock) to \(tally.lastBlock), \
                in \(rounded(seconds, 1)) s
                """
            )
        }

        /// The numbers of the utilities that are registered on the channel, in ascending order.
        private func utilities(_ gateway: Gateway) async throws -> [Int64] {
            struct Utility: Decodable { var number: Int64 }
            let answer = try await gateway.evaluate(Invocation(self.contract, "ListUtilities"))
            let numbers: [Int64]
            do {
                numbers = try JSONDecoder().decode([Utility].self, from: answer).map(\.number).sorted()
            } catch {
                throw Failure(
                    "\(self.contract) answered ListUtilities with something else than utilities: \(error)"
                )
            }
            guard !numbers.isEmpty else {
                throw Failure(
                    "the channel knows no utilities; register some first: weft tx submit emissions RegisterUtilities {}"
                )
            }
            return numbers
        }

        private struct Tally: Sendable {
            var records = 0
            var accounts = 0
            var wattHours: Int64 = 0
            var transactions = 0
            var firstBlock: UInt64 = .max
            var lastBlock: UInt64 = 0

            mutating func add(_ batch: [GeneratedRecords.Account], in block: UInt64) {
                let months = batch.flatMap(\.months)
                self.transactions += 1
                self.accounts += batch.count
                self.records += months.count
                self.wattHours += months.reduce(0) { $0 + $1.wattHours }
                self.firstBlock = min(self.firstBlock, block)
                self.lastBlock = max(self.lastBlock, block)
            }
        }

        private func submit(_ plan: GeneratedRecords, over gateway: Gateway) async throws -> Tally {
            let step = self.accountsPerTransaction
            let bar = ProgressBar("submitting records", total: plan.accounts)
            defer { bar.finish() }
            var waiting = stride(from: 0, to: plan.accounts, by: step).map { start in
                start..<min(start + step, plan.accounts)
            }[...]
            let contract = self.contract
            typealias Done = (batch: [GeneratedRecords.Account], block: UInt64)
            return try await withThrowingTaskGroup(of: Done.self) { group in
                var tally = Tally()
                var underWay = 0
                while underWay > 0 || !waiting.isEmpty {
                    if underWay < self.workers, let accounts = waiting.popFirst() {
                        underWay += 1
                        group.addTask {
                            let batch = accounts.map { plan.account($0) }
                            let argument = GeneratedRecords.json(batch).text
                            let done = try await gateway.submit(
                                Invocation(contract, "SubmitRecords", [argument])
                            )
                            return (batch, done.block)
                        }
                        continue
                    }
                    guard let done = try await group.next() else { break }
                    underWay -= 1
                    tally.add(done.batch, in: done.block)
                    bar.advance(by: done.batch.count)
                }
                return tally
            }
        }
    }
}
