import Foundation
import Synchronization

/// A line on standard error that shows how far a long piece of work has come.
///
/// Nothing is drawn when standard error is no terminal, so that logs and pipes stay clean.
final class ProgressBar: Sendable {
    private let title: String
    private let total: Int
    private let isVisible = isatty(STDERR_FILENO) == 1
    private let state = Mutex((done: 0, drawnPercent: -1))

    init(_ title: String, total: Int) {
        self.title = title
        self.total = max(total, 1)
    }

    /// Counts `amount` more units as done.
    func advance(by amount: Int = 1) {
        guard self.isVisible else { return }
        self.state.withLock { state in
            state.done = min(state.done + amount, self.total)
            let percent = state.done * 100 / self.total
            guard percent != state.drawnPercent else { return }
            state.drawnPercent = percent
            let filled = percent * 30 / 100
            let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
            let line = "\r\(self.title) [\(bar)] \(percent)% (\(state.done) of \(self.total))"
            FileHandle.standardError.write(Data(line.utf8))
        }
    }

    /// Ends the line.
    func finish() {
        guard self.isVisible else { return }
        FileHandle.standardError.write(Data("\r\u{1B}[2K".utf8))
    }
}

/// The same for work that reports where it stands instead of counting up.
final class ProgressStep: Sendable {
    private let title: String
    private let bar = Mutex<(bar: ProgressBar, done: Int)?>(nil)

    init(title: String) {
        self.title = title
    }

    /// Shows that `done` of `total` units are done.
    func show(_ done: Int, of total: Int) {
        self.bar.withLock { state in
            let current = state ?? (ProgressBar(self.title, total: total), 0)
            current.bar.advance(by: max(done - current.done, 0))
            state = (current.bar, done)
        }
    }

    /// Ends the line.
    func finish() {
        self.bar.withLock { $0?.bar.finish() }
    }
}
