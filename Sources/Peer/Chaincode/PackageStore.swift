internal import Archive
internal import Foundation
internal import Glibc
internal import Logging

/// The folder in which a peer keeps the packages that were installed: `<label>.<hash>.tar.gz`.
///
/// - Source: Fabric v3.1, `core/chaincode/persistence`, `Store`.
struct PackageStore: Sendable {
    private let folder: URL

    /// - Throws: ``LedgerFolderError`` if the folder can't be made.
    init(dataFolder: String) throws(LedgerFolderError) {
        self.folder = URL(fileURLWithPath: dataFolder).appendingPathComponent("lifecycle/chaincodes")
        do {
            try FileManager.default.createDirectory(at: self.folder, withIntermediateDirectories: true)
            try Self.synchronize(self.folder.deletingLastPathComponent())
            try Self.synchronize(URL(fileURLWithPath: dataFolder))
        } catch {
            throw LedgerFolderError(folder: self.folder.path, reason: "\(error)")
        }
    }

    /// The packages whose file is what its name says; others are named to `complain`.
    func packages(complain: (_ file: String, _ reason: String) -> Void) throws(LedgerFolderError)
        -> [ChaincodePackage]
    {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: self.folder.path)
        } catch {
            throw LedgerFolderError(folder: self.folder.path, reason: error.localizedDescription)
        }
        var packages: [ChaincodePackage] = []
        for name in names.sorted() where name.hasSuffix(".tar.gz") {
            do {
                let package = try ChaincodePackage(Data(contentsOf: self.folder.appendingPathComponent(name)))
                guard Self.fileName(package.id) == name else {
                    throw ContractError("it holds package \(package.id), so the file was changed or renamed")
                }
                packages.append(package)
            } catch {
                complain(name, "\(error)")
            }
        }
        return packages
    }

    /// Keeps a package; it is on disk when this returns.
    func save(_ bytes: Data, _ package: ChaincodePackage) throws {
        let name = Self.fileName(package.id)
        let temporary = self.folder.appendingPathComponent(".\(name).new")
        try bytes.write(to: temporary)
        let handle = try FileHandle(forWritingTo: temporary)
        try handle.synchronize()
        try handle.close()
        let file = self.folder.appendingPathComponent(name)
        guard Glibc.rename(temporary.path, file.path) == 0 else { throw Self.failure(file.path) }
        try Self.synchronize(self.folder)
    }

    /// Forgets a package; its file is gone from the disk when this returns, and it is no error if it wasn't there.
    func remove(_ identifier: String) throws(ContractError) {
        let file = self.folder.appendingPathComponent(Self.fileName(identifier))
        guard Glibc.unlink(file.path) == 0 || errno == ENOENT else {
            throw ContractError("can't remove \(file.path): \(String(cString: strerror(errno)))")
        }
        try Self.synchronize(self.folder)
    }

    /// The file of a package that was installed.
    func bytes(of identifier: String) throws -> Data {
        try Data(contentsOf: self.folder.appendingPathComponent(Self.fileName(identifier)))
    }

    /// Makes new names in a folder durable.
    private static func synchronize(_ folder: URL) throws(ContractError) {
        let descriptor = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.failure(folder.path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw self.failure(folder.path) }
    }

    private static func failure(_ path: String) -> ContractError {
        ContractError("can't write \(path): \(String(cString: strerror(errno)))")
    }

    /// Label and hash have no slash, so the name is one in the folder.
    private static func fileName(_ identifier: String) -> String {
        let parts = identifier.split(separator: ":", maxSplits: 1)
        return "\(parts.first ?? "").\(parts.last ?? "").tar.gz"
    }
}
