import Foundation

/// A folder that is removed when nobody uses it any more.
final class TemporaryFolder: Sendable {
    let url: URL

    init() throws {
        self.url = FileManager.default.temporaryDirectory.appendingPathComponent("weft-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: self.url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: self.url) }

    var path: String { self.url.path }

    func text(_ name: String) -> String {
        (try? String(contentsOf: self.url.appendingPathComponent(name), encoding: .utf8)) ?? ""
    }

    /// Writes a file, a program if `isProgram`.
    func write(_ text: String, to name: String, isProgram: Bool = false) throws {
        let file = self.url.appendingPathComponent(name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        try Data(text.utf8).write(to: file)
        if isProgram {
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
        }
    }
}
