import ArgumentParser

/// Runs a command as Fabric's programs with long flags do: complaints as `NAME: error: …` on standard error, and no
/// exit code but 0 and 1.
enum KingpinProgram {
    /// Runs `command` with the arguments after the program's name.
    ///
    /// - Parameters:
    ///   - command: What runs.
    ///   - name: What the program is called.
    ///   - arguments: The arguments.
    ///   - shortNames: The flags that have a letter, by that letter.
    ///   - cumulative: The flags that may be given several times.
    ///   - takesLast: Whether any flag may be given several times, and the last one counts.
    ///   - needsCommand: Whether it is a mistake to name no command; else that shows help.
    /// - Returns: The exit code.
    static func run(
        _ command: any ParsableCommand.Type,
        named name: String,
        _ arguments: [String],
        shortNames: [Character: String] = [:],
        cumulative: Set<String> = [],
        takesLast: Bool = false,
        needsCommand: Bool = false
    ) async -> Int32 {
        if !takesLast, let flag = Self.repeatedFlag(in: arguments, shortNames), !cumulative.contains(flag) {
            standardError("\(name): error: flag '\(flag)' cannot be repeated, try --help")
            return 1
        }
        do {
            var parsed = try command.parseAsRoot(arguments)
            if var asynchronous = parsed as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try parsed.run()
            }
            return 0
        } catch let code as ExitCode {
            return code.rawValue == 0 ? 0 : 1
        } catch {
            let message = command.message(for: error)
            let isHelpWanted = !needsCommand || arguments.contains { ["-h", "--help", "help"].contains($0) }
            guard !command.exitCode(for: error).isSuccess else {
                guard isHelpWanted else {
                    standardError("\(name): error: must select a subcommand, try --help")
                    return 1
                }
                print(message)
                return 0
            }
            standardError("\(name): error: \(message)")
            return 1
        }
    }

    /// The first flag that is given a second time; `nil` when each is given once.
    static func repeatedFlag(in arguments: [String], _ shortNames: [Character: String]) -> String? {
        var seen: Set<String> = []
        for word in arguments.prefix(while: { $0 != "--" }) where word.hasPrefix("-") && word.count > 1 {
            let name: String
            if word.hasPrefix("--") {
                name = String(word.dropFirst(2).prefix { $0 != "=" })
            } else {
                // `-o VALUE` and `-oVALUE`.
                guard let long = word.dropFirst().first.flatMap({ shortNames[$0] }) else { continue }
                name = long
            }
            guard seen.insert(name).inserted else { return name }
        }
        return nil
    }
}
