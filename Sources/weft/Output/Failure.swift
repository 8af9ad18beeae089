import ArgumentParser
import Foundation

/// Why a command failed, and the exit code that says so to a script.
///
/// Any error may leave a command; those that aren't a `Failure` end it with ``Code/failed`` and their
/// `description`. Throw a `Failure` where the code is another one, or where the error's own words don't say
/// what to do.
struct Failure: Error, CustomStringConvertible {
    /// The exit codes of the command line, which are stable so that scripts may rely on them.
    enum Code: Int32 {
        /// The command failed, or the other side refused.
        case failed = 1
        /// A check was carried out and what was checked is wrong.
        case wrong = 2
        /// The other side did not answer.
        case unavailable = 3
        /// The command was used wrongly.
        case usage = 64
        /// A configuration file is wrong.
        case configuration = 78
    }

    var code: Code
    /// What was found, what was expected, and what the reader can do about it.
    var description: String
    /// Whether the command has printed its answer already: with `--json` that is the only value on standard output.
    var followsAnswer: Bool

    init(_ description: String, code: Code = .failed, followsAnswer: Bool = false) {
        self.code = code
        self.description = description
        self.followsAnswer = followsAnswer
    }

    /// Prints the error and ends the process with its code.
    ///
    /// - Parameters:
    ///   - error: What left the command; also how the parser asks for help or the version to be printed.
    ///   - asJSON: Whether to print `{"error": {"code": …, "message": …}}` in place of text.
    static func exit(with error: any Error, asJSON: Bool) -> Never {
        if let code = error as? ExitCode { endProcess(code.rawValue) }
        let code = Weft.exitCode(for: error).rawValue
        // Help and version requests and wrong flags are the parser's own.
        let isOurs = !(error is CleanExit) && !(error is ValidationError)
        guard isOurs, code == ExitCode.failure.rawValue else {
            Weft.exit(withError: error)
        }
        let ownCode = (error as? Self)?.code ?? (error as? any FailureCoded)?.failureCode ?? .failed
        let message = "\(error)"
        if asJSON, (error as? Self)?.followsAnswer != true {
            print(
                JSONValue.object([
                    "error": .object(["code": .integer(Int64(ownCode.rawValue)), "message": .string(message)])
                ]).text
            )
        }
        standardError("weft: \(message)")
        endProcess(ownCode.rawValue)
    }
}

/// An error of this module that knows its exit code.
protocol FailureCoded: Error {
    var failureCode: Failure.Code { get }
}

/// Writes a line to standard error.
func standardError(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}
