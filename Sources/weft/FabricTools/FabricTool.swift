import ArgumentParser
import Foundation

/// A program of Fabric that Weft stands in for when it is called by that program's name.
///
/// A link named `peer` to the `weft` executable makes it Fabric's `peer`; `weft fabric peer …` is the same without a
/// link. Only programs that work are listed: under any other name the executable is `weft`.
///
/// To add a program: add a case, and say in ``entry`` what runs it.
enum FabricTool: String, CaseIterable {
    case peer
    case orderer
    case configtxgen
    case configtxlator
    case cryptogen
    case discover
    case osnadmin

    /// What runs a program.
    enum Entry {
        /// A command of the argument parser. Every failure ends with code 1 and its words on standard error.
        case command(any ParsableCommand.Type)
        /// A program with a grammar of its own: takes the arguments after the program's name, gives the exit code.
        case program(([String]) async -> Int32)
    }

    var entry: Entry {
        switch self {
        case .peer: .program(PeerTool.run)
        case .orderer: .program(OrdererTool.run)
        case .configtxgen:
            .program {
                // Its flags are of another library, where the last one counts.
                await KingpinProgram.run(ConfigtxgenCommand.self, named: "configtxgen", $0, takesLast: true)
            }
        case .configtxlator:
            .program {
                await KingpinProgram.run(
                    ConfigtxlatorCommand.self,
                    named: "configtxlator",
                    $0,
                    cumulative: ["CORS"]
                )
            }
        case .cryptogen: .program { await KingpinProgram.run(CryptogenCommand.self, named: "cryptogen", $0) }
        case .discover:
            .program {
                await KingpinProgram.run(
                    DiscoverCommand.self,
                    named: "discover",
                    DiscoverCommand.withCommandFirst($0),
                    cumulative: DiscoverCommand.cumulative
                )
            }
        case .osnadmin:
            .program {
                let arguments = OsnadminCommand.withCommandFirst($0)
                return await KingpinProgram.run(
                    OsnadminCommand.self,
                    named: "osnadmin",
                    arguments,
                    shortNames: OsnadminCommand.shortNames,
                    needsCommand: true
                )
            }
        }
    }

    /// The word after `weft` that makes the next one a program's name: a door for tests, in no help text.
    static let door = "fabric"

    /// Takes a command line apart.
    ///
    /// - Parameter line: All words, the program's own path first.
    /// - Returns: The program and its arguments; nil when the line is meant for `weft` itself.
    static func called(by line: [String]) -> (tool: Self, arguments: [String])? {
        guard let program = line.first else { return nil }
        let name = URL(fileURLWithPath: program).lastPathComponent
        if let tool = Self(rawValue: name) { return (tool, Array(line.dropFirst())) }
        guard line.dropFirst().first == Self.door, let tool = line.dropFirst(2).first.flatMap(Self.init)
        else {
            return nil
        }
        return (tool, Array(line.dropFirst(3)))
    }

    /// Runs the program to its end.
    ///
    /// - Returns: The exit code. Fabric's programs know 0 and 1.
    func run(_ arguments: [String]) async -> Int32 {
        switch self.entry {
        case .program(let body): return await body(arguments)
        case .command(let type): return await Self.run(type, arguments)
        }
    }

    private static func run(_ type: any ParsableCommand.Type, _ arguments: [String]) async -> Int32 {
        do {
            var command = try type.parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            // What the parser has to say for itself: help on standard output, complaints on standard error.
            let isHelp = type.exitCode(for: error).isSuccess
            let message = isHelp ? type.message(for: error) : type.fullMessage(for: error)
            if isHelp { print(message) } else { standardError(message) }
            return isHelp ? 0 : 1
        }
    }
}
