internal import Foundation

/// How lines of a log look.
///
/// - Source: Fabric v3.1, package `flogging/fabenc`: verbs `color`, `id`, `level`, `message`, `module`, `shortfunc`
///   and `time` between `%{` and `}`, each with an optional directive after a colon.
package struct LogFormat: Sendable {
    /// A format that isn't one.
    package struct Invalid: Error, Equatable, CustomStringConvertible {
        package var description: String
    }

    private enum Kind: Sendable {
        case json, logfmt
        case text([Element])
    }

    private enum Element: Sendable {
        case literal(String)
        case color, bold, reset
        case id(TextDirective), level(TextDirective), message(TextDirective), module(TextDirective)
        case function(TextDirective)
        case time(TimeLayout)
    }

    private let kind: Kind

    /// Fabric's own layout, which colors lines when `colors`.
    package static func standard(colors: Bool) -> Self {
        let time = Element.time(TimeLayout("2006-01-02 15:04:05.000 MST"))
        let id = Element.id(TextDirective(width: 4, isZeroPadded: true, verb: "x"))
        let level = Element.level(TextDirective(precision: 4, verb: "s"))
        let plain = TextDirective(verb: "s")
        var elements: [Element] = colors ? [.color] : []
        elements += [time, .literal(" "), id, .literal(" "), level]
        if colors { elements.append(.reset) }
        elements += [.literal(" ["), .module(plain), .literal("] ")]
        if colors { elements.append(.bold) }
        elements.append(.function(plain))
        if colors { elements.append(.reset) }
        elements += [.literal(" -> "), .message(plain)]
        return Self(kind: .text(elements))
    }

    private init(kind: Kind) { self.kind = kind }

    /// `json`, `logfmt`, or a layout with verbs.
    ///
    /// - Throws: ``Invalid``, naming the verb and what is wrong with its directive.
    package init(_ text: String) throws(Invalid) {
        switch text {
        case "json": self.kind = .json
        case "logfmt": self.kind = .logfmt
        default: self.kind = .text(try Self.elements(text))
        }
    }

    /// One line, its line break included.
    func line(_ record: LogRecord) -> String {
        switch self.kind {
        case .json: return record.jsonLine + "\n"
        case .logfmt: return record.logfmtLine + "\n"
        case .text(let elements):
            var line = elements.map { Self.text($0, record) }.joined()
            if !record.fields.isEmpty { line += (line.isEmpty ? "" : " ") + record.fieldText }
            return line + "\n"
        }
    }

    private static func text(_ element: Element, _ record: LogRecord) -> String {
        switch element {
        case .literal(let text): text
        case .color: "\u{1B}[\(self.color(record.severity))m"
        case .bold: "\u{1B}[\(self.color(record.severity));1m"
        case .reset: "\u{1B}[0m"
        case .id(let directive): directive.format(record.sequence)
        case .level(let directive): directive.format(record.severity.name.uppercased())
        case .message(let directive): directive.format(record.message)
        case .module(let directive): directive.format(record.logger)
        case .function(let directive): directive.format(record.shortFunction)
        case .time(let layout): layout.format(record.time)
        }
    }

    private static func color(_ severity: LogSeverity) -> Int {
        switch severity {
        case .payload: 0
        case .debug: 36
        case .info: 34
        case .warn: 33
        case .error: 31
        case .dpanic, .panic, .fatal: 35
        }
    }

    private static func elements(_ text: String) throws(Invalid) -> [Element] {
        var elements: [Element] = []
        var rest = text[...]
        while let start = rest.range(of: "%{") {
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else { break }
            let inside = rest[start.upperBound..<end].split(
                separator: ":",
                maxSplits: 1,
                omittingEmptySubsequences: false
            )
            let directive = inside.count == 2 ? String(inside[1]) : ""
            if let element = try self.element(String(inside.first ?? ""), directive) {
                elements.append(.literal(String(rest[..<start.lowerBound])))
                elements.append(element)
            } else {
                // What is no verb is text, as in Fabric.
                elements.append(.literal(String(rest[...end])))
            }
            rest = rest[rest.index(after: end)...]
        }
        return elements + [.literal(String(rest))]
    }

    private static func element(_ verb: String, _ directive: String) throws(Invalid) -> Element? {
        switch verb {
        case "color":
            switch directive {
            case "": return .color
            case "bold": return .bold
            case "reset": return .reset
            default:
                throw Invalid(description: "invalid color option: \(directive); known are bold and reset")
            }
        case "id": return .id(try TextDirective(directive, of: verb, default: "d"))
        case "level": return .level(try TextDirective(directive, of: verb, default: "s"))
        case "message": return .message(try TextDirective(directive, of: verb, default: "s"))
        case "module": return .module(try TextDirective(directive, of: verb, default: "s"))
        case "shortfunc": return .function(try TextDirective(directive, of: verb, default: "s"))
        case "time":
            return .time(TimeLayout(directive.isEmpty ? "2006-01-02T15:04:05.999Z07:00" : directive))
        default: return nil
        }
    }
}

/// Width, precision and alignment of one verb, as Go's `fmt` writes them: `-10s`, `.4s`, `04x`.
struct TextDirective: Sendable {
    var width = 0
    var precision: Int?
    var isLeftAligned = false
    var isZeroPadded = false
    var verb: Character

    init(width: Int = 0, precision: Int? = nil, isZeroPadded: Bool = false, verb: Character) {
        self.width = width
        self.precision = precision
        self.isZeroPadded = isZeroPadded
        self.verb = verb
    }

    init(_ text: String, of name: String, default verb: Character) throws(LogFormat.Invalid) {
        self.verb = verb
        guard !text.isEmpty else { return }
        let verbs = name == "id" ? "dxXob" : "sqv"
        guard let match = text.wholeMatch(of: /([-0]*)([0-9]{0,3})(?:\.([0-9]{1,3}))?([a-zA-Z])/),
            let found = match.4.first, verbs.contains(found)
        else {
            throw LogFormat.Invalid(
                description:
                    "invalid directive \"\(text)\" of %{\(name)}: give flags (- or 0), width, .precision "
                    + "and one of \(verbs), such as \(name == "id" ? "04x" : "-10s")"
            )
        }
        self.isLeftAligned = match.1.contains("-")
        self.isZeroPadded = match.1.contains("0")
        self.width = Int(match.2) ?? 0
        self.precision = match.3.flatMap { Int($0) }
        self.verb = found
    }

    func format(_ number: Int) -> String {
        switch self.verb {
        case "x": self.padded(String(number, radix: 16))
        case "X": self.padded(String(number, radix: 16, uppercase: true))
        case "o": self.padded(String(number, radix: 8))
        case "b": self.padded(String(number, radix: 2))
        default: self.padded(String(number))
        }
    }

    func format(_ text: String) -> String {
        let cut = self.precision.map { String(text.prefix($0)) } ?? text
        return self.padded(self.verb == "q" ? jsonText(cut) : cut)
    }

    private func padded(_ text: String) -> String {
        guard text.count < self.width else { return text }
        let missing = self.width - text.count
        if self.isLeftAligned { return text + String(repeating: " ", count: missing) }
        return String(repeating: self.isZeroPadded ? "0" : " ", count: missing) + text
    }
}
