internal import Archive
internal import Channel
internal import Cryptography
package import Foundation

/// A package of a contract, as `peer lifecycle chaincode package` makes it: `metadata.json` and `code.tar.gz`.
///
/// - Source: Fabric v3.1, `core/chaincode/persistence/chaincode_package.go`.
package struct ChaincodePackage: Sendable {
    /// What the contents may unpack to, so that a small file doesn't fill the memory.
    package static let largestContents = 256 << 20

    /// What identifies the package: label, colon, and the SHA-256 of the file in hexadecimal.
    package let id: String
    package let label: String
    /// What kind of contract it is, such as `ccaas`.
    package let type: String
    /// `metadata.json`, as it is in the package.
    let metadata: Data
    private let code: Data

    private struct Metadata: Decodable {
        var type: String?
        var label: String?
    }

    /// Reads a package; the code is unpacked when it is needed.
    ///
    /// - Throws: ``ContractError`` that says what is wrong with the package.
    package init(_ bytes: Data) throws(ContractError) {
        var files: [String: Data] = [:]
        for entry in try Self.entries(bytes, "the package") {
            guard entry.kind == .file else {
                throw ContractError("the package holds \(entry.path.prefix(200)), which is no regular file")
            }
            guard files.updateValue(entry.contents, forKey: entry.name) == nil else {
                throw ContractError("the package holds \(entry.path.prefix(200)) twice")
            }
        }
        guard let json = files["metadata.json"] else {
            throw ContractError(
                "the package has no metadata.json; make it with peer lifecycle chaincode package"
            )
        }
        guard let code = files["code.tar.gz"] else { throw ContractError("the package has no code.tar.gz") }
        let metadata: Metadata
        do {
            metadata = try JSONDecoder().decode(Metadata.self, from: json)
        } catch {
            throw ContractError(
                "metadata.json of the package is not the JSON object that it should be: \(error)"
            )
        }
        let label = metadata.label ?? ""
        try Self.checkLabel(label)
        self.label = label
        self.type = metadata.type ?? ""
        self.metadata = json
        self.id = "\(label):\(Digest.sha256(bytes).hexadecimal)"
        self.code = code
    }

    static func checkLabel(_ label: String) throws(ContractError) {
        guard label.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9_.+\-]*/) != nil, label.utf8.count <= 200 else {
            throw ContractError(
                """
                invalid label '\(label.prefix(200))': it must begin with a letter or digit and go on with letters, \
                digits and the characters _ . + -
                """
            )
        }
    }

    /// The file `name` of the code.
    ///
    /// - Throws: ``ContractError`` if it isn't there, or the code holds anything but plain files below its folder.
    package func codeFile(_ name: String) throws(ContractError) -> Data {
        var found: Data?
        for entry in try Self.entries(self.code, "code.tar.gz of the package") {
            if entry.kind == .file, entry.name == name { found = entry.contents }
        }
        guard let found else { throw ContractError("code.tar.gz of the package has no \(name)") }
        return found
    }

    /// All files and folders of the code.
    ///
    /// - Throws: ``ContractError`` as ``codeFile(_:)`` does.
    func codeEntries() throws(ContractError) -> [Tar.Entry] {
        try Self.entries(self.code, "code.tar.gz of the package")
    }

    private static func entries(_ bytes: Data, _ what: String) throws(ContractError) -> [Tar.Entry] {
        let entries: [Tar.Entry]
        do {
            entries = try Tar.entries(of: Gzip.unpack(bytes, limit: Self.largestContents))
        } catch {
            throw ContractError("\(what) can't be read: \(error)")
        }
        for entry in entries {
            guard entry.isConfined else {
                throw ContractError(
                    "\(what) holds \"\(entry.path.prefix(200))\", a name that leads out of its folder"
                )
            }
            if case .other(let type) = entry.kind {
                throw ContractError(
                    "\(what) holds \(entry.path.prefix(200)), a link or device (type \(type))"
                )
            }
        }
        return entries
    }
}
