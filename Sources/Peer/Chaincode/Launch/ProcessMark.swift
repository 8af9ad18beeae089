internal import Foundation
internal import Glibc

/// What marks the processes of one launch: a variable of their environment, which their children inherit.
///
/// A process that leaves its group or its session is found by it all the same. One that takes the variable out of the
/// environment of its children is not; against that only a container or another user helps.
struct ProcessMark: Sendable {
    static let variable = "WEFT_CONTRACT"

    let text: String

    /// Everything that is launched for one data folder.
    init(dataFolder: String) {
        self.text = URL(fileURLWithPath: dataFolder).standardizedFileURL.path + "#"
    }

    private init(text: String) { self.text = text }

    /// The mark of one launch.
    func launch(_ name: String) -> Self { Self(text: "\(self.text)\(name)#\(UUID().uuidString)") }

    /// Kills every process whose mark begins with this one, and those that they start meanwhile.
    ///
    /// - Returns: how many there were.
    @discardableResult
    func killProcesses() -> Int {
        var killed = 0
        // A process may have forked between the look at /proc and the signal.
        for _ in 0..<100 {
            let found = self.processes()
            guard !found.isEmpty else { break }
            for process in found { kill(process, SIGKILL) }
            killed += found.count
            usleep(1_000)
        }
        return killed
    }

    private func processes() -> [pid_t] {
        let entry = Array("\(Self.variable)=\(self.text)".utf8)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.filter { process in
            guard process != getpid() else { return false }
            // The environment of a process that has ended, or of another user, can't be read.
            guard let environment = FileManager.default.contents(atPath: "/proc/\(process)/environ") else {
                return false
            }
            return environment.split(separator: 0).contains { $0.starts(with: entry) }
        }
    }
}
