import Foundation
import Testing

@testable import Peer

/// The parts that contracts are made of.
@Suite struct ContractPiecesTests {
    @Test(arguments: [
        (Int64(0), Int64(429_983), Int64(0)),
        (10_000_000, 429_983, 1_950_370_080),
        (1, 1_000, 0), (1, 429_983, 195),
        // 50,000 Wh at a thousandth of a pound is 22.6796185 mg.
        (50_000, 1, 23),
    ])
    func emissionsAreExactAndRoundedOnce(wattHours: Int64, rate: Int64, milligrams: Int64) {
        let found = EmissionsCalculation.milligrams(wattHours: wattHours, milliPoundsPerMegawattHour: rate)
        #expect(found == milligrams)
    }

    @Test(arguments: [
        (5, 2, 2), (7, 2, 4), (1, 2, 0), (3, 2, 2), (9, 4, 2), (11, 4, 3), (10, 4, 2), (14, 4, 4),
    ])
    func halvesAreRoundedToTheEvenNeighbour(dividend: Int, divisor: Int, quotient: Int) {
        let found = EmissionsCalculation.divideRoundingHalfToEven(Int128(dividend), by: Int128(divisor))
        #expect(found == Int128(quotient))
    }

    @Test func massesThatJSONReadersWouldGarbleAreRefused() {
        #expect(EmissionsCalculation.milligrams(wattHours: .max, milliPoundsPerMegawattHour: .max) == nil)
        #expect(EmissionsCalculation.milligrams(wattHours: -1, milliPoundsPerMegawattHour: 1) == nil)
    }

    @Test(arguments: ["1970-01-01", "2000-02-29", "1999-12-31", "2024-12-31", "9999-12-31", "1900-03-01"])
    func daysAreReadAndWrittenAlike(text: String) throws {
        #expect(try #require(CalendarDay(text)).description == text)
    }

    @Test func daysAreCountedFromTheUnixEpoch() {
        #expect(CalendarDay("1970-01-01")?.number == 0)
        #expect(CalendarDay("2026-01-15")?.number == 20_468)
        #expect(CalendarDay(number: -1).description == "1969-12-31")
    }

    @Test(arguments: [
        "2025-02-29", "2025-13-01", "2025-00-10", "2025-1-01", "1899-12-31", "2025-01-32", "", "2025/01/01",
    ])
    func whatIsNoDayIsRefused(text: String) {
        #expect(CalendarDay(text) == nil)
    }

    @Test func jsonHasOneEncoding() throws {
        let text = #" {"b" : [1, -2, true, null], "a": "\u00e9\n\ud83d\ude42\/", "": {} } "#
        let value = try JSONValue(parsing: Data(text.utf8))
        let expected = "{\"\":{},\"a\":\"\u{e9}\\n\u{1F642}/\",\"b\":[1,-2,true,null]}"
        #expect(String(decoding: value.encoded, as: UTF8.self) == expected)
        #expect(try JSONValue(parsing: value.encoded) == value)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,\"a\":2}", "1.0", "1e3", "01", "-", "\"\\x\"", "\"\\ud800\"", "nul", "1 2",
        "\"\n\"",
        "99999999999999999999", "{\"a\" 1}", "\"", String(repeating: "[", count: 40),
    ])
    func whatIsNoJSONOfWholeNumbersIsRefused(text: String) {
        #expect(throws: ContractError.self) { try JSONValue(parsing: Data(text.utf8)) }
    }

    @Test func compositeKeysComeApartAgain() throws {
        let key = try CompositeKey.make("asset", ["red", "", "é"])
        #expect(key == "\u{0}asset\u{0}red\u{0}\u{0}é\u{0}")
        let parts = try #require(CompositeKey.split(key))
        #expect(parts.objectType == "asset")
        #expect(parts.attributes == ["red", "", "é"])
        #expect(CompositeKey.split("asset") == nil)
        #expect(throws: ContractError.self) { try CompositeKey.make("asset", ["a\u{10FFFF}"]) }
    }

    @Test func theTablesAreComplete() throws {
        #expect(EmissionFactorTable.rows.count == 28)
        let regions = EmissionFactorTable.rows.map(\.region)
        #expect(Set(regions).count == 28)
        #expect(regions.dropLast() == regions.dropLast().sorted()[...])
        #expect(UtilityTable.rows.map(\.number) == UtilityTable.rows.map(\.number).sorted())
        #expect(Set(UtilityTable.rows.map(\.number)).count == UtilityTable.rows.count)
        for utility in UtilityTable.rows {
            #expect(regions.contains(utility.region), "\(utility.name)")
            #expect(utility.state.count == 2)
        }
    }

    @Test func workOnBlockingThreadsLeavesTheCooperativeThreads() async {
        let executor = BlockingExecutor(name: "test", threads: 3)
        let total = await withTaskGroup(of: Int.self) { group in
            for number in 1...100 {
                group.addTask {
                    await withTaskExecutorPreference(executor) {
                        await Self.double(number)
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(total == 10_100)
    }

    private static func double(_ number: Int) async -> Int {
        Self.block()
        return number * 2
    }

    /// Blocks the thread for a moment; with three threads for a hundred tasks, all must still finish.
    private static func block() { Thread.sleep(forTimeInterval: 0.001) }
}
