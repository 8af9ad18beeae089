/// A failure of a key-value store.
///
/// Callers switch on ``code``; people read ``description``, which names the folder, the reason and what to do.
package struct KeyValueStoreError: Error, Sendable, Hashable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String
        /// Another process, or this one, holds the folder open.
        package static let locked = Self(description: "in use")
        /// Stored bytes do not match their checksum, or a file is missing or malformed.
        package static let damaged = Self(description: "damaged")
        /// The disk is full.
        package static let diskFull = Self(description: "disk full")
        /// The folder may not be written to.
        package static let notWritable = Self(description: "not writable")
        /// The disk or the file system reported another error.
        package static let inputOutput = Self(description: "I/O error")
        /// An earlier write failed, so that no further one is accepted.
        package static let stopped = Self(description: "stopped")
        /// Anything else.
        package static let other = Self(description: "error")
    }

    package var code: Code
    /// The folder of the database.
    package var folder: String
    /// What was attempted: "open", "read", "write".
    package var operation: String
    /// The database's own words.
    package var reason: String
    /// The files found damaged, where they were looked for.
    package var damagedFiles: [String] = []

    package init(code: Code, folder: String, operation: String, reason: String, damagedFiles: [String] = []) {
        self.code = code
        self.folder = folder
        self.operation = operation
        self.reason = reason
        self.damagedFiles = damagedFiles
    }

    /// Classifies the words of LevelDB and the operating system.
    init(folder: String, operation: String, reason: String) {
        let code: Code =
            if reason.contains("LOCK") {
                // The lock file can't be made in a folder that may not be written to.
                Self.isRefusal(reason) ? .notWritable : .locked
            } else if reason.hasPrefix("Corruption")
                || reason.contains("does not exist (create_if_missing is false)")
            {
                .damaged
            } else if reason.contains("No space left") || reason.contains("Disk quota exceeded") {
                .diskFull
            } else if Self.isRefusal(reason) {
                .notWritable
            } else if reason.hasPrefix("IO error") {
                .inputOutput
            } else {
                .other
            }
        self.init(code: code, folder: folder, operation: operation, reason: reason)
    }

    private static func isRefusal(_ reason: String) -> Bool {
        reason.contains("Permission denied") || reason.contains("Read-only file system")
            || reason.contains("Operation not permitted")
    }

    package var description: String {
        var text = "could not \(self.operation) database \(self.folder): \(self.code): \(self.reason)"
        if !self.damagedFiles.isEmpty {
            text += " (\(self.damagedFiles.joined(separator: "; ")))"
        }
        if let advice = self.advice { text += "; \(advice)" }
        return text
    }

    private var advice: String? {
        switch self.code {
        case .locked:
            "another process has it open: stop that node, or give this one a data folder of its own"
        case .damaged:
            "restore the folder from a backup, or let the node fetch its ledger again into an empty folder"
        case .diskFull:
            "free space on the disk, and a running node goes on by itself: nothing of this write was accepted"
        case .notWritable:
            "give the user of this process the right to write to the folder"
        case .inputOutput:
            "check the disk and the folder; a running node goes on by itself once they work"
        case .stopped:
            "a running node goes on by itself once the cause of the first failure is gone"
        default:
            nil
        }
    }
}
