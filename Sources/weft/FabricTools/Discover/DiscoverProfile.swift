import Cryptography
import FabricProtos
import Foundation
import GRPCCore
import WeftClient

/// Who asks discovery and whom it trusts: files, as `discover saveConfig` keeps them.
///
/// - Source: Fabric v3.1, the file that `discover saveConfig` writes.
struct DiscoverProfile: Equatable {
    var mspID = ""
    var identity = ""
    var key = ""
    var tlsCertificate = ""
    var tlsKey = ""
    var tlsRoots = ""

    /// How long connecting, and the answer, may take.
    private static let timeout = Duration.seconds(10)

    init(_ options: DiscoverOptions) {
        self.mspID = options.mspID
        self.identity = Self.absolute(options.userCert)
        self.key = Self.absolute(options.userKey)
        self.tlsCertificate = Self.absolute(options.tlsCert)
        self.tlsKey = Self.absolute(options.tlsKey)
        self.tlsRoots = Self.absolute(options.peerTLSCA)
    }

    /// Reads a file that `discover saveConfig` has written.
    ///
    /// - Throws: ``Failure`` or ``ConfigurationError``.
    init(file: String) throws {
        let bytes = try GoText.file(file)
        let root = try ConfigurationSection(yaml: String(decoding: bytes, as: UTF8.self), file: file)
        func text(_ section: String, _ key: String) throws -> String {
            try root.optionalSection(section)?.optionalValue(key, expected: "text") { $0 } ?? ""
        }
        self.mspID = try text("signerconfig", "mspid")
        self.identity = try text("signerconfig", "identitypath")
        self.key = try text("signerconfig", "keypath")
        self.tlsCertificate = try text("tlsconfig", "certpath")
        self.tlsKey = try text("tlsconfig", "keypath")
        self.tlsRoots = try text("tlsconfig", "peercacertpath")
        try self.check()
    }

    /// Writes the file.
    ///
    /// - Throws: ``Failure`` if something is missing, or the file can't be written.
    func save(to file: String) throws(Failure) {
        do {
            try self.check()
        } catch {
            throw Failure("config isn't valid: \(error)")
        }
        let text = """
            version: 0
            tlsconfig:
                certpath: \(Self.yaml(self.tlsCertificate))
                keypath: \(Self.yaml(self.tlsKey))
                peercacertpath: \(Self.yaml(self.tlsRoots))
                timeout: 0s
            signerconfig:
                mspid: \(Self.yaml(self.mspID))
                identitypath: \(Self.yaml(self.identity))
                keypath: \(Self.yaml(self.key))

            """
        let isWritten = FileManager.default.createFile(
            atPath: file,
            contents: Data(text.utf8),
            attributes: [.posixPermissions: 0o600]
        )
        guard isWritten else {
            throw Failure("failed writing file \(file): is its folder there, and may you write to it?")
        }
    }

    private func check() throws(Failure) {
        for (name, value) in [("MSPID", self.mspID), ("IdentityPath", self.identity), ("KeyPath", self.key)]
        where value.isEmpty {
            throw Failure("\(name) is mandatory and cannot be empty")
        }
    }

    private static func absolute(_ path: String) -> String {
        path.isEmpty ? "" : URL(fileURLWithPath: path).standardizedFileURL.path
    }

    private static func yaml(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.wholeMatch(of: /[A-Za-z\/][A-Za-z0-9\/._@+-]*/) != nil
        return isPlain ? text : JSONValue.string(text).text
    }

    // MARK: Asking

    /// Asks one question.
    ///
    /// - Throws: ``Failure``, `ClientError` or `RPCError`.
    func ask(_ server: String, _ query: Discovery_Query) async throws -> Discovery_QueryResult {
        let identity = try ClientIdentity(
            mspID: self.mspID,
            certificate: GoText.file(self.identity),
            privateKey: GoText.file(self.key)
        )
        do {
            let results = try await withConnection(to: Endpoint(server), security: self.security()) {
                try await $0.discover([query], as: identity, timeout: Self.timeout)
            }
            guard let result = results.first else { throw Failure("empty results") }
            return result
        } catch let error as RPCError {
            guard error.code == .unavailable || error.code == .deadlineExceeded else {
                throw Failure(GoText.text(error))
            }
            throw Failure(
                "failed connecting to \(server): failed connecting to discovery service: \(error.message)"
            )
        }
    }

    /// TLS where roots are given, with a certificate made for the moment where none is: peers of Fabric may ask
    /// for one that requests can be bound to, without caring who issued it.
    private func security() throws -> ConnectionSecurity {
        guard !self.tlsRoots.isEmpty else { return .plaintext }
        let roots = try GoText.file(self.tlsRoots)
        guard self.tlsKey.isEmpty, self.tlsCertificate.isEmpty else {
            return try ConnectionSecurity(
                roots: roots,
                clientCertificate: GoText.file(self.tlsCertificate),
                clientKey: GoText.file(self.tlsKey)
            )
        }
        let key = try PrivateKey.generate(.p256)
        var template = CertificateTemplate(
            subject: try DistinguishedName([.commonName("discover")]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date().addingTimeInterval(-3_600),
            notAfter: Date().addingTimeInterval(86_400),
            keyUsage: [.digitalSignature, .keyEncipherment]
        )
        template.extendedKeyUsages = [.clientAuthentication]
        return try ConnectionSecurity(
            roots: roots,
            clientCertificate: template.selfSigned(with: key).pem,
            clientKey: key.pem()
        )
    }
}
