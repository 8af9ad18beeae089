import Foundation
import Glibc
import Synchronization
import Testing

@testable import Peer

/// Programs that the peer starts: nothing of them is left when they have ended.
@Suite struct ChildProcessTests {
    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    /// What a program printed.
    private final class Output: Sendable {
        private let bytes = Mutex(Data())
        func append(_ data: Data) { self.bytes.withLock { $0 += data } }
        var text: String { String(decoding: self.bytes.withLock { $0 }, as: UTF8.self) }
    }

    private func start(
        _ script: String,
        environment: [String: String] = [:],
        limits: ProcessLimits? = nil,
        _ output: Output = Output()
    ) async throws -> ChildProcess {
        let program = ChildProcess.Program(
            path: "/bin/sh",
            arguments: ["-c", script],
            environment: environment,
            folder: self.folder.path,
            limits: limits,
            mark: ProcessMark(dataFolder: self.folder.path).launch("test")
        )
        return try await ChildProcess.start(program) { output.append($0) }
    }

    /// Waits for a line that a program writes into a file.
    private func line(_ name: String) async throws -> String {
        for _ in 0..<3_000 {
            let text = self.folder.text(name)
            if text.hasSuffix("\n") { return text.trimmingCharacters(in: .newlines) }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ContractError("\(name) was not written")
    }

    private func lives(_ process: pid_t) -> Bool {
        guard let line = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return false }
        return !String(decoding: line, as: UTF8.self).contains(") Z ")
    }

    @Test func howAProgramEndedAndWhatItPrintedIsKnown() async throws {
        let output = Output()
        let child = try await self.start("pwd; echo $NAME >&2; exit 3", environment: ["NAME": "x"], output)
        #expect(await child.ended() == .exited(3))
        #expect(output.text == "\(self.folder.path)\nx\n")
        #expect(await child.ended() == .exited(3), "to whoever asks later, too")
        let killed = try await self.start("kill -SEGV $$")
        #expect(await killed.ended() == .killed(signal: SIGSEGV))
    }

    @Test func theEnvironmentIsTheOneThatIsGiven() async throws {
        let output = Output()
        let child = try await self.start("env", environment: ["A": "1"], output)
        await child.ended()
        let names = output.text.split(separator: "\n").map { $0.prefix { $0 != "=" } }
        #expect(Set(names).isSubset(of: ["A", "WEFT_CONTRACT", "PWD", "OLDPWD", "SHLVL", "_"]))
    }

    @Test func aProgramThatIsNotThereIsNamed() async throws {
        let program = ChildProcess.Program(
            path: "/bin/sh",
            folder: self.folder.path + "/none",
            mark: ProcessMark(dataFolder: self.folder.path).launch("test")
        )
        let error = await #expect(throws: ContractError.self) {
            try await ChildProcess.start(program) { _ in }
        }
        #expect(error?.description.contains("/none") == true)
    }

    @Test func whatAProgramStartedEndsWithIt() async throws {
        let script = """
            sleep 1000 & echo $! > child
            setsid sh -c 'echo $$ > session; exec sleep 1000' &
            while [ ! -s session ]; do sleep 0.01; done
            """
        let child = try await self.start(script)
        #expect(await child.ended() == .exited(0))
        for name in ["child", "session"] {
            let process = try #require(pid_t(try await self.line(name)))
            #expect(!self.lives(process), "\(name)")
        }
    }

    @Test func aProgramThatDoesNotWantToEndIsKilled() async throws {
        let child = try await self.start("trap '' TERM; echo ready > ready; while :; do sleep 0.1; done")
        _ = try await self.line("ready")
        child.terminate(grace: .zero)
        #expect(await child.ended() == .killed(signal: SIGKILL))
    }

    @Test func aProgramGetsTheSignalsThatThePeerTakesNoNoticeOf() async throws {
        let child = try await self.start("echo ready > ready; exec sleep 1000")
        _ = try await self.line("ready")
        child.terminate(grace: .seconds(60))
        #expect(await child.ended() == .killed(signal: SIGTERM))
    }

    @Test func limitsHoldForAProgram() async throws {
        var limits = ProcessLimits()
        limits.openFiles = 77
        limits.addressSpace = 512 << 20
        let output = Output()
        let child = try await self.start("ulimit -n; ulimit -v; ulimit -c", limits: limits, output)
        #expect(await child.ended() == .exited(0))
        #expect(output.text == "77\n\(512 << 10)\n0\n")
    }

    @Test(.enabled(if: getuid() == 0)) func aProgramMayRunAsAnotherUser() async throws {
        var limits = ProcessLimits()
        limits.user = "1"
        let output = Output()
        let child = try await self.start("id -u; id -g; id -G", limits: limits, output)
        #expect(await child.ended() == .exited(0))
        #expect(output.text == "1\n1\n1\n")
    }

    @Test func whatALaterPeerFindsLeftOverIsEnded() async throws {
        let child = try await self.start("echo ready > ready; exec sleep 1000")
        _ = try await self.line("ready")
        #expect(ProcessMark(dataFolder: "/somewhere/else").killProcesses() == 0)
        #expect(ProcessMark(dataFolder: self.folder.path).killProcesses() >= 1)
        #expect(await child.ended() == .killed(signal: SIGKILL))
    }
}
