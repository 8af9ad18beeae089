import Foundation
import Glibc

/// A node that runs as a process of its own and outlives the command that started it.
///
/// Its folder holds `pid` (the process), `log` (what it prints) and its configuration file.
struct NodeProcess {
    var name: String
    /// The node's folder, absolute.
    var folder: String

    /// `POSIX_SPAWN_SETSID` of glibc's `spawn.h`, which the overlay leaves out.
    private static let newSession: Int16 = 0x80

    private var pidFile: String { self.folder + "/pid" }
    var logFile: String { self.folder + "/log" }

    /// The process, if it runs.
    ///
    /// A pid file alone proves nothing, since numbers are used again: the process must also have this node's folder on
    /// its command line.
    var runningProcess: pid_t? {
        guard let text = try? String(contentsOfFile: self.pidFile, encoding: .utf8) else { return nil }
        guard let process = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)), process > 1 else {
            return nil
        }
        return self.owns(process) ? process : nil
    }

    private func owns(_ process: pid_t) -> Bool {
        let file = "/proc/\(process)/cmdline"
        guard var line = FileManager.default.contents(atPath: file) else { return false }
        // Linux shows no arguments for a moment after the start; a process that has ended shows none either.
        for _ in 0..<1_000 {
            guard line.isEmpty, ProcessUsage.state(of: process) != "Z" else { break }
            usleep(1_000)
            guard let again = FileManager.default.contents(atPath: file) else { return false }
            line = again
        }
        let arguments = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        guard arguments.contains(where: { $0.hasPrefix(self.folder + "/") }) else { return false }
        return ProcessUsage.state(of: process) != "Z"
    }

    /// Starts the node; it keeps running when this process ends.
    ///
    /// - Parameter arguments: What to pass to this very executable, such as `peer start --config FILE`.
    /// - Returns: The process.
    /// - Throws: ``Failure`` when the process can't be started.
    @discardableResult
    func start(_ arguments: [String]) throws(Failure) -> pid_t {
        let executable = try Self.ownExecutable()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, self.logFile, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Nothing that this command holds open is the node's business, and whoever waits for this command to let go of a
        // pipe must not wait for the node.
        Self.keepDescriptorsToOurselves()
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A session of its own: closing the terminal, or Control-C in it, doesn't reach the node.
        posix_spawnattr_setflags(&attributes, Self.newSession)
        let texts = ([executable] + arguments).map { strdup($0) } + [nil]
        defer { texts.forEach { free($0) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, executable, &actions, &attributes, texts, environ)
        guard status == 0 else {
            throw Failure("can't start \(self.name): \(String(cString: strerror(status))) (\(executable))")
        }
        do {
            try Data("\(process)\n".utf8).write(to: URL(fileURLWithPath: self.pidFile))
        } catch {
            kill(process, SIGTERM)
            throw Failure("can't write \(self.pidFile): \(error); is the disk full or read-only?")
        }
        return process
    }

    /// Stops the node: asks it to, and ends it when it has not done so within 20 seconds.
    ///
    /// - Returns: Whether it ran, and whether it had to be ended by force.
    func stop() async throws -> (wasRunning: Bool, byForce: Bool) {
        guard let process = self.runningProcess else {
            try? FileManager.default.removeItem(atPath: self.pidFile)
            return (false, false)
        }
        kill(process, SIGTERM)
        var byForce = false
        for attempt in 0..<220 where self.owns(process) {
            if attempt == 200 {
                kill(process, SIGKILL)
                byForce = true
            }
            var status: Int32 = 0
            waitpid(process, &status, WNOHANG)  // reaps it when it is our own child
            try await Task.sleep(for: .milliseconds(100))
        }
        try? FileManager.default.removeItem(atPath: self.pidFile)
        return (true, byForce)
    }

    /// The last lines of the node's log, for an error message.
    func logTail(lines: Int = 15) -> String {
        guard let log = FileManager.default.contents(atPath: self.logFile) else { return "" }
        let text = String(decoding: log.suffix(16_384), as: UTF8.self)
        return text.split(separator: "\n").suffix(lines).map { "  " + $0 }.joined(separator: "\n")
    }

    /// Has every open descriptor but the standard ones closed in processes that are started from now on.
    private static func keepDescriptorsToOurselves() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        for descriptor in names.compactMap({ Int32($0) }) where descriptor > 2 {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
    }

    /// The path of the running executable, so that nodes are of the same version as the command.
    private static func ownExecutable() throws(Failure) -> String {
        do {
            return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        } catch {
            throw Failure("can't find this program's own file through /proc/self/exe: \(error)")
        }
    }
}
