/// A configuration file that can't be used, and the place in it that is wrong.
struct ConfigurationError: Error, Equatable, CustomStringConvertible, FailureCoded {
    var file: String
    /// The line of the key at fault, counted from 1, where it is known.
    var line: Int?
    /// The path of the key, its parts joined by full stops; empty when the file as a whole is at fault.
    var key: String
    /// What was found and what was expected.
    var problem: String

    var failureCode: Failure.Code { .configuration }

    var description: String {
        let place = [self.file, self.line.map(String.init)].compactMap(\.self).joined(separator: ":")
        return [place, self.key, self.problem].filter { !$0.isEmpty }.joined(separator: ": ")
    }
}
