internal import Archive
package import Foundation
internal import WeftContract

/// Makes packages of contracts, as `peer lifecycle chaincode package` does.
///
/// The same files give the same bytes, and so the same identifier, wherever and whenever they are packed.
///
/// - Source: Fabric v3.1, `internal/peer/lifecycle/chaincode`, and what `core/chaincode/platforms` says of each language.
package enum ChaincodePackaging {
    /// What of a folder goes into a package, and where to.
    private struct Layout {
        /// Before the names of all files but metadata.
        var prefix = ""
        var leftOutFolders: Set<String> = [".git"]
        var leftOutSuffix: String?
        /// Whether folders whose name begins with a dot are left out.
        var leavesOutHiddenFolders = false
        /// Whether files that can be run stay so.
        var keepsPrograms = false
    }

    /// The package of the contract in a folder, or of a program that is one file.
    ///
    /// - Parameters:
    ///   - path: the folder; for `golang` a package of a module, all of which is packed.
    ///   - type: how the contract is built and run: `golang`, `node`, `java`, `ccaas`, `external`, `python`, `executable`,
    ///     or whatever a builder of the peer takes.
    ///   - label: what the package is called, the beginning of its identifier.
    /// - Returns: the package's bytes.
    /// - Throws: ``ContractError`` that names what can't be packed.
    package static func package(path: String, type: String, label: String) throws(ContractError) -> Data {
        try ChaincodePackage.checkLabel(label)
        let type = type.lowercased()
        var root = URL(fileURLWithPath: path).standardizedFileURL
        var metadataRoot = root
        var writtenPath = path
        if type == "golang" {
            let module = try GoModule(containing: root)
            (root, metadataRoot, writtenPath) = (module.folder, root, module.importPath)
        }
        let files = try self.files(root, metadataRoot, self.layout(type))
        guard !files.isEmpty else { throw ContractError("no source files found in '\(path)'") }
        if type == "node", !files.contains(where: { $0.path == "src/package.json" }) {
            throw ContractError("no package.json found at the root of the chaincode package")
        }
        return try self.pack(files, self.metadata(path: writtenPath, type: type, label: label), path)
    }

    /// The package of a contract that runs as a service of its own, without TLS: the address alone.
    ///
    /// - Parameters:
    ///   - address: where the contract listens.
    ///   - label: what the package is called.
    /// - Returns: the package's bytes.
    /// - Throws: ``ContractError`` for a label that is none.
    package static func package(serviceAt address: String, label: String) throws(ContractError) -> Data {
        try ChaincodePackage.checkLabel(label)
        let written = String(decoding: JSONValue.string(address).encoded, as: UTF8.self)
        let connection = #"{"address":\#(written),"dial_timeout":"10s","tls_required":false}"#
        let file = File(path: "connection.json", contents: Data(connection.utf8), isProgram: false)
        return try self.pack([file], self.metadata(path: "", type: "ccaas", label: label), address)
    }

    /// Packs files; an error calls what is packed by `source`.
    private static func pack(
        _ files: [File],
        _ metadata: Data,
        _ source: String
    ) throws(ContractError) -> Data {
        do {
            let programs = Set(files.filter(\.isProgram).map(\.path))
            let code = try Gzip.pack(
                Tar.archive(files.map { ($0.path, $0.contents) }, programs: programs)
            )
            return try Gzip.pack(Tar.archive([("metadata.json", metadata), ("code.tar.gz", code)]))
        } catch {
            throw ContractError("can't pack \(source): \(error)")
        }
    }

    private static func layout(_ type: String) -> Layout {
        switch type {
        case "golang": Layout(prefix: "src/", leavesOutHiddenFolders: true)
        case "node": Layout(prefix: "src/", leftOutFolders: [".git", "node_modules"])
        case "java":
            Layout(
                prefix: "src/",
                leftOutFolders: [".git", "target", "build", "out"],
                leftOutSuffix: ".class"
            )
        case "python":
            Layout(leftOutFolders: [".git", "__pycache__", ".venv", "venv"], leftOutSuffix: ".pyc")
        default: Layout(keepsPrograms: true)
        }
    }

    /// As Go writes it, with the keys in Fabric's order.
    private static func metadata(path: String, type: String, label: String) -> Data {
        let text: (String) -> String = { String(decoding: JSONValue.string($0).encoded, as: UTF8.self) }
        return Data(#"{"path":\#(text(path)),"type":\#(text(type)),"label":\#(text(label))}"#.utf8)
    }

    private struct File {
        var path: String
        var contents: Data
        var isProgram: Bool
    }

    private static func files(
        _ root: URL,
        _ metadataRoot: URL,
        _ layout: Layout
    ) throws(ContractError) -> [File] {
        let keys: [URLResourceKey] = [.isDirectoryKey, .isRegularFileKey, .isExecutableKey]
        func values(_ url: URL) throws(ContractError) -> URLResourceValues {
            do {
                return try url.resourceValues(forKeys: Set(keys))
            } catch {
                throw ContractError("can't read \(url.path): \(error.localizedDescription)")
            }
        }
        func file(_ url: URL, _ path: String) throws(ContractError) -> File {
            let isProgram = layout.keepsPrograms && FileManager.default.isExecutableFile(atPath: url.path)
            do {
                return File(path: path, contents: try Data(contentsOf: url), isProgram: isProgram)
            } catch {
                throw ContractError("can't read \(url.path): \(error.localizedDescription)")
            }
        }
        guard FileManager.default.fileExists(atPath: root.path) else {
            throw ContractError("path to chaincode does not exist: \(root.path)")
        }
        guard try values(root).isDirectory == true else {
            return [try file(root.resolvingSymlinksInPath(), root.lastPathComponent)]
        }
        var files: [File] = []
        func walk(_ folder: URL, _ below: String) throws(ContractError) {
            let names: [String]
            do {
                names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            } catch {
                throw ContractError("can't read \(folder.path): \(error.localizedDescription)")
            }
            for name in names {
                let url = folder.appendingPathComponent(name)
                let values = try values(url)
                if values.isDirectory == true {
                    let isHidden = layout.leavesOutHiddenFolders && name.hasPrefix(".")
                    guard !layout.leftOutFolders.contains(name), !isHidden else { continue }
                    try walk(url, below + name + "/")
                } else if layout.leftOutSuffix.map(name.hasSuffix) != true {
                    guard values.isRegularFile == true else {
                        throw ContractError(
                            "\(url.path) is a link or device; put the file itself there, or leave it out"
                        )
                    }
                    let metadata = self.metadataPath(url, metadataRoot)
                    if metadata != nil, name.hasPrefix(".") { continue }
                    let file = try file(url, metadata ?? layout.prefix + below + name)
                    if metadata != nil { try self.checkMetadata(file) }
                    files.append(file)
                }
            }
        }
        try walk(root, "")
        return files.sorted { $0.path < $1.path }
    }

    /// The path in the package of a file below `META-INF`, which stays at the top; `nil` for others.
    private static func metadataPath(_ file: URL, _ root: URL) -> String? {
        let folder = root.path + "/META-INF/"
        guard file.path.hasPrefix(folder) else { return nil }
        return "META-INF/" + file.path.dropFirst(folder.count)
    }

    /// - Source: Fabric v3.1, `internal/ccmetadata`.
    private static func checkMetadata(_ file: File) throws(ContractError) {
        guard
            file.path.wholeMatch(
                of: /META-INF\/statedb\/couchdb\/(collections\/[A-Za-z0-9_\-]+\/)?indexes\/.*\.json/
            ) != nil
        else {
            throw ContractError(
                """
                metadata file path or name is not supported: \(file.path); indexes belong into \
                META-INF/statedb/couchdb/indexes
                """
            )
        }
        guard let json = try? JSONSerialization.jsonObject(with: file.contents), json is [String: Any] else {
            throw ContractError("Index metadata file [\(file.path)] is not a valid JSON")
        }
    }
}

/// A Go module on disk, as far as packages need it.
private struct GoModule {
    let folder: URL
    let importPath: String

    /// Finds `go.mod` in `package` or above it.
    init(containing package: URL) throws(ContractError) {
        var folder = package
        while true {
            if let text = try? String(contentsOf: folder.appendingPathComponent("go.mod"), encoding: .utf8) {
                guard let name = Self.name(text) else {
                    throw ContractError("go.mod in \(folder.path) has no line `module NAME`")
                }
                self.folder = folder
                self.importPath = name + package.path.dropFirst(folder.path.count)
                return
            }
            guard folder.path != "/", !folder.path.isEmpty else { break }
            folder = folder.deletingLastPathComponent()
        }
        throw ContractError(
            """
            \(package.path) is no part of a Go module: there is no go.mod there or above it. Make one with \
            `go mod init NAME`; packages from GOPATH are not taken
            """
        )
    }

    private static func name(_ text: String) -> String? {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.first == "module", words.count > 1 {
                return words[1].trimmingCharacters(in: CharacterSet(charactersIn: "\"`"))
            }
        }
        return nil
    }
}
