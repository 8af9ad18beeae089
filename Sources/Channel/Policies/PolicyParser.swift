import FabricProtos

/// Reads the policy language into a tree of calls.
struct PolicyParser {
    /// `AND`, `OR` or `OutOf` with its rules.
    struct Call {
        var count: Int
        var rules: [Rule]
    }

    enum Rule {
        case call(Call)
        case principal(mspIdentifier: String, role: Common_MSPRole.MSPRoleType)
    }

    /// How deeply calls may be nested: far beyond any policy, and safe for the stack.
    static let maximumDepth = 64

    private let text: String
    private let characters: [Character]
    private var position = 0

    init(_ text: String) {
        self.text = text
        self.characters = Array(text)
    }

    /// Reads the whole text.
    mutating func parse() throws(InvalidPolicyText) -> Call {
        self.skipSpace()
        let call = try self.call(depth: 0)
        self.skipSpace()
        guard self.current == nil else { throw self.unexpected("the end of the policy") }
        return call
    }

    private mutating func call(depth: Int) throws(InvalidPolicyText) -> Call {
        guard depth < Self.maximumDepth else {
            throw self.invalid("more than \(Self.maximumDepth) calls inside each other")
        }
        let start = self.position
        let name = self.word()
        self.skipSpace()
        switch name {
        case "AND", "And", "OR", "Or", "OutOf", "outof", "OUTOF": break
        default:
            self.position = start
            let principal = depth == 0 ? "" : ", or in quotes a principal such as 'Org1MSP.member'"
            throw self.unexpected("AND(…), OR(…) or OutOf(…)\(principal)")
        }
        try self.take("(")
        let isThreshold = name.lowercased() == "outof"
        let stated = isThreshold ? try self.count() : nil
        if isThreshold {
            self.skipSpace()
            guard self.current == "," else { throw self.unexpected("\",\" and the rules to choose from") }
            self.position += 1
        }
        let rules = try self.rules(depth: depth)
        guard let count = stated else {
            return Call(count: name.lowercased() == "and" ? rules.count : 1, rules: rules)
        }
        guard (0...rules.count + 1).contains(count) else {
            self.position = start
            throw self.invalid("\(count) cannot be met by \(rules.count) rules")
        }
        return Call(count: count, rules: rules)
    }

    /// Rules up to and with the closing parenthesis; at least one.
    private mutating func rules(depth: Int) throws(InvalidPolicyText) -> [Rule] {
        var rules: [Rule] = []
        while true {
            self.skipSpace()
            if self.current == ")", !rules.isEmpty { break }
            if self.current == "'" || self.current == "\"" {
                rules.append(try self.principal())
            } else if self.current?.isLetter == true {
                rules.append(.call(try self.call(depth: depth + 1)))
            } else {
                throw self.unexpected("a rule such as 'Org1MSP.member'")
            }
            self.skipSpace()
            guard self.current == "," else { break }
            self.position += 1
        }
        try self.take(")")
        return rules
    }

    private mutating func principal() throws(InvalidPolicyText) -> Rule {
        let start = self.position
        let text = try self.quoted()
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count >= 2, let role = parts.last.flatMap({ Common_MSPRole.MSPRoleType(name: $0) }) else {
            self.position = start
            throw self.invalid(
                "'\(text)' has no role; write for example 'Org1MSP.member' (or .admin, .client, .peer, .orderer)"
            )
        }
        let mspIdentifier = parts.dropLast().joined(separator: ".")
        let isName = mspIdentifier.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"): true
            default: false
            }
        }
        guard isName, !mspIdentifier.isEmpty else {
            self.position = start
            throw self.invalid(
                "'\(text)' has no MSP identifier that policies can name: letters, digits, \".\" and \"-\""
            )
        }
        return .principal(mspIdentifier: mspIdentifier, role: role)
    }

    /// The first argument of `OutOf`: a sum of numbers, possibly in quotes; fractions are cut off.
    private mutating func count() throws(InvalidPolicyText) -> Int {
        self.skipSpace()
        let start = self.position
        if self.current == "'" || self.current == "\"" {
            let text = try self.quoted()
            guard let number = Int(text), number >= 0 else {
                self.position = start
                throw self.invalid("'\(text)' is no number of rules")
            }
            return number
        }
        var sum = 0.0
        repeat {
            self.skipSpace()
            let digits = self.take { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let number = Double(digits), number < 1e6 else {
                self.position = start
                throw self.unexpected("how many of the rules must hold")
            }
            sum += number
            self.skipSpace()
        } while self.takeIfPresent("+") && sum < 1e6
        return Int(sum)
    }

    private mutating func quoted() throws(InvalidPolicyText) -> String {
        guard let quote = self.current else { throw self.unexpected("a quoted text") }
        let start = self.position
        self.position += 1
        let content = self.take { $0 != quote && $0 != "\\" }
        guard self.current == quote else {
            self.position = start
            throw self.invalid("the closing \(quote) is missing")
        }
        self.position += 1
        return content
    }

    private var current: Character? {
        self.position < self.characters.count ? self.characters[self.position] : nil
    }

    private mutating func skipSpace() { _ = self.take { $0.isWhitespace } }

    private mutating func word() -> String { self.take { $0.isLetter || $0.isNumber || $0 == "_" } }

    private mutating func take(while matches: (Character) -> Bool) -> String {
        let start = self.position
        while let character = self.current, matches(character) { self.position += 1 }
        return String(self.characters[start..<self.position])
    }

    private mutating func takeIfPresent(_ character: Character) -> Bool {
        guard self.current == character else { return false }
        self.position += 1
        return true
    }

    private mutating func take(_ character: Character) throws(InvalidPolicyText) {
        guard self.takeIfPresent(character) else { throw self.unexpected("\"\(character)\"") }
    }

    private func unexpected(_ expected: String) -> InvalidPolicyText {
        let rest = String(self.characters[self.position...].prefix(20))
        return self.invalid("expected \(expected), found \(rest.isEmpty ? "the end" : "\"\(rest)\"")")
    }

    private func invalid(_ reason: String) -> InvalidPolicyText {
        InvalidPolicyText(text: self.text, reason: reason, position: self.position + 1)
    }
}
