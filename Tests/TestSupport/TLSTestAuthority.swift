import Foundation

/// A certificate authority for tests, made at run time with the `openssl` command.
///
/// Its certificates hold for `localhost` and 127.0.0.1, for servers and clients, and for a day.
package final class TLSTestAuthority: Sendable {
    /// The certificate of the authority.
    package let certificatePEM: String
    private let folder: URL

    /// A leaf certificate with its key.
    package struct Leaf: Sendable {
        package var certificatePEM: String
        package var privateKeyPEM: String
    }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    package init(name: String = "test authority") throws {
        self.folder = FileManager.default.temporaryDirectory.appending(path: "weft-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: self.folder, withIntermediateDirectories: true)
        try Self.openssl(
            self.folder,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -keyout ca.key -out ca.pem",
            "-subj",
            "/CN=\(name)"
        )
        self.certificatePEM = try Self.read(self.folder, "ca.pem")
    }

    deinit {
        try? FileManager.default.removeItem(at: self.folder)
    }

    package func issue(_ name: String) throws -> Leaf {
        let file = UUID().uuidString
        try Self.openssl(
            self.folder,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -CA ca.pem -CAkey ca.key",
            "-keyout",
            "\(file).key",
            "-out",
            "\(file).pem",
            "-subj",
            "/CN=\(name)",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "extendedKeyUsage=serverAuth,clientAuth"
        )
        return Leaf(
            certificatePEM: try Self.read(self.folder, "\(file).pem"),
            privateKeyPEM: try Self.read(self.folder, "\(file).key")
        )
    }

    private static func read(_ folder: URL, _ name: String) throws -> String {
        try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }

    private static func openssl(_ folder: URL, _ words: String, _ more: String...) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + words.split(separator: " ").map(String.init) + more
        process.currentDirectoryURL = folder
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let text = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(
                description:
                    "openssl failed (scripts/setup installs it): \(String(decoding: text, as: UTF8.self))"
            )
        }
    }
}
