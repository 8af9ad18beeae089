import AsyncHTTPClient
import CertificateAuthority
import Cryptography
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import RPC
import TestSupport
import Testing

/// A method of a request.
enum RequestMethod: String, Sendable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
}

/// TLS certificates of clients: a good one, and those that a node must turn away.
struct ClientCertificates: Sendable {
    /// Somebody at the door.
    struct Client: Sendable {
        var name: String
        var certificate: Certificate?
        var key: NIOSSLPrivateKey?
    }

    private let authority: Certificate
    private let authorityKey: PrivateKey
    private let enrollmentAuthority: Certificate
    private let enrollmentKey: PrivateKey
    private let node: TLSIdentity
    private let key: PrivateKey
    let honest: Client

    init(_ organization: OrganizationAuthority) throws {
        func read(_ path: String) throws -> Data {
            try Data(contentsOf: URL(fileURLWithPath: "\(organization.path)/\(path)"))
        }
        func certificate(in folder: String) throws -> Certificate {
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(organization.path)/\(folder)")
            let name = try #require(names.first { $0.hasSuffix("-cert.pem") })
            return try Certificate(pem: read("\(folder)/\(name)"))
        }
        self.authority = try certificate(in: "tlsca")
        self.authorityKey = try PrivateKey(pem: read("tlsca/priv_sk"))
        self.enrollmentAuthority = try certificate(in: "ca")
        self.enrollmentKey = try PrivateKey(pem: read("ca/priv_sk"))
        let issued = try organization.issue(
            IssueRequest(name: "admin0", role: .orderer, hosts: ["localhost"]),
            now: Date()
        )
        let tls = "\(issued.path)/tls"
        self.node = TLSIdentity(
            certificateChainPEM: try String(contentsOfFile: "\(tls)/server.crt", encoding: .utf8),
            privateKeyPEM: try String(contentsOfFile: "\(tls)/server.key", encoding: .utf8)
        )
        self.key = try PrivateKey.generate(.p256)
        self.honest = Client(
            name: "honest",
            certificate: try Self.template().issued(
                for: self.key.publicKey,
                by: self.authority,
                with: self.authorityKey
            ),
            key: try Self.key(self.key)
        )
    }

    func server(clients: ClientCertificatePolicy) -> ServerTLS {
        ServerTLS(
            identity: self.node,
            clientRootsPEM: String(decoding: self.authority.pem, as: UTF8.self),
            clientCertificates: clients
        )
    }

    func strangers() throws -> [Client] {
        func issued(_ name: String, _ change: (inout CertificateTemplate) -> Void) throws -> Client {
            var template = try Self.template()
            change(&template)
            let certificate = try template.issued(
                for: self.key.publicKey,
                by: self.authority,
                with: self.authorityKey
            )
            return Client(name: name, certificate: certificate, key: try Self.key(self.key))
        }
        func by(_ name: String, _ authority: Certificate, _ key: PrivateKey) throws -> Client {
            let certificate = try Self.template().issued(for: self.key.publicKey, by: authority, with: key)
            return Client(name: name, certificate: certificate, key: try Self.key(self.key))
        }
        var root = try Self.template()
        root.isCA = true
        root.keyUsage = [.certificateSigning]
        root.extendedKeyUsages = []
        let foreignKey = try PrivateKey.generate(.p256)
        var namesake = root
        namesake.subject = self.authority.subject
        return [
            try issued("expired") {
                $0.notBefore = Date(timeIntervalSinceNow: -200)
                $0.notAfter = Date(timeIntervalSinceNow: -100)
            },
            try issued("not yet valid") { $0.notBefore = Date(timeIntervalSinceNow: 3_600) },
            try issued("for servers only") { $0.extendedKeyUsages = [.serverAuthentication] },
            try by("of a foreign authority", root.selfSigned(with: foreignKey), foreignKey),
            try by("of an authority of that name", namesake.selfSigned(with: foreignKey), foreignKey),
            try by("enrolled, but not for TLS", self.enrollmentAuthority, self.enrollmentKey),
            Client(
                name: "self-signed",
                certificate: try Self.template().selfSigned(with: self.key),
                key: try Self.key(self.key)
            ),
            Client(
                name: "wrongly keyed",
                certificate: self.honest.certificate,
                key: NIOSSLPrivateKey(customPrivateKey: WrongKey(key: try PrivateKey.generate(.p256)))
            ),
        ]
    }

    /// TLS of a client that trusts the node.
    func configuration(of client: Client) throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(Array(self.authority.pem))
        )
        if let certificate = client.certificate, let key = client.key {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.pem))
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(key)
        }
        return configuration
    }

    private static func key(_ key: PrivateKey) throws -> NIOSSLPrivateKey {
        try NIOSSLPrivateKey(bytes: Array(key.pem()), format: .pem)
    }

    private static func template() throws -> CertificateTemplate {
        var template = CertificateTemplate(
            subject: try DistinguishedName([.commonName("mallory")]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date(timeIntervalSinceNow: -60),
            notAfter: Date(timeIntervalSinceNow: 86_400),
            keyUsage: .digitalSignature
        )
        template.extendedKeyUsages = [.clientAuthentication]
        return template
    }
}

/// Signs for a certificate with a key that isn't its own.
private struct WrongKey: NIOSSLCustomPrivateKey, Hashable {
    private let name = UUID()
    private let key: PrivateKey

    init(key: PrivateKey) { self.key = key }

    static func == (left: Self, right: Self) -> Bool { left.name == right.name }

    func hash(into hasher: inout Hasher) { hasher.combine(self.name) }

    var signatureAlgorithms: [NIOSSL.SignatureAlgorithm] { [.ecdsaSecp256R1Sha256] }

    func sign(
        channel: any Channel,
        algorithm: NIOSSL.SignatureAlgorithm,
        data: ByteBuffer
    ) -> EventLoopFuture<ByteBuffer> {
        channel.eventLoop.makeCompletedFuture {
            ByteBuffer(bytes: try self.key.sign(Data(data.readableBytesView)))
        }
    }

    func decrypt(channel: any Channel, data: ByteBuffer) -> EventLoopFuture<ByteBuffer> {
        channel.eventLoop.makeFailedFuture(CryptographyError(code: .signing, message: "no RSA here"))
    }
}

/// An HTTPS server of a node.
struct Door: Sendable {
    var port: Int
    var cast: ClientCertificates
    var log: RecordedLog

    /// The status that somebody gets.
    ///
    /// - Throws: what TLS refused.
    func knock(_ client: ClientCertificates.Client, _ method: RequestMethod, _ path: String) async throws
        -> Int
    {
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: try self.cast.configuration(of: client)
        )
        configuration.connectionPool.retryConnectionEstablishment = false
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        var request = HTTPClientRequest(url: "https://localhost:\(self.port)\(path)")
        request.method = .RAW(value: method.rawValue)
        if method == .put { request.body = .bytes(ByteBuffer(string: #"{"spec":"debug"}"#)) }
        do {
            let status = try await http.execute(request, timeout: .seconds(20)).status.code
            try await http.shutdown()
            return Int(status)
        } catch {
            try await http.shutdown()
            throw error
        }
    }

    /// TLS turns somebody away, and the log says why.
    func refuses(_ client: ClientCertificates.Client, _ method: RequestMethod, _ path: String) async throws {
        let before = self.log.lines.count
        await #expect(throws: (any Error).self, "\(client.name): \(method) \(path)") {
            try await self.knock(client, method, path)
        }
        // The client may learn of it before the server has said it.
        for _ in 0..<500 where !self.isNoted(since: before) { try await Task.sleep(for: .milliseconds(10)) }
        #expect(self.isNoted(since: before), "\(client.name): \(method) \(path): \(self.log.text)")
    }

    private func isNoted(since line: Int) -> Bool {
        self.log.lines.dropFirst(line).contains { $0.contains("TLS handshake failed") }
    }
}
