import ArgumentParser
import Foundation
import Testing

@testable import weft

@Suite struct GeneratedRecordsTests {
    private let plan = GeneratedRecords(seed: 7, year: 2024, utilities: [14328, 5416], accounts: 20)

    @Test func `The same seed gives the same records, and another seed others`() {
        let text = { (plan: GeneratedRecords) in
            GeneratedRecords.json((0..<plan.accounts).map { plan.account($0) }).text
        }
        var other = self.plan
        #expect(text(self.plan) == text(other))
        other.seed = 8
        #expect(text(self.plan) != text(other))
    }

    @Test func `An account has the twelve months of a year, without a gap`() {
        let account = self.plan.account(3)
        #expect(account.months.count == 12)
        #expect(account.months.first?.start == "2024-01-01")
        #expect(account.months.last?.end == "2025-01-01")
        for (month, next) in zip(account.months, account.months.dropFirst()) {
            #expect(month.end == next.start)
        }
        #expect(self.plan.account(0).utility == 14328)
        #expect(self.plan.account(1).utility == 5416)
        #expect(Set((0..<20).map { self.plan.account($0).name }).count == 20)
    }

    @Test func `Households and businesses use what such customers use`() {
        for place in 0..<20 {
            let year = self.plan.account(place).months.reduce(0) { $0 + $1.wattHours } / 1000
            // 300 to 1,500 kWh a month; every tenth account is a business.
            let scale: Int64 = place % 10 == 9 ? 20 : 1
            #expect((3000 * scale...20_000 * scale).contains(year), "\(year) kWh")
        }
    }

    @Test func `The argument is what the contract takes`() throws {
        struct Argument: Decodable {
            struct Record: Decodable, Equatable {
                var utility, wattHours: Int64
                var account, periodStart, periodEnd: String
            }
            var records: [Record]
        }
        let account = self.plan.account(0)
        let text = GeneratedRecords.json([account]).text
        let records = try JSONDecoder().decode(Argument.self, from: Data(text.utf8)).records
        #expect(records.count == 12)
        let may = Argument.Record(
            utility: 14328,
            wattHours: account.months[4].wattHours,
            account: "S7-00001",
            periodStart: "2024-05-01",
            periodEnd: "2024-06-01"
        )
        #expect(records[4] == may)
    }

    @Test(
        arguments: [
            ["--records", "0"], ["--records", "1000001"], ["--year", "1989"], ["--workers", "0"],
            ["--accounts-per-transaction", "81"],
        ]
    )
    func `Numbers that make no sense are refused`(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try EmissionsCommand.Load.parse(arguments) }
    }
}
