package import Foundation

/// Where conformance tests find their vectors and note how each one went.
///
/// A vector is a file or a case that a real Fabric program made, with its verdict. `scripts/vectors` runs the
/// tests with `WEFT_VECTORS` (a folder laid out like `Tests/ConformanceTests/Vectors`) and `WEFT_VECTOR_REPORT` (a
/// file to append to) and prints, for each folder, how many hold and which don't.
package enum VectorReport {
    /// The folder of one kind of vectors, such as `signatures`.
    package static func folder(_ name: String) -> URL {
        self.root.appendingPathComponent(name, isDirectory: true)
    }

    /// The folder that holds all kinds.
    package static var root: URL {
        if let chosen = ProcessInfo.processInfo.environment["WEFT_VECTORS"] {
            return URL(fileURLWithPath: chosen, isDirectory: true)
        }
        return URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ConformanceTests/Vectors", isDirectory: true)
    }

    /// Whether a kind's tests apply: a folder that somebody chose need not have every kind, but our own must.
    package static func applies(_ name: String) -> Bool {
        guard ProcessInfo.processInfo.environment["WEFT_VECTORS"] != nil else { return true }
        return FileManager.default.fileExists(atPath: self.folder(name).path)
    }

    /// Notes whether a vector holds.
    ///
    /// Call it once for each vector, whatever the outcome; a test that can't pass yet records it with the reason as
    /// note and expects nothing.
    ///
    /// - Parameters:
    ///   - folder: The kind of vectors, such as `signatures`.
    ///   - name: The name of the vector inside it.
    ///   - holds: Whether Weft does what the real program did.
    ///   - note: Why not, where it doesn't.
    package static func record(folder: String, name: String, holds: Bool, note: String = "") {
        guard let path = ProcessInfo.processInfo.environment["WEFT_VECTOR_REPORT"] else { return }
        let flat = note.replacingOccurrences(of: "\n", with: " ").replacingOccurrences(of: "\t", with: " ")
        let line = Data("\(folder)\t\(name)\t\(holds ? "holds" : "fails")\t\(flat)\n".utf8)
        // One write to a file opened for appending is not torn by another test's write.
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        line.withUnsafeBytes { _ = write(descriptor, $0.baseAddress, $0.count) }
    }
}
