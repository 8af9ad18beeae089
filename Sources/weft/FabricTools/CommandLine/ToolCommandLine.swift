/// Finds the command that a command line names, and takes its flags apart.
///
/// Flags of a command may stand before, between and after the words that name it.
///
/// - Source: `github.com/spf13/cobra` and `github.com/spf13/pflag`, package documentation; behaviour compared with the
///   programs of Fabric v3.1.5.
struct ToolCommandLine {
    /// The command and those that it stands below, the tool itself first.
    private(set) var commands: [ToolCommand]
    /// What is left of the command line when the words that name the command are taken away.
    private var words: [String]

    /// Finds the command.
    ///
    /// - Throws: ``ToolFailure`` when there is no such command. Fabric's own tools show their help and end with 0 where a
    ///   command below the first level is unknown; a script must not take that for success, so this is an error here.
    init(_ tool: ToolCommand, _ words: [String]) throws(ToolFailure) {
        self.commands = [tool]
        self.words = words
        while let last = self.commands.last, !last.commands.isEmpty, let index = self.firstName() {
            let name = self.words[index]
            guard let next = last.commands.first(where: { $0.name == name }) else {
                throw ToolFailure("unknown command \"\(name)\" for \"\(self.path)\"", advice: .help)
            }
            self.words.remove(at: index)
            self.commands.append(next)
        }
    }

    var path: String { self.commands.map(\.name).joined(separator: " ") }

    /// Flags of the command itself, as its help lists them.
    var ownFlags: [ToolFlag] {
        guard let command = self.commands.last else { return [] }
        return command.flags + command.sharedFlags + [.help]
    }

    /// Flags that the command has from those above it.
    var inheritedFlags: [ToolFlag] { self.commands.dropLast().flatMap(\.sharedFlags) }

    /// The place of the first word that isn't a flag or the value of one.
    private func firstName() -> Int? {
        let flags = self.ownFlags + self.inheritedFlags
        var index = 0
        while index < self.words.count {
            let word = self.words[index]
            if word == "--" { return nil }
            guard word.hasPrefix("-"), word != "-" else { return index }
            index += Self.takesNextWord(word, flags) ? 2 : 1
        }
        return nil
    }

    /// Whether a flag's value is the word after it; a flag that isn't known here is taken for one that has a value.
    private static func takesNextWord(_ word: String, _ flags: [ToolFlag]) -> Bool {
        guard !word.contains("=") else { return false }
        if word.hasPrefix("--") {
            return flags.first { $0.name == word.dropFirst(2) }?.kind != .flag
        }
        guard word.count == 2, let short = word.last else { return false }
        return flags.first { $0.short == short }?.kind != .flag
    }

    // MARK: - Flags

    /// Takes the flags apart.
    ///
    /// - Throws: ``ToolFailure`` in the words of Fabric's tools, when a flag is unknown, lacks its value, or its value
    ///   can't be taken.
    func call() throws(ToolFailure) -> ToolCommand.Call {
        let known = self.ownFlags + self.inheritedFlags
        var flags = ToolFlags(known)
        var operands: [String] = []
        var rest = self.words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                operands += rest
                break
            }
            if word.hasPrefix("--") {
                try Self.take(word, &rest, known, &flags)
            } else if word.hasPrefix("-"), word.count > 1 {
                try Self.takeShort(word, &rest, known, &flags)
            } else {
                operands.append(word)
            }
        }
        return ToolCommand.Call(path: self.path, flags: flags, operands: operands)
    }

    private static func take(
        _ word: String,
        _ rest: inout ArraySlice<String>,
        _ known: [ToolFlag],
        _ flags: inout ToolFlags
    ) throws(ToolFailure) {
        let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, !name.isEmpty, !name.hasPrefix("-") else {
            throw .usage("bad flag syntax: \(word)")
        }
        guard let flag = known.first(where: { $0.name == name }) else {
            throw .usage("unknown flag: --\(name)")
        }
        if parts.count == 2 {
            try Self.set(flag, String(parts[1]), &flags)
        } else if flag.kind == .flag {
            try Self.set(flag, "true", &flags)
        } else if let value = rest.popFirst() {
            try Self.set(flag, value, &flags)
        } else {
            throw .usage("flag needs an argument: --\(name)")
        }
    }

    /// Takes `-c value`, `-cvalue`, `-c=value`, and several flags without a value in one word.
    private static func takeShort(
        _ word: String,
        _ rest: inout ArraySlice<String>,
        _ known: [ToolFlag],
        _ flags: inout ToolFlags
    ) throws(ToolFailure) {
        var letters = word.dropFirst()
        while let letter = letters.popFirst() {
            guard let flag = known.first(where: { $0.short == letter }) else {
                throw .usage("unknown shorthand flag: '\(letter)' in \(word)")
            }
            if letters.first == "=" {
                return try Self.set(flag, String(letters.dropFirst()), &flags)
            }
            if flag.kind == .flag {
                try Self.set(flag, "true", &flags)
            } else if !letters.isEmpty {
                return try Self.set(flag, String(letters), &flags)
            } else if let value = rest.popFirst() {
                try Self.set(flag, value, &flags)
            } else {
                throw .usage("flag needs an argument: '\(letter)' in \(word)")
            }
        }
    }

    private static func set(
        _ flag: ToolFlag,
        _ value: String,
        _ flags: inout ToolFlags
    ) throws(ToolFailure) {
        if let problem = flag.problem(with: value) {
            let name = (flag.short.map { "-\($0), " } ?? "") + "--\(flag.name)"
            throw .usage("invalid argument \"\(value)\" for \"\(name)\" flag: \(problem)")
        }
        flags.set(flag, value)
    }
}
