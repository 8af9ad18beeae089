internal import Foundation

/// The file `contract.json` in a package's code: which program the peer runs, and how.
///
/// All keys may be left out.
/// ```json
/// {"program": "bin/trade", "arguments": ["-v"], "connection": "client"}
/// ```
struct ProgramDescription: Decodable, Sendable {
    var program: String?
    var arguments: [String]?
    /// `server`, `socket` or `client`: see ``LaunchPlan/Connection``.
    var connection: String?

    static let fileName = "contract.json"

    /// Reads the description in `source`; one that says nothing, if there is none.
    init(in source: URL) throws(ContractError) {
        let file = source.appendingPathComponent(Self.fileName)
        guard let json = FileManager.default.contents(atPath: file.path) else { return }
        do {
            self = try JSONDecoder().decode(Self.self, from: json)
        } catch {
            throw ContractError(
                "\(Self.fileName) of the package is not the JSON object that it should be: \(error)"
            )
        }
    }

    /// The program's path below `source`: the one that is named, else the first of `usual` that is there, else the only
    /// file.
    func program(in source: URL, usual: [String], suffix: String) throws(ContractError) -> String {
        if let program {
            guard !program.hasPrefix("/"), !program.split(separator: "/").contains("..") else {
                throw ContractError("\(Self.fileName): program \"\(program)\" leads out of the package")
            }
            guard Self.isFile(program, source) else {
                throw ContractError("\(Self.fileName): the package has no file \"\(program)\"")
            }
            return program
        }
        if let found = usual.first(where: { Self.isFile($0, source) }) { return found }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: source.path)) ?? []
        let files = names.filter {
            $0.hasSuffix(suffix) && $0 != Self.fileName && Self.isFile($0, source)
        }
        if files.count == 1, let file = files.first { return file }
        throw ContractError(
            """
            the package doesn't say which of its files is the program: call it \(usual.joined(separator: " or ")), or \
            add \(Self.fileName) with {"program": "PATH"}
            """
        )
    }

    func connection(else usual: LaunchPlan.Connection) throws(ContractError) -> LaunchPlan.Connection {
        guard let connection else { return usual }
        switch LaunchPlan.Connection(rawValue: connection) {
        case .server, .socket, .client: return LaunchPlan.Connection(rawValue: connection) ?? usual
        case .external, nil:
            throw ContractError(
                "\(Self.fileName): connection is \"\(connection.prefix(100))\", but must be server, socket or client"
            )
        }
    }

    private static func isFile(_ path: String, _ source: URL) -> Bool {
        var isFolder: ObjCBool = false
        let path = source.appendingPathComponent(path).path
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
    }
}
