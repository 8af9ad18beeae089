package import Foundation

/// The folder of one installed package: `contracts/<label>.<hash>` in the data folder.
///
/// | name | what |
/// |---|---|
/// | `state.json` | what the contract does: ``ContractState`` |
/// | `log`, `log.1` | what it printed |
/// | `build.log` | what building it printed |
/// | `build/` | what was built: `build-info.json`, `source/`, `metadata/`, `bld/`, `release/` |
/// | `run/` | its keys and certificates, while it runs |
struct ContractFolder: Sendable {
    let url: URL
    /// Where its processes are told apart from others.
    let mark: ProcessMark

    init(dataFolder: String, packageID: String) {
        let name = packageID.replacing(":", with: ".")
        self.url = URL(fileURLWithPath: dataFolder).standardizedFileURL
            .appendingPathComponent("contracts").appendingPathComponent(name)
        self.mark = ProcessMark(dataFolder: dataFolder).launch(name)
    }

    var build: URL { self.url.appendingPathComponent("build") }
    var run: URL { self.url.appendingPathComponent("run") }
    var log: URL { self.url.appendingPathComponent("log") }
    var buildLog: URL { self.url.appendingPathComponent("build.log") }

    /// Makes the folder.
    func prepare() throws(ContractError) { try Self.make(self.url) }

    /// Makes a folder that its owner alone can change.
    static func make(_ folder: URL) throws(ContractError) {
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw ContractError("can't make \(folder.path): \(error.localizedDescription)")
        }
    }

    /// Removes a folder with all that is in it; none is fine.
    static func remove(_ folder: URL) throws(ContractError) {
        guard FileManager.default.fileExists(atPath: folder.path) else { return }
        do {
            try FileManager.default.removeItem(at: folder)
        } catch {
            throw ContractError("can't remove \(folder.path): \(error.localizedDescription)")
        }
    }

    static func write(_ contents: Data, to file: URL, mode: Int = 0o600) throws(ContractError) {
        guard
            FileManager.default.createFile(
                atPath: file.path,
                contents: contents,
                attributes: [.posixPermissions: mode]
            )
        else { throw ContractError("can't write \(file.path); is the disk full or read-only?") }
    }

    /// Shows what the contract does.
    func set(_ state: ContractState) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        guard let json = try? encoder.encode(state) else { return }
        // Only shown to operators: a contract runs whether or not this can be written.
        try? json.write(to: self.url.appendingPathComponent("state.json"), options: .atomic)
    }
}

/// What a contract that this peer builds or launches does, as its file `state.json` says.
package struct ContractState: Codable, Equatable, Sendable {
    package enum Phase: String, Codable, Sendable {
        case building
        /// Built, and not called since the peer started.
        case built
        case starting, running
        /// It ended, or was ended; the next call starts it again.
        case exited
        /// It couldn't be built or started.
        case failed
    }

    package var packageID: String
    package var type: String
    package var phase: Phase
    /// Since when.
    package var since: Date
    /// The process, while there is one.
    package var process: Int32?
    /// How often it was started since the peer was.
    package var starts = 0
    /// How the last process ended, such as "exited with status 1".
    package var lastEnd: String?
    package var lastError: String?
    /// The file with what it prints.
    package var log: String

    package init(packageID: String, type: String, log: String) {
        self.packageID = packageID
        self.type = type
        self.phase = .built
        self.since = Date()
        self.log = log
    }
}
