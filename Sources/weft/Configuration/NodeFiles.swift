import CertificateAuthority
import Channel
import Cryptography
import Foundation
import Glibc
import RPC

/// Which files hold the identity that a node signs with.
///
/// ```yaml
/// identity:
///   mspID: UtilityMSP
///   folder: organizations/utility/peers/utility/msp
///   bccsp:                                       # only if the key is in a hardware token
///     Default: PKCS11
///     PKCS11: { Library: /usr/lib/softhsm/libsofthsm2.so, Label: utility, Pin: "1234", Hash: SHA2, Security: 256 }
/// ```
struct IdentityFiles: Equatable {
    var mspID: String
    /// An MSP folder in Fabric's layout, with `signcerts` and, unless ``provider`` says otherwise, `keystore`.
    var folder: String
    /// Where the private key is.
    var provider = ProviderSettings()

    init(mspID: String, folder: String, provider: ProviderSettings = ProviderSettings()) {
        self.mspID = mspID
        self.folder = folder
        self.provider = provider
    }

    init(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: ["mspID", "folder", "bccsp"])
        self.mspID = try section.value("mspID", expected: "an MSP identifier, such as Org1MSP") {
            $0.isEmpty ? nil : $0
        }
        self.folder = try section.value("folder", expected: "an MSP folder") {
            $0.isEmpty ? nil : configuredPath($0, from: section.file)
        }
        if let provider = try section.optionalSection("bccsp") {
            self.provider = try ProviderSettings(provider)
        }
    }
}

/// A certificate and its key, in PEM files.
struct CertificateFiles: Equatable {
    var certificate: String
    var key: String
}

/// Which files hold the TLS identity of a node, and whom it lets in.
///
/// ```yaml
/// tls:
///   certificate: tls/server.crt
///   key: tls/server.key
///   roots: [tls/ca.crt]          # what other nodes' certificates must lead to
///   clients: required            # or requested, or none
/// ```
struct TLSFiles: Equatable {
    var certificate: String
    var key: String
    var roots: [String]
    var clients: ClientCertificatePolicy
    /// The certificate and the key to show other nodes, where they are others than those shown to clients.
    var towardsNodes: CertificateFiles?

    init(certificate: String, key: String, roots: [String], clients: ClientCertificatePolicy) {
        self.certificate = certificate
        self.key = key
        self.roots = roots
        self.clients = clients
    }

    init(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: ["certificate", "key", "roots", "clients"])
        self.certificate = try section.value("certificate", expected: "a PEM file") {
            $0.isEmpty ? nil : configuredPath($0, from: section.file)
        }
        self.key = try section.value("key", expected: "a PEM file") {
            $0.isEmpty ? nil : configuredPath($0, from: section.file)
        }
        self.roots = try section.texts("roots").map { configuredPath($0, from: section.file) }
        self.clients =
            try section.optionalValue("clients", expected: "required, requested or none") {
                ["required": .required, "requested": .requested, "none": ClientCertificatePolicy.none][$0]
            } ?? .required
        guard self.clients == .none || !self.roots.isEmpty else {
            throw section.error(
                "roots",
                "missing; clients must present a certificate, so name the files of the roots that they lead to"
            )
        }
    }

    /// The identity to show other nodes.
    func client() throws -> TLSIdentity {
        guard let towardsNodes else { return try self.load().identity }
        return TLSIdentity(
            certificateChainPEM: try readText(towardsNodes.certificate, as: "the TLS client certificate"),
            privateKeyPEM: try readText(towardsNodes.key, as: "the TLS client private key")
        )
    }

    /// Reads the files.
    func load() throws -> (identity: TLSIdentity, rootsPEM: String) {
        let identity = TLSIdentity(
            certificateChainPEM: try readText(self.certificate, as: "the TLS certificate"),
            privateKeyPEM: try readText(self.key, as: "the TLS private key")
        )
        let roots = try self.roots.map { try readText($0, as: "a TLS root certificate") }
        return (identity, roots.joined(separator: "\n"))
    }
}

/// Checks that a text is `host:port`.
func configuredAddress(_ text: String) -> String? {
    guard let colon = text.lastIndex(of: ":"), colon != text.startIndex else { return nil }
    guard let port = Int(text[text.index(after: colon)...]), (0...65535).contains(port) else { return nil }
    return text
}

/// Reads a file whose absence must be explained.
///
/// - Parameters:
///   - path: The file.
///   - what: What it should hold.
///   - code: The exit code that says that it can't be read: a configuration file names it, unless told otherwise.
/// - Returns: What it holds.
/// - Throws: ``Failure`` when it can't be read.
func readBytes(_ path: String, as what: String, code: Failure.Code = .configuration) throws(Failure) -> Data {
    do {
        return try content(ofFile: path)
    } catch {
        let reason =
            FileManager.default.fileExists(atPath: path)
            ? "it can't be read; check its permissions" : "there is no such file"
        throw Failure("\(what) should be in \(path), but \(reason)", code: code)
    }
}

/// Reads a file that an argument of the command names: one that can't be read is a wrong argument.
func readArgument(_ path: String, as what: String) throws(Failure) -> Data {
    try readBytes(path, as: what, code: .usage)
}

/// The content of a file, or what comes out of a pipe such as `/dev/stdin` and the shell's `<(…)`.
func content(ofFile path: String) throws -> Data {
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    defer { try? file.close() }
    return try file.readToEnd() ?? Data()
}

/// Writes a file, whole or not at all; into a pipe or a device, such as `/dev/stdout`, as far as it takes it.
func writeNew(_ bytes: Data, to path: String) throws(Failure) {
    do {
        var status = stat()
        let isPlain = stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
        let url = URL(fileURLWithPath: path)
        if isPlain, !path.hasPrefix("/dev/") {
            return try bytes.write(to: url.resolvingSymlinksInPath(), options: .atomic)
        }
        let file = try FileHandle(forWritingTo: url)
        try file.write(contentsOf: bytes)
        try file.close()
    } catch {
        throw Failure(
            "can't write \(path): \(error); is the folder there, and is the disk full or read-only?"
        )
    }
}

func readText(_ path: String, as what: String) throws(Failure) -> String {
    String(decoding: try readBytes(path, as: what), as: UTF8.self)
}
