import Foundation
import GRPCCore
import TestSupport

/// Certificates and keys in a folder that client and server processes share.
struct TLSFolder: Sendable {
    let path: String

    static func make() throws -> TLSFolder {
        let authority = try TLSTestAuthority()
        let path = FileManager.default.temporaryDirectory.appending(path: "weft-bench-\(UUID().uuidString)")
            .path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try authority.certificatePEM.write(toFile: path + "/ca.pem", atomically: true, encoding: .utf8)
        for name in ["server", "client"] {
            let leaf = try authority.issue(name)
            try leaf.certificatePEM.write(toFile: path + "/\(name).pem", atomically: true, encoding: .utf8)
            try leaf.privateKeyPEM.write(toFile: path + "/\(name).key", atomically: true, encoding: .utf8)
        }
        return TLSFolder(path: path)
    }

    func read(_ name: String) throws -> String {
        try String(contentsOfFile: self.path + "/" + name, encoding: .utf8)
    }
}

/// The server of one variant, in a process of its own: `Benchmarks rpc-server VARIANT FOLDER`.
///
/// It prints its port, answers each line it reads with its CPU time in microseconds, and ends with its input.
final class ServerProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private(set) var port = 0

    init(_ variant: RPCBenchmark.Variant, _ folder: TLSFolder) throws {
        self.process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        self.process.arguments = ["rpc-server", variant.rawValue, folder.path]
        self.process.standardInput = self.input
        self.process.standardOutput = self.output
        try self.process.run()
        guard let port = Int(self.readLine()) else {
            throw RPCError(code: .unavailable, message: "the server process of \(variant) gave no port")
        }
        self.port = port
    }

    func cpuMicroseconds() throws -> Double {
        try self.input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
        return Double(self.readLine()) ?? .nan
    }

    func stop() {
        try? self.input.fileHandleForWriting.close()
        self.process.waitUntilExit()
    }

    private func readLine() -> String {
        var line = Data()
        while let byte = try? self.output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty {
            if byte == Data([10]) { break }
            line += byte
        }
        return String(decoding: line, as: UTF8.self)
    }

    /// The other side: serves until the input ends.
    static func serve(_ variant: RPCBenchmark.Variant, _ folder: TLSFolder) async throws {
        let port: Int
        switch variant {
        case .raw: port = try RawServer.start(folder)
        case .core, .pinned: port = try SwiftServer.startCore(folder)
        case .direct: port = try SwiftServer.startCore(folder, answersDirectly: true)
        case .nio: port = try await SwiftServer.startNIO(folder)
        }
        print(port)
        fflush(nil)
        await withCheckedContinuation { continuation in
            Thread {
                while Swift.readLine() != nil {
                    print(Benchmarks.cpuMicroseconds())
                    fflush(nil)
                }
                continuation.resume()
            }.start()
        }
        exit(0)
    }
}
