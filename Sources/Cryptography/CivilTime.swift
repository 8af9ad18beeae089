package import FoundationEssentials

/// A point in time as calendar fields in UTC, as certificates write it.
///
/// - Source: days from civil and back: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
package struct CivilTime: Sendable, Hashable, CustomStringConvertible {
    package var year: Int
    package var month: Int
    package var day: Int
    package var hours: Int
    package var minutes: Int
    package var seconds: Int

    package init(year: Int, month: Int, day: Int, hours: Int = 0, minutes: Int = 0, seconds: Int = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hours = hours
        self.minutes = minutes
        self.seconds = seconds
    }

    /// The calendar fields of `date`, fractions of a second dropped; years 0 to 9999.
    package init(_ date: Date) {
        let limit = 253_402_300_799.0
        let total = Int(min(max(date.timeIntervalSince1970, -62_167_219_200), limit).rounded(.down))
        let days = total >= 0 ? total / 86_400 : (total - 86_399) / 86_400
        let rest = total - days * 86_400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        self.day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        self.month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        self.year = yearOfEra + era * 400 + (self.month <= 2 ? 1 : 0)
        self.hours = rest / 3600
        self.minutes = rest % 3600 / 60
        self.seconds = rest % 60
    }

    package var date: Date {
        let year = self.month <= 2 ? self.year - 1 : self.year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (self.month + (self.month > 2 ? -3 : 9)) + 2) / 5 + self.day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        let seconds = days * 86_400 + self.hours * 3600 + self.minutes * 60 + self.seconds
        return Date(timeIntervalSince1970: TimeInterval(seconds))
    }

    /// As in RFC 3339, such as `2026-11-21T04:00:00Z`.
    package var description: String {
        let date = [Self.padded(self.year, 4), Self.padded(self.month, 2), Self.padded(self.day, 2)]
        let time = [self.hours, self.minutes, self.seconds].map { Self.padded($0, 2) }
        return "\(date.joined(separator: "-"))T\(time.joined(separator: ":"))Z"
    }

    static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
