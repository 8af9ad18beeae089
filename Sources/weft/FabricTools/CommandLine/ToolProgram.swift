import Foundation

/// Runs a tool that is described by a tree of commands.
///
/// What the tool is asked for goes to standard output; errors, and how to use it then, to standard error. The exit code
/// is 0 or 1.
struct ToolProgram {
    private let tool: ToolCommand

    init(_ tool: ToolCommand) {
        self.tool = tool
    }

    /// Runs the command that `words` name.
    ///
    /// - Returns: The exit code.
    func run(_ words: [String]) async -> Int32 {
        let line: ToolCommandLine
        do throws(ToolFailure) {
            // `peer help channel list` is `peer channel list --help`.
            let isHelp = words.first == "help"
            line = try ToolCommandLine(self.tool, isHelp ? Array(words.dropFirst()) : words)
            let call = try Self.call(line)
            guard !isHelp, !call.flags.flag("help"), let run = line.commands.last?.run else {
                print(ToolHelp(line).text)
                return 0
            }
            return await Self.run(run, call, line)
        } catch {
            self.report(error)
            return 1
        }
    }

    private static func call(_ line: ToolCommandLine) throws(ToolFailure) -> ToolCommand.Call {
        do {
            return try line.call()
        } catch {
            throw ToolFailure(error.description + "\n" + ToolHelp(line).usage + "\n")
        }
    }

    private static func run(
        _ body: @Sendable (ToolCommand.Call) async throws -> Void,
        _ call: ToolCommand.Call,
        _ line: ToolCommandLine
    ) async -> Int32 {
        do {
            try await body(call)
            return 0
        } catch let error as ToolFailure where error.advice == .said {
            return 1
        } catch let error as ToolFailure where error.advice == .usage {
            standardError("Error: \(error)\n" + ToolHelp(line).usage + "\n")
        } catch {
            standardError("Error: \(error)")
        }
        return 1
    }

    private func report(_ error: ToolFailure) {
        standardError("Error: \(error)")
        if error.advice == .help { standardError("Run '\(self.tool.name) --help' for usage.") }
    }
}
