import Testing

@testable import Emissions

/// What the contract `emissions` calculates with.
@Suite struct EmissionsPiecesTests {
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
}
