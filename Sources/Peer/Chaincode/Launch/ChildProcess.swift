internal import CProcess
internal import Foundation
internal import Glibc
internal import Synchronization

/// A program that this peer has started, with everything that it starts in turn.
///
/// The child leads a session of its own. It ends with the thread that started it, whatever ends that thread, SIGKILL of
/// the peer included (`PR_SET_PDEATHSIG`); that thread waits for the child and does nothing else. When the child has ended, its
/// process group is killed, and so is every process that still has the child's mark in its environment.
final class ChildProcess: Sendable {
    struct Program: Sendable {
        var path: String
        var arguments: [String] = []
        var environment: [String: String] = [:]
        var folder: String
        /// `nil` for none.
        var limits: ProcessLimits?
        /// Begins with the peer's own mark, so that a later peer finds what was left over; see ``ProcessMark``.
        var mark: ProcessMark
    }

    /// How a process ended.
    enum Ending: Equatable, Sendable, CustomStringConvertible {
        case exited(Int32)
        case killed(signal: Int32)

        var description: String {
            switch self {
            case .exited(let status): "exited with status \(status)"
            case .killed(let signal): "was ended by signal \(signal) (\(String(cString: strsignal(signal))))"
            }
        }
    }

    private struct State {
        var ending: Ending?
        var waiters: [CheckedContinuation<Ending, Never>] = []
    }

    let identifier: pid_t
    private let state = Mutex(State())

    private init(_ identifier: pid_t) { self.identifier = identifier }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: what to run.
    ///   - output: is given what the program and its children print, on a thread of its own that may block.
    /// - Returns: the running program.
    /// - Throws: ``ContractError`` if it can't be started.
    static func start(
        _ program: Program,
        output: @escaping @Sendable (Data) -> Void
    ) async throws(ContractError) -> ChildProcess {
        let result = await withCheckedContinuation { continuation in
            let thread = Thread { Self.live(program, output) { continuation.resume(returning: $0) } }
            thread.name = "weft-child"
            thread.start()
        }
        return try result.get()
    }

    /// How the process ended; returns when it has, and all it printed was handed over.
    @discardableResult
    func ended() async -> Ending {
        await withCheckedContinuation { continuation in
            let ending = self.state.withLock { state -> Ending? in
                if state.ending == nil { state.waiters.append(continuation) }
                return state.ending
            }
            if let ending { continuation.resume(returning: ending) }
        }
    }

    var ending: Ending? { self.state.withLock { $0.ending } }

    /// Asks the process to end, and ends it when it hasn't done so after `grace`.
    func terminate(grace: Duration = .seconds(5)) {
        self.signal(SIGTERM)
        let seconds = Double(grace.components.seconds)
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { [weak self] in self?.signal(SIGKILL) }
    }

    /// The number of a process that has ended may be another's already, so nothing is sent from then on.
    func signal(_ signal: Int32) {
        self.state.withLock { state in
            if state.ending == nil { _ = kill(-self.identifier, signal) }
        }
    }

    // MARK: - The thread of the child

    private static func live(
        _ program: Program,
        _ output: @escaping @Sendable (Data) -> Void,
        _ started: (Result<ChildProcess, ContractError>) -> Void
    ) {
        let reader: OutputReader
        let child: ChildProcess
        do {
            reader = try OutputReader(output)
        } catch {
            return started(.failure(error))
        }
        do {
            child = ChildProcess(try self.spawn(program, output: reader.writeEnd))
        } catch {
            reader.abandon()
            return started(.failure(error))
        }
        reader.start()
        started(.success(child))
        var information = siginfo_t()
        while waitid(P_PID, id_t(child.identifier), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        // The child isn't reaped yet, so its number is still that of its group.
        kill(-child.identifier, SIGKILL)
        program.mark.killProcesses()
        reader.finish()
        var status: Int32 = 0
        let ending: Ending = child.state.withLock { state in
            while waitpid(child.identifier, &status, 0) < 0, errno == EINTR {}
            let signal = status & 0x7f
            let ending = signal == 0 ? Ending.exited(status >> 8 & 0xff) : Ending.killed(signal: signal)
            state.ending = ending
            return ending
        }
        let waiters = child.state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: ending) }
    }

    /// `POSIX_SPAWN_SETSIGDEF`, `POSIX_SPAWN_SETSIGMASK` and `POSIX_SPAWN_SETSID` of glibc's `spawn.h`, which the overlay
    /// leaves out.
    private static let flags: Int16 = 0x04 | 0x08 | 0x80

    private static func spawn(_ program: Program, output: Int32) throws(ContractError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        posix_spawn_file_actions_addchdir_np(&actions, program.folder)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A peer leaves SIGTERM to its service group, which a child would inherit as "ignored".
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Self.flags)
        let command = try ProcessLimits.command(program.path, program.arguments, program.limits)
        var environment = program.environment
        environment[ProcessMark.variable] = program.mark.text
        let words = command.map { strdup($0) } + [nil]
        let variables =
            environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (words + variables).forEach { free($0) } }
        var identifier: pid_t = 0
        let status = posix_spawn(&identifier, command[0], &actions, &attributes, words, variables)
        guard status == 0 else {
            throw ContractError(
                "can't start \(program.path) in \(program.folder): \(String(cString: strerror(status)))"
            )
        }
        return identifier
    }
}

/// Reads what a child prints, until everybody has let go of the pipe or the child is over.
private final class OutputReader: Sendable {
    let writeEnd: Int32
    private let readEnd: Int32
    private let stopRead: Int32
    private let stopWrite: Int32
    private let done = DispatchSemaphore(value: 0)
    private let output: @Sendable (Data) -> Void

    init(_ output: @escaping @Sendable (Data) -> Void) throws(ContractError) {
        var (pipe, stop): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        guard pipe2(&pipe, O_CLOEXEC) == 0 else { throw Self.failure() }
        guard pipe2(&stop, O_CLOEXEC) == 0 else {
            pipe.forEach { close($0) }
            throw Self.failure()
        }
        (self.readEnd, self.writeEnd) = (pipe[0], pipe[1])
        (self.stopRead, self.stopWrite) = (stop[0], stop[1])
        self.output = output
    }

    private static func failure() -> ContractError {
        ContractError("can't make a pipe for a child process: \(String(cString: strerror(errno)))")
    }

    deinit {
        close(self.readEnd)
        close(self.stopRead)
    }

    /// To be called once the child has the write end.
    func start() {
        close(self.writeEnd)
        let thread = Thread {
            self.read()
            self.done.signal()
        }
        thread.name = "weft-child-log"
        thread.start()
    }

    /// Closes what a child would have had: there is none.
    func abandon() {
        close(self.writeEnd)
        close(self.stopWrite)
    }

    /// Reads what is still there and stops.
    func finish() {
        close(self.stopWrite)
        self.done.wait()
    }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        var isOver = false
        // Whoever got away with the write end must not keep this thread by printing on and on.
        var left = 1 << 20
        while left > 0 {
            var descriptors = [
                pollfd(fd: self.readEnd, events: Int16(POLLIN), revents: 0),
                pollfd(fd: isOver ? -1 : self.stopRead, events: Int16(POLLIN), revents: 0),
            ]
            let count = poll(&descriptors, 2, isOver ? 0 : -1)
            if count < 0, errno == EINTR { continue }
            if descriptors[1].revents != 0 { isOver = true }
            guard descriptors[0].revents != 0 else {
                if isOver { return }
                continue
            }
            let length = Glibc.read(self.readEnd, &buffer, buffer.count)
            if length < 0, errno == EINTR { continue }
            guard length > 0 else { return }
            if isOver { left -= length }
            self.output(Data(buffer[..<length]))
        }
    }
}
