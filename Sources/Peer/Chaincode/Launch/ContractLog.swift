internal import Foundation
internal import Glibc
internal import Synchronization

/// What a contract prints, in a file of bounded size: when it is full, it replaces the older one, `<name>.1`.
///
/// A contract that prints more than ``Bounds/bytesPerSecond`` waits: its pipe isn't read meanwhile.
final class ContractLog: Sendable {
    struct Bounds: Sendable {
        var fileBytes = 10 << 20
        var bytesPerSecond = 4 << 20
    }

    private struct State {
        var handle: FileHandle?
        var size = 0
        var second: Int64 = 0
        var inSecond = 0
        var tail = Data()
    }

    let file: URL
    private let bounds: Bounds
    private let state = Mutex(State())
    private static let tailBytes = 4_096

    init(file: URL, bounds: Bounds = Bounds()) {
        self.file = file
        self.bounds = bounds
    }

    /// The last lines that were printed.
    var tail: String {
        let bytes = self.state.withLock { $0.tail }
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Forgets ``tail``: another process begins.
    func begin(_ line: String) {
        self.state.withLock { $0.tail = Data() }
        self.note(line)
    }

    /// A line of the peer's own, with the time.
    func note(_ line: String) {
        self.write(Data("[weft \(Date().ISO8601Format())] \(line)\n".utf8), isOutput: false)
    }

    /// Keeps what a contract has printed; blocks when that is too much.
    ///
    /// A log that can't be written is left out: the contract goes on.
    func write(_ bytes: Data) { self.write(bytes, isOutput: true) }

    private func write(_ bytes: Data, isOutput: Bool) {
        let pause = self.state.withLock { state -> useconds_t in
            if isOutput { state.tail = Data((state.tail + bytes).suffix(Self.tailBytes)) }
            if state.size + bytes.count > self.bounds.fileBytes { self.rotate(&state) }
            if state.handle == nil { self.open(&state) }
            do {
                try state.handle?.write(contentsOf: bytes)
                state.size += bytes.count
            } catch {
                state.handle = nil
            }
            let now = Int64(Date().timeIntervalSince1970)
            if now != state.second { (state.second, state.inSecond) = (now, 0) }
            state.inSecond += bytes.count
            return isOutput && state.inSecond > self.bounds.bytesPerSecond ? 1_000_000 : 0
        }
        if pause > 0 { usleep(pause) }
    }

    private func open(_ state: inout State) {
        let descriptor = Glibc.open(self.file.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        state.size = Int((try? handle.seekToEnd()) ?? 0)
        state.handle = handle
    }

    private func rotate(_ state: inout State) {
        state.handle = nil
        state.size = 0
        _ = rename(self.file.path, self.file.path + ".1")
    }
}
