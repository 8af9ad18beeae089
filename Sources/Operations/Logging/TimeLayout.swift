internal import Foundation

/// A layout of times written as the reference time `Mon Jan 2 15:04:05 MST 2006`, in local time.
///
/// - Source: documentation of Go's package `time`.
struct TimeLayout: Sendable {
    private enum Element: Sendable {
        case literal(Character)
        case part(String)
        /// Digits after the separator; whether zeros at the end are left out.
        case fraction(separator: Character, digits: Int, trims: Bool)
    }

    private let elements: [Element]

    /// What stands for a part of the time, longer ones before those that they begin with.
    private static let parts = [
        "January", "Monday", "-07:00:00", "Z07:00", "-07:00", "Z0700", "-0700", "2006", "Jan", "Mon", "MST",
        "002",
        "Z07", "-07", "01", "02", "03", "04", "05", "06", "15", "PM", "pm", "_2", "1", "2", "3", "4", "5",
    ]

    init(_ layout: String) {
        var elements: [Element] = []
        var rest = layout[...]
        while let first = rest.first {
            if let digit = rest.dropFirst().first, first == "." || first == ",", digit == "0" || digit == "9"
            {
                let digits = rest.dropFirst().prefix { $0 == digit }
                let next = rest.dropFirst(1 + digits.count).first
                if next?.isNumber != true {
                    elements.append(.fraction(separator: first, digits: digits.count, trims: digit == "9"))
                    rest = rest.dropFirst(1 + digits.count)
                    continue
                }
            }
            if let part = Self.parts.first(where: { rest.hasPrefix($0) }) {
                elements.append(.part(part))
                rest = rest.dropFirst(part.count)
            } else {
                elements.append(.literal(first))
                rest = rest.dropFirst()
            }
        }
        self.elements = elements
    }

    func format(_ date: Date) -> String {
        let nanoseconds = Int64((date.timeIntervalSince1970 * 1_000_000).rounded(.down)) * 1000
        var seconds = time_t(nanoseconds / 1_000_000_000)
        var fields = tm()
        localtime_r(&seconds, &fields)
        var text = ""
        for element in self.elements {
            switch element {
            case .literal(let character): text.append(character)
            case .part(let part): text += Self.text(part, fields)
            case .fraction(let separator, let digits, let trims):
                let all = padded(Int(nanoseconds % 1_000_000_000), 9)
                var shown = Substring(all).prefix(digits)
                if digits > 9 { shown += String(repeating: "0", count: digits - 9) }
                if trims { while shown.last == "0" { shown.removeLast() } }
                if !shown.isEmpty { text += String(separator) + shown }
            }
        }
        return text
    }

    private static func text(_ part: String, _ fields: tm) -> String {
        let hour = Int(fields.tm_hour)
        let twelve = hour % 12 == 0 ? 12 : hour % 12
        let month = Int(fields.tm_mon)
        switch part {
        case "2006": return padded(Int(fields.tm_year) + 1900, 4)
        case "06": return padded((Int(fields.tm_year) + 1900) % 100, 2)
        case "01": return padded(month + 1, 2)
        case "1": return "\(month + 1)"
        case "January": return month < 12 ? Self.months[month] : ""
        case "Jan": return month < 12 ? String(Self.months[month].prefix(3)) : ""
        case "Monday": return Self.days[Int(fields.tm_wday) % 7]
        case "Mon": return String(Self.days[Int(fields.tm_wday) % 7].prefix(3))
        case "02": return padded(Int(fields.tm_mday), 2)
        case "_2": return (fields.tm_mday < 10 ? " " : "") + "\(fields.tm_mday)"
        case "2": return "\(fields.tm_mday)"
        case "002": return padded(Int(fields.tm_yday) + 1, 3)
        case "15": return padded(hour, 2)
        case "03": return padded(twelve, 2)
        case "3": return "\(twelve)"
        case "04": return padded(Int(fields.tm_min), 2)
        case "4": return "\(fields.tm_min)"
        case "05": return padded(Int(fields.tm_sec), 2)
        case "5": return "\(fields.tm_sec)"
        case "PM": return hour < 12 ? "AM" : "PM"
        case "pm": return hour < 12 ? "am" : "pm"
        case "MST": return fields.tm_zone.map { String(cString: $0) } ?? "UTC"
        default: return Self.offset(part, Int(fields.tm_gmtoff))
        }
    }

    private static func offset(_ part: String, _ seconds: Int) -> String {
        if part.hasPrefix("Z"), seconds == 0 { return "Z" }
        let sign = seconds < 0 ? "-" : "+"
        let hours = padded(abs(seconds) / 3600, 2)
        let minutes = padded(abs(seconds) / 60 % 60, 2)
        let digits = part.dropFirst()
        if digits == "07" { return sign + hours }
        if digits == "0700" { return sign + hours + minutes }
        let text = sign + hours + ":" + minutes
        return digits == "07:00:00" ? text + ":" + padded(abs(seconds) % 60, 2) : text
    }

    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ]
    private static let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
}

private func padded(_ number: Int, _ digits: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
