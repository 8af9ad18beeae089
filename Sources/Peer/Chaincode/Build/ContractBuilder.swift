internal import Archive
internal import Foundation

/// Makes of a package what this peer can run.
protocol ContractBuilder: Sendable {
    /// What `build-info.json` calls it.
    var name: String { get }

    /// Whether it builds this package.
    func takes(_ package: ChaincodePackage, _ build: BuildFolder) async -> Bool

    /// Builds the package.
    ///
    /// - Throws: ``ContractError`` with what the build printed last.
    func build(_ build: BuildFolder) async throws(ContractError)

    /// How what was built runs.
    func result(_ build: BuildFolder) throws(ContractError) -> BuiltContract
}

/// What came of building a package.
enum BuiltContract: Sendable {
    /// It runs elsewhere.
    case service(ServiceAddress)
    /// This peer starts it.
    case program(LaunchPlan)
}

/// How a contract is started.
struct LaunchPlan: Sendable {
    /// Who connects to whom.
    enum Connection: String, Sendable {
        /// The contract listens where `CHAINCODE_SERVER_ADDRESS` says, a port of this machine, with TLS.
        case server
        /// The same without TLS, at a socket in a folder that nobody else can enter.
        case socket
        /// The contract registers with the peer, at the address after `-peer.address`.
        case client
        /// As `client`, by an external builder's `bin/run`, which reads what it must know from `chaincode.json`.
        case external
    }

    var path: String
    var arguments: [String]
    var environment: [String: String] = [:]
    var folder: String
    var connection: Connection
    /// `nil` for programs that the operator vouches for.
    var limits: ProcessLimits?
}

/// The folder in which one package is built, and what building needs.
struct BuildFolder: Sendable {
    let root: URL
    let packageID: String
    let mark: ProcessMark
    let log: ContractLog
    let timeout: Duration

    var source: URL { self.root.appendingPathComponent("source") }
    var metadata: URL { self.root.appendingPathComponent("metadata") }
    var output: URL { self.root.appendingPathComponent("bld") }
    var release: URL { self.root.appendingPathComponent("release") }
    var information: URL { self.root.appendingPathComponent("build-info.json") }

    /// Unpacks a package into an empty folder.
    ///
    /// - Throws: ``ContractError`` if the package holds anything but files and folders below its own, or can't be written.
    func unpack(_ package: ChaincodePackage) throws(ContractError) {
        let entries = try package.codeEntries()
        try ContractFolder.remove(self.root)
        for folder in [self.source, self.metadata, self.output, self.release] {
            try ContractFolder.make(folder)
        }
        try ContractFolder.write(
            package.metadata,
            to: self.metadata.appendingPathComponent("metadata.json"),
            mode: 0o644
        )
        for entry in entries {
            let place = self.source.appendingPathComponent(entry.name)
            guard entry.kind == .file else {
                try ContractFolder.make(place)
                continue
            }
            try ContractFolder.make(place.deletingLastPathComponent())
            try ContractFolder.write(entry.contents, to: place, mode: entry.isExecutable ? 0o755 : 0o644)
        }
    }

    /// Runs a program to its end, which may take as long as building may.
    ///
    /// - Returns: how it ended.
    /// - Throws: ``ContractError`` if it can't be started or takes too long.
    func run(_ plan: LaunchPlan) async throws(ContractError) -> ChildProcess.Ending {
        let log = self.log
        log.begin(([plan.path] + plan.arguments).joined(separator: " "))
        let child = try await ChildProcess.start(plan.program(mark: self.mark)) { log.write($0) }
        let timeout = self.timeout
        let isOverdue = await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await child.ended()
                return false
            }
            group.addTask { (try? await Task.sleep(for: timeout)) != nil }
            let isOverdue = await group.next() ?? false
            // Also when the task was cancelled, which ends the pause at once.
            child.terminate()
            group.cancelAll()
            return isOverdue
        }
        let ending = await child.ended()
        log.note("\(ending)")
        guard !isOverdue else {
            throw ContractError("\(plan.path) took longer than \(timeout); it printed last: \(log.tail)")
        }
        return ending
    }

    /// Runs a program that must succeed.
    func require(_ plan: LaunchPlan) async throws(ContractError) {
        let ending = try await self.run(plan)
        guard ending == .exited(0) else {
            throw ContractError("\(plan.path) \(ending); it printed last: \(self.log.tail)")
        }
    }
}

extension LaunchPlan {
    func program(mark: ProcessMark) -> ChildProcess.Program {
        ChildProcess.Program(
            path: self.path,
            arguments: self.arguments,
            environment: self.environment,
            folder: self.folder,
            limits: self.limits,
            mark: mark
        )
    }
}
