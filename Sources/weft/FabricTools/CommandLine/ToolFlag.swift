import Channel

/// One flag of a command of Fabric's tools.
///
/// The grammar is that of the Go packages behind those tools, which the argument parser can't express: a flag that
/// takes `true` or `false` may also be given `=false`, and any value may begin with a hyphen.
///
/// - Source: `github.com/spf13/pflag`, package documentation.
struct ToolFlag: Sendable {
    /// What a flag takes.
    enum Kind: Sendable {
        case text
        /// `--tls`, `--tls=true` or `--tls=false`.
        case flag
        /// May be given several times; the values are kept as they are.
        case texts
        case integer
        /// As Go writes durations: `30s`, `1m30s`.
        case duration
    }

    var name: String
    var short: Character?
    var kind: Kind
    /// What holds when the flag isn't given, in the form in which it would be.
    var standard: String
    var help: String

    init(_ name: String, _ short: Character?, _ kind: Kind, standard: String = "", _ help: String) {
        self.name = name
        self.short = short
        self.kind = kind
        self.standard = standard
        self.help = help
    }

    /// A flag that takes a text.
    init(_ name: String, _ short: Character?, _ help: String) {
        self.init(name, short, .text, help)
    }

    static let help = ToolFlag("help", "h", .flag, "show this text")

    /// Why a value can't be taken, in the words of Go's parser; nil if it can.
    func problem(with value: String) -> String? {
        switch self.kind {
        case .text, .texts: return nil
        case .flag where goBoolean(value) == nil:
            return "strconv.ParseBool: parsing \"\(value)\": invalid syntax"
        case .integer where goInteger(value) == nil:
            return "strconv.ParseInt: parsing \"\(value)\": invalid syntax"
        case .duration where GoDuration.parse(value) == nil:
            let hasNoUnit = !value.isEmpty && value.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
            return "time: \(hasNoUnit ? "missing unit in" : "invalid") duration \"\(value)\""
        case .flag, .integer, .duration: return nil
        }
    }
}

/// Reads `true` and `false` in all the forms that Go's parser takes.
func goBoolean(_ text: String) -> Bool? {
    switch text {
    case "1", "t", "T", "TRUE", "true", "True": true
    case "0", "f", "F", "FALSE", "false", "False": false
    default: nil
    }
}

/// Reads a whole number, decimal or with one of the prefixes `0x`, `0o` and `0b`.
func goInteger(_ text: String) -> Int? {
    let digits = text.lowercased()
    let isNegative = digits.hasPrefix("-")
    let unsigned = isNegative || digits.hasPrefix("+") ? String(digits.dropFirst()) : digits
    // A second sign is none of the number.
    guard let first = unsigned.first, first.isASCII, first.isNumber else { return nil }
    let magnitude: Int? =
        if unsigned.hasPrefix("0x") {
            Int(unsigned.dropFirst(2), radix: 16)
        } else if unsigned.hasPrefix("0o") {
            Int(unsigned.dropFirst(2), radix: 8)
        } else if unsigned.hasPrefix("0b") {
            Int(unsigned.dropFirst(2), radix: 2)
        } else {
            Int(unsigned)
        }
    guard let magnitude else { return nil }
    return isNegative ? -magnitude : magnitude
}

/// What a command line gave for the flags of a command.
struct ToolFlags: Sendable {
    private let known: [String: ToolFlag]
    private var given: [String: [String]] = [:]

    init(_ flags: [ToolFlag]) {
        self.known = Dictionary(flags.map { ($0.name, $0) }) { first, _ in first }
    }

    /// Keeps a value; the last one counts, except for flags that take several.
    mutating func set(_ flag: ToolFlag, _ value: String) {
        guard flag.kind == .texts else {
            self.given[flag.name] = [value]
            return
        }
        self.given[flag.name, default: []].append(value)
    }

    func isGiven(_ name: String) -> Bool { self.given[name] != nil }

    func text(_ name: String) -> String { self.given[name]?.last ?? self.known[name]?.standard ?? "" }

    /// The values of a flag that may be given several times; none when it isn't given.
    func texts(_ name: String) -> [String] { self.given[name] ?? [] }

    func flag(_ name: String) -> Bool { goBoolean(self.text(name)) ?? false }

    func integer(_ name: String) -> Int { goInteger(self.text(name)) ?? 0 }

    func duration(_ name: String) -> Duration { GoDuration.parse(self.text(name)) ?? .zero }
}
