/// Durations as Go writes them: `250ms`, `1h30m`, `2s`.
///
/// - Source: Go's package `time`, `ParseDuration` and `Duration.String`.
package enum GoDuration {
    /// Reads a duration; `nil` if it is none, or does not fit 64 bits of nanoseconds.
    package static func parse(_ text: String) -> Duration? {
        var rest = text[...]
        let isNegative = rest.first == "-"
        if rest.first == "-" || rest.first == "+" { rest = rest.dropFirst() }
        if rest == "0" { return .zero }
        guard !rest.isEmpty else { return nil }
        var nanoseconds: Int64 = 0
        while !rest.isEmpty {
            guard let part = Self.part(&rest) else { return nil }
            let (sum, overflow) = nanoseconds.addingReportingOverflow(part)
            guard !overflow else { return nil }
            nanoseconds = sum
        }
        return .nanoseconds(isNegative ? -nanoseconds : nanoseconds)
    }

    /// Writes a duration in the shortest form Go would.
    package static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        guard seconds != 0 || attoseconds != 0 else { return "0s" }
        let sign = seconds < 0 || attoseconds < 0 ? "-" : ""
        let whole = seconds.magnitude
        let nanoseconds = attoseconds.magnitude / 1_000_000_000
        guard whole > 0 else {
            if nanoseconds < 1000 { return "\(sign)\(nanoseconds)ns" }
            if nanoseconds < 1_000_000 {
                return sign + Self.decimal(nanoseconds / 1000, fraction: nanoseconds % 1000, digits: 3) + "µs"
            }
            return sign + Self.decimal(nanoseconds / 1_000_000, fraction: nanoseconds % 1_000_000, digits: 6)
                + "ms"
        }
        let (hours, minutes) = (whole / 3600, whole / 60 % 60)
        let prefix = hours > 0 ? "\(hours)h\(minutes)m" : minutes > 0 ? "\(minutes)m" : ""
        return sign + prefix + Self.decimal(whole % 60, fraction: nanoseconds, digits: 9) + "s"
    }

    private static func decimal(_ whole: UInt64, fraction: UInt64, digits: Int) -> String {
        guard fraction > 0 else { return "\(whole)" }
        let padded = String(repeating: "0", count: digits) + String(fraction)
        var text = padded.suffix(digits)
        while text.last == "0" { text.removeLast() }
        return "\(whole).\(text)"
    }

    /// Takes one number with its unit off the front of `rest`.
    private static func part(_ rest: inout Substring) -> Int64? {
        let whole = Self.digits(&rest)
        var fraction: Substring = ""
        if rest.first == "." {
            rest = rest.dropFirst()
            fraction = Self.digits(&rest)
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        let unitText = rest.prefix { $0 != "." && !($0.isASCII && $0.isNumber) }
        rest = rest.dropFirst(unitText.count)
        guard let unit = Self.unit(unitText), let number = whole.isEmpty ? 0 : Int64(whole) else {
            return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        // Digits beyond nanoseconds say nothing; eighteen of them fit any unit.
        let kept = fraction.prefix(18)
        let scaled = (Double("0." + (kept.isEmpty ? "0" : String(kept))) ?? 0) * Double(unit)
        let (sum, sumOverflow) = product.addingReportingOverflow(Int64(scaled.rounded(.toNearestOrEven)))
        return sumOverflow ? nil : sum
    }

    private static func digits(_ rest: inout Substring) -> Substring {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        rest = rest.dropFirst(digits.count)
        return digits
    }

    private static func unit(_ text: Substring) -> Int64? {
        switch text {
        case "ns": 1
        case "us", "µs", "μs": 1000
        case "ms": 1_000_000
        case "s": 1_000_000_000
        case "m": 60_000_000_000
        case "h": 3_600_000_000_000
        default: nil
        }
    }
}
