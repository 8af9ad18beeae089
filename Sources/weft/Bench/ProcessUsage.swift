import Foundation
import Glibc

/// What a process has used so far, from `/proc`.
struct ProcessUsage: Sendable {
    /// Processor time in user and system mode together, in seconds, to a hundredth.
    var processorSeconds: Double
    /// The most memory it has held at once, in bytes.
    var peakMemoryBytes: UInt64
    /// Bytes that it caused to be written to storage; nil when the system doesn't say.
    var writtenBytes: UInt64?

    /// Reads the figures; nil when there is no such process.
    init?(process: pid_t) {
        guard let fields = Self.statistics(of: process), fields.count > 12 else { return nil }
        guard let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        self.processorSeconds = (user + system) / Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        let status = Self.text("/proc/\(process)/status") ?? ""
        self.peakMemoryBytes = (Self.value("VmHWM:", in: status) ?? 0) * 1024
        self.writtenBytes = Self.text("/proc/\(process)/io").flatMap { Self.value("write_bytes:", in: $0) }
    }

    /// The state letter of a process, such as `R`, `S` or `Z`; nil when there is no such process.
    static func state(of process: pid_t) -> String? {
        self.statistics(of: process)?.first.map(String.init)
    }

    /// The fields of `/proc/PID/stat` after the name, which may itself hold spaces and brackets.
    private static func statistics(of process: pid_t) -> [Substring]? {
        guard let text = self.text("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else {
            return nil
        }
        return text[text.index(after: end)...].split(whereSeparator: \.isWhitespace)
    }

    private static func text(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func value(_ key: String, in text: String) -> UInt64? {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(key) }) else { return nil }
        return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { UInt64($0) }
    }
}
