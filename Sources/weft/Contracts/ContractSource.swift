import Channel
import Foundation
import Peer

/// What a contract is packed from: a folder, a program, a finished package, or the address of a service.
struct ContractSource {
    /// The package's bytes.
    let package: Data
    let id: String

    /// Takes a finished package as it is, and packs anything else.
    ///
    /// - Parameters:
    ///   - path: A folder, a program, or a package (`.tar.gz`, `.tgz`).
    ///   - type: How the contract is built and run; `nil` to tell by its files.
    ///   - label: What a new package is called.
    /// - Throws: ``Failure`` or `ContractError` that says what can't be packed.
    init(path: String, type: String?, label: String) throws {
        let bytes: Data
        if path.hasSuffix(".tar.gz") || path.hasSuffix(".tgz") {
            bytes = try readArgument(path, as: "the package")
        } else {
            bytes = try ChaincodePackaging.package(
                path: path,
                type: type ?? Self.type(of: path),
                label: label
            )
        }
        self.package = bytes
        self.id = try ChaincodePackage(bytes).id
    }

    /// A contract that runs elsewhere, as a service: the package holds its address alone.
    init(address: String, label: String) throws {
        let packed = try ChaincodePackaging.package(serviceAt: address, label: label)
        self.package = packed
        self.id = try ChaincodePackage(packed).id
    }

    /// How a contract is built and run, by what is in its folder.
    static func type(of path: String) throws -> String {
        let files = FileManager.default
        var isFolder: ObjCBool = false
        guard files.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw Failure("there is no \(path)", code: .usage)
        }
        guard isFolder.boolValue else {
            if path.hasSuffix(".py") { return "python" }
            guard files.isExecutableFile(atPath: path) else {
                throw Failure("\(path) is no program: make it executable, or say --type", code: .usage)
            }
            return "executable"
        }
        let marks = [
            ("connection.json", "ccaas"), ("contract.json", "executable"), ("chaincode", "executable"),
            ("bin/chaincode", "executable"), ("go.mod", "golang"), ("package.json", "node"),
            ("pom.xml", "java"), ("build.gradle", "java"), ("requirements.txt", "python"),
        ]
        let names = (try? files.contentsOfDirectory(atPath: path)) ?? []
        // What contract.json describes may be Python, too.
        if names.contains(where: { $0.hasSuffix(".py") }) { return "python" }
        if let mark = marks.first(where: { files.fileExists(atPath: "\(path)/\($0.0)") }) { return mark.1 }
        guard !files.fileExists(atPath: "\(path)/Package.swift") else {
            throw Failure(
                "\(path) holds the source of a contract in Swift: build it (swift build), and name the program (.build/debug/…)",
                code: .usage
            )
        }
        throw Failure(
            "\(path) has none of \(marks.map(\.0).joined(separator: ", ")) and no Python file: say --type",
            code: .usage
        )
    }
}
