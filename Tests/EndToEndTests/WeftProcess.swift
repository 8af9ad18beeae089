import Foundation
import Testing

/// Runs the `weft` executable that was built with these tests.
enum WeftProcess {
    struct Result {
        var code: Int32
        var output: String
        var errors: String
    }

    /// The executable stands beside the test bundle.
    static var executable: URL {
        let test = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        return test.deletingLastPathComponent().appendingPathComponent("weft")
    }

    /// Runs a command to its end.
    ///
    /// What it prints goes through files: the nodes that it starts outlive it, and must not keep a pipe open.
    static func run(_ arguments: String..., environment: [String: String] = [:]) async throws -> Result {
        try await Self.run(arguments: arguments, environment: environment)
    }

    /// The same with the arguments in a list; variables are added to the environment.
    static func run(arguments: [String], environment: [String: String] = [:]) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "weft-\(UUID().uuidString)"
        )
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let output = folder.appendingPathComponent("output")
        let errors = folder.appendingPathComponent("errors")
        for file in [output, errors] { try Data().write(to: file) }
        let process = Process()
        process.executableURL = Self.executable
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        process.standardInput = FileHandle.nullDevice
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do {
                try process.run()
            } catch {
                process.terminationHandler = nil
                continuation.resume(throwing: error)
            }
        }
        return Result(
            code: process.terminationStatus,
            output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
            errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self)
        )
    }

    /// Starts a network with ports that are free, and takes it down afterwards.
    ///
    /// - Parameters:
    ///   - arguments: More flags of `weft network up`.
    ///   - body: Gets the network's folder.
    /// - Throws: When the network doesn't start, and what `body` throws.
    static func withRunningNetwork(
        _ arguments: String...,
        body: (String) async throws -> Void
    ) async throws {
        try await Self.withNetwork { folder in
            let up = try await Self.run(
                arguments: ["network", "up", "--folder", folder, "--base-port", "0"] + arguments
            )
            try #require(up.code == 0, "\(up.errors)")
            try await body(folder)
        }
    }

    /// Finds a folder for a network, and takes what runs there down afterwards.
    static func withNetwork(_ body: (String) async throws -> Void) async throws {
        let parent = FileManager.default.temporaryDirectory.appendingPathComponent(
            "weft-\(UUID().uuidString)"
        )
        try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
        let folder = parent.appendingPathComponent("network").path
        var failure: (any Error)?
        do {
            try await body(folder)
        } catch {
            failure = error
        }
        _ = try await Self.run("network", "down", "--folder", folder, "--remove")
        try? FileManager.default.removeItem(at: parent)
        if let failure { throw failure }
    }
}
