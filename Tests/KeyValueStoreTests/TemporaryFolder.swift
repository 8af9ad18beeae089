import Foundation

/// A folder for one test, removed with everything in it when released.
final class TemporaryFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("weft-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        self.path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }

    func callAsFunction(_ name: String) -> String { "\(self.path)/\(name)" }
}

func bytes(_ text: String) -> Data { Data(text.utf8) }
func text(_ bytes: Data) -> String { String(decoding: bytes, as: UTF8.self) }
