/// How to use a command, laid out as Fabric's tools do.
struct ToolHelp {
    private let line: ToolCommandLine

    init(_ line: ToolCommandLine) {
        self.line = line
    }

    /// The whole text: what the command does, and how to use it.
    var text: String {
        guard let command = self.line.commands.last else { return "" }
        // The tool itself has no sentence of its own.
        return self.line.commands.count == 1 ? self.usage : command.summary + "\n\n" + self.usage
    }

    /// How to use the command.
    var usage: String {
        guard let command = self.line.commands.last else { return "" }
        var sections: [String] = []
        if command.commands.isEmpty {
            let words = [self.line.path, command.operands, "[flags]"].filter { !$0.isEmpty }
            sections.append("Usage:\n  " + words.joined(separator: " "))
        } else {
            sections.append("Usage:\n  \(self.line.path) [command]")
            let commands = command.commands.sorted { $0.name < $1.name }
            let width = max(11, commands.map(\.name.count).max() ?? 0)
            let lines = commands.map { command in
                "  " + command.name.padding(to: width) + " " + command.summary
            }
            sections.append("Available Commands:\n" + lines.joined(separator: "\n"))
        }
        sections.append("Flags:\n" + Self.lines(self.line.ownFlags))
        if !self.line.inheritedFlags.isEmpty {
            sections.append("Global Flags:\n" + Self.lines(self.line.inheritedFlags))
        }
        if !command.commands.isEmpty {
            sections.append(
                "Use \"\(self.line.path) [command] --help\" for more information about a command."
            )
        }
        return sections.joined(separator: "\n\n")
    }

    private static func lines(_ flags: [ToolFlag]) -> String {
        let names = flags.sorted { $0.name < $1.name }.map { flag in
            let short = flag.short.map { "-\($0), " } ?? "    "
            return (flag, "  " + short + "--" + flag.name + Self.type(flag.kind))
        }
        let width = names.map(\.1.count).max() ?? 0
        return names.map { flag, name in
            name.padding(to: width) + "   " + flag.help + Self.standard(flag)
        }.joined(separator: "\n")
    }

    private static func type(_ kind: ToolFlag.Kind) -> String {
        switch kind {
        case .text: " string"
        case .flag: ""
        case .texts: " stringArray"
        case .integer: " int"
        case .duration: " duration"
        }
    }

    private static func standard(_ flag: ToolFlag) -> String {
        guard !flag.standard.isEmpty, flag.standard != "false" else { return "" }
        return flag.kind == .text ? " (default \"\(flag.standard)\")" : " (default \(flag.standard))"
    }
}

extension String {
    /// The text with blanks after it, so that it is at least `width` characters long.
    fileprivate func padding(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - self.count))
    }
}
