import Foundation
import Synchronization

/// A file of what a network has promised, to be compared with what it kept.
///
/// One line for each event: `acknowledged TXID` once the ordering service has taken a transaction, and
/// `valid TXID BLOCK` once it is committed as valid. Lines are written as they come.
final class AcknowledgedTransactions: Sendable {
    private struct State {
        let file: FileHandle
        var acknowledged = 0
        var valid = 0
    }

    private let path: String
    private let state: Mutex<State>

    /// Makes the file, or empties it.
    ///
    /// - Throws: ``Failure`` when that is not possible.
    init(path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw Failure("\(path) can't be written; check the folder and its permissions") }
        self.path = path
        self.state = Mutex(State(file: file))
    }

    /// How many lines of each kind there are.
    var counts: (acknowledged: Int, valid: Int) { self.state.withLock { ($0.acknowledged, $0.valid) } }

    func acknowledged(_ transactionID: String) throws {
        try self.state.withLock { state in
            state.acknowledged += 1
            try self.write("acknowledged \(transactionID)\n", to: state.file)
        }
    }

    func valid(_ transactionID: String, block: UInt64) throws {
        try self.state.withLock { state in
            state.valid += 1
            try self.write("valid \(transactionID) \(block)\n", to: state.file)
        }
    }

    private func write(_ line: String, to file: FileHandle) throws {
        do {
            try file.write(contentsOf: Data(line.utf8))
        } catch {
            throw Failure("\(self.path) can't be written: \(error.localizedDescription)")
        }
    }
}
