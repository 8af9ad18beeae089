/// One command of Fabric's tools, with its flags and the commands below it.
struct ToolCommand: Sendable {
    /// A command line that has been understood.
    struct Call: Sendable {
        /// The words that name the command, such as `peer channel list`.
        var path: String
        var flags: ToolFlags
        /// The words that belong to no flag.
        var operands: [String]
    }

    var name: String
    /// What may follow the name, for the usage line.
    var operands: String
    var summary: String
    /// Flags of this command alone.
    var flags: [ToolFlag]
    /// Flags of this command and of those below it.
    var sharedFlags: [ToolFlag]
    var commands: [ToolCommand]
    var run: (@Sendable (Call) async throws -> Void)?

    /// A command that does something.
    init(
        _ name: String,
        operands: String = "",
        _ summary: String,
        flags: [ToolFlag] = [],
        run: @escaping @Sendable (Call) async throws -> Void
    ) {
        self.name = name
        self.operands = operands
        self.summary = summary
        self.flags = flags
        self.sharedFlags = []
        self.commands = []
        self.run = run
    }

    /// A command that has others below it.
    init(_ name: String, _ summary: String, sharedFlags: [ToolFlag] = [], commands: [ToolCommand]) {
        self.name = name
        self.operands = ""
        self.summary = summary
        self.flags = []
        self.sharedFlags = sharedFlags
        self.commands = commands
        self.run = nil
    }
}

/// Why a command of Fabric's tools did not do what it was asked for.
///
/// Any other error ends a command too, with its description after `Error:`.
struct ToolFailure: Error, CustomStringConvertible {
    /// What follows on the reason.
    enum Advice: Sendable {
        /// Nothing: the command line was right.
        case none
        /// Nothing, and the reason has been given already.
        case said
        /// How to use the command.
        case usage
        /// Where to find out how to use the tool.
        case help
    }

    var description: String
    var advice: Advice

    init(_ description: String, advice: Advice = .none) {
        self.description = description
        self.advice = advice
    }

    /// The command line was wrong.
    static func usage(_ description: String) -> Self { Self(description, advice: .usage) }
}
