/// How much CO2e the use of electricity caused, in whole numbers.
///
/// ```
/// mass [mg] = energy [Wh] × rate [lb/1000 / MWh] × 45,359,237 / 10^11
/// ```
///
/// since 1 MWh is 10^6 Wh and a thousandth of a pound is exactly 453.59237 g / 1000 = 453.59237 mg, that is
/// 45,359,237 / 10^5 mg.
/// The product is exact in 128 bits and the quotient is rounded once, half to even. 10,000 kWh at
/// 429.983 lb/MWh are 1,950,370,080 mg, or 1,950.37 kg.
///
/// - Source: international pound, 0.45359237 kg exactly (NIST Special Publication 811, appendix B);
///   rounding: IEEE 754, roundTiesToEven.
package enum EmissionsCalculation {
    /// The largest mass that JSON readers which keep numbers as doubles still read exactly: 2^53 - 1.
    package static let maximumMilligrams: Int64 = 9_007_199_254_740_991

    /// Milligrams of CO2e.
    ///
    /// - Returns: `nil` if the result isn't between 0 and ``maximumMilligrams``.
    package static func milligrams(wattHours: Int64, milliPoundsPerMegawattHour rate: Int64) -> Int64? {
        guard wattHours >= 0, rate >= 0 else { return nil }
        let (energyTimesRate, overflow) = Int128(wattHours).multipliedReportingOverflow(by: Int128(rate))
        guard !overflow else { return nil }
        let (product, tooLarge) = energyTimesRate.multipliedReportingOverflow(by: 45_359_237)
        guard !tooLarge else { return nil }
        let milligrams = self.divideRoundingHalfToEven(product, by: 100_000_000_000)
        guard milligrams <= Int128(self.maximumMilligrams) else { return nil }
        return Int64(milligrams)
    }

    /// `dividend / divisor` to the nearest whole number, and to the even one of two that are equally near.
    ///
    /// - Precondition: `dividend` isn't negative and `divisor` is positive.
    package static func divideRoundingHalfToEven(_ dividend: Int128, by divisor: Int128) -> Int128 {
        let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
        let rest = divisor - remainder
        if remainder > rest || (remainder == rest && quotient % 2 == 1) { return quotient + 1 }
        return quotient
    }

    /// Kilograms in decimal notation with all six places, for readers: `1950.370080`.
    package static func kilograms(milligrams: Int64) -> String {
        let (whole, rest) = milligrams.quotientAndRemainder(dividingBy: 1_000_000)
        let digits = String(rest)
        return "\(whole).\(String(repeating: "0", count: max(0, 6 - digits.count)))\(digits)"
    }
}
