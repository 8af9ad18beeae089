import Foundation
import GRPCCore
import RPC
import RPCTestService
import TestSupport
import Testing

/// Our transports against Python's grpcio, in a process of its own.
@Suite struct PythonTests {
    @Test func aPythonClientCallsOurServer() async throws {
        let service = TestService()
        try await withCoreServer(service) { port in
            let python = try Python(script: "client.py", arguments: ["\(port)"])
            let output = try await python.output()
            #expect(output == "every call was answered as expected\n", "\(python.errors())")
        }
        try await service.ended.wait()  // of the call with a deadline
    }

    @Test func ourClientCallsAPythonServer() async throws {
        let python = try Python(script: "server.py", arguments: [])
        let port = try #require(Int(try await python.line()))
        try await withCoreClient(port: port) { client in
            let metadata: Metadata = [
                "echo-text": "one", "echo-text": "two", "echo-bytes-bin": .binary([0, 255, 10]),
            ]
            let response = try await client.unary([1, 2, 3], metadata: metadata)
            #expect(try response.message == [1, 2, 3])
            for received in [response.metadata, response.trailingMetadata] {
                #expect(Array(received[stringValues: "echo-text"]) == ["one", "two"])
                #expect(Array(received[binaryValues: "echo-bytes-bin"]) == [[0, 255, 10]])
            }
            let failed = try await client.unary([255] + Array("no".utf8))
            let error = #expect(throws: RPCError.self) { try failed.message }
            #expect(error?.code == .failedPrecondition)
            #expect(error?.message == "no")
            let collected = try await client.collect([[1], [2, 3], []])
            #expect(try collected.message == Array("3".utf8))
            let expanded = try await client.expand(count: 200, size: 3000).0
            #expect(expanded.map { $0[0] } == (0..<200).map { UInt8($0) })
            let requests = (0..<50).map { Array("message \($0)".utf8) }
            let answers = try await client.pingPong(requests).0
            #expect(answers == requests)
            var options = CallOptions.defaults
            options.timeout = .seconds(1)
            let late = await Result { try await client.unary([], TestMethod.hang, options: options).message }
            #expect(throws: RPCError.self) { try late.get() }
            let large = [UInt8](repeating: 3, count: 3 << 20)
            let echoed = try await client.unary(large)
            #expect(try echoed.message == large)
        }
        python.stop()
    }
}

/// A Python process that runs one of the scripts beside this file.
private final class Python: Sendable {
    private let process: Process
    private let input = Pipe()
    private let standardOutput = Pipe()
    private let standardError = Pipe()
    private let folder: URL

    init(script: String, arguments: [String]) throws {
        let (authority, server, client) = try Certificates.made.get()
        let interpreter = try Self.interpreter()
        self.folder = FileManager.default.temporaryDirectory.appending(
            path: "weft-python-\(UUID().uuidString)"
        )
        try FileManager.default.createDirectory(at: self.folder, withIntermediateDirectories: true)
        let leaf = script == "server.py" ? server : client
        for (name, text) in [
            ("ca.pem", authority.certificatePEM), ("leaf.pem", leaf.certificatePEM),
            ("leaf.key", leaf.privateKeyPEM),
        ] {
            try text.write(to: self.folder.appending(path: name), atomically: true, encoding: .utf8)
        }
        self.process = Process()
        self.process.executableURL = URL(filePath: interpreter)
        let scripts = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Python")
        self.process.arguments = [scripts.appending(path: script).path, self.folder.path] + arguments
        self.process.standardInput = self.input
        self.process.standardOutput = self.standardOutput
        self.process.standardError = self.standardError
        try self.process.run()
    }

    deinit {
        self.process.terminate()
        try? FileManager.default.removeItem(at: self.folder)
    }

    /// The interpreter that `scripts/test` prepares, with grpcio.
    private static func interpreter() throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path =
            ProcessInfo.processInfo.environment["WEFT_PYTHON"]
            ?? root.appending(path: ".venv/bin/python3").path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw RPCError(
                code: .notFound,
                message:
                    "there is no Python with grpcio at \(path): run scripts/test, which makes it, or name one in WEFT_PYTHON"
            )
        }
        return path
    }

    /// Everything the process prints, once it has ended.
    func output() async throws -> String {
        try await onAThread { [standardOutput] in
            String(decoding: standardOutput.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        }
    }

    func line() async throws -> String {
        try await onAThread { [standardOutput] in
            var line = Data()
            while let byte = try standardOutput.fileHandleForReading.read(upToCount: 1), byte != Data([10]) {
                if byte.isEmpty { break }
                line += byte
            }
            return String(decoding: line, as: UTF8.self)
        }
    }

    func errors() -> String {
        String(decoding: self.standardError.fileHandleForReading.availableData, as: UTF8.self)
    }

    /// Ends a server, which stops when its input does.
    func stop() {
        try? self.input.fileHandleForWriting.close()
        self.process.waitUntilExit()
    }
}

/// Runs what blocks on a thread of its own.
private func onAThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value
{
    try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Result(catching: body)) }.start()
    }
}
