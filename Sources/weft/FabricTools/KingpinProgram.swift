import ArgumentParser

/// Runs a command as Fabric's programs with long flags do: complaints as `NAME: error: …` on standard error, and no
/// exit code but 0 and 1.
enum KingpinProgram {
    /// Runs `command` with the arguments after the program's name.
    ///
    /// - Returns: The exit code.
    static func run(_ command: any ParsableCommand.Type, named name: String, _ arguments: [String]) async
        -> Int32
    {
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
            guard !command.exitCode(for: error).isSuccess else {
                print(message)
                return 0
            }
            standardError("\(name): error: \(message)")
            return 1
        }
    }

    /// What a program of Fabric prints when it is asked for its version, in the form that scripts take apart.
    static func version(of name: String) -> String {
        """
        \(name):
         Version: v\(Weft.version)
         Commit SHA: weft
         Go version: none
         OS/Arch: \(Self.platform)
        """
    }

    private static var platform: String {
        #if arch(x86_64)
            "linux/amd64"
        #elseif arch(arm64)
            "linux/arm64"
        #else
            "linux/unknown"
        #endif
    }
}
