import Foundation

/// Monthly electricity use of customers that don't exist, the same for the same seed.
///
/// A household uses 300 to 1,500 kWh a month, more in summer and winter; one account in ten is a business that uses
/// about twenty times as much.
struct GeneratedRecords: Sendable {
    struct Month: Sendable {
        var start: String
        /// The day after the last.
        var end: String
        var wattHours: Int64
    }

    struct Account: Sendable {
        var utility: Int64
        var name: String
        var months: [Month]
    }

    var seed: UInt64
    var year: Int
    /// EIA numbers, at least one.
    var utilities: [Int64]
    var accounts: Int

    /// How the months differ, in hundredths of the average.
    private static let seasons: [Int64] = [118, 106, 94, 82, 84, 104, 126, 124, 102, 84, 82, 94]

    /// The account at a place in the whole, with its twelve months.
    func account(_ place: Int) -> Account {
        var random = SplitMix64(state: self.seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(place))
        let isBusiness = place % 10 == 9
        let average = Int64.random(in: 300_000...1_500_000, using: &random) * (isBusiness ? 20 : 1)
        let months = Self.seasons.enumerated().map { index, season in
            let share = season * Int64.random(in: 900...1100, using: &random)
            return Month(
                start: Self.day(self.year, index + 1),
                end: index == 11 ? Self.day(self.year + 1, 1) : Self.day(self.year, index + 2),
                wattHours: average / 1000 * share / 100
            )
        }
        return Account(
            utility: self.utilities[place % self.utilities.count],
            name: "S\(self.seed)-\(String(format: "%05d", place + 1))",
            months: months
        )
    }

    /// The argument of `SubmitRecords` for some accounts.
    static func json(_ accounts: [Account]) -> JSONValue {
        .object([
            "records": .array(
                accounts.flatMap { account in
                    account.months.map { month in
                        .object([
                            "utility": .integer(account.utility),
                            "account": .string(account.name),
                            "periodStart": .string(month.start),
                            "periodEnd": .string(month.end),
                            "wattHours": .integer(month.wattHours),
                        ])
                    }
                }
            )
        ])
    }

    private static func day(_ year: Int, _ month: Int) -> String {
        String(format: "%04d-%02d-01", year, month)
    }
}

/// A generator whose numbers follow from its seed.
///
/// - Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
