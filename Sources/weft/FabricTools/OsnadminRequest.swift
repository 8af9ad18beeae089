import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL

/// A request to an orderer's channel participation API.
struct OsnadminRequest {
    private let method: HTTPMethod
    private let path: String
    /// The only part of the form, if there is one.
    private let form: (part: String, file: String, content: Data)?

    private static let channels = "/participation/v1/channels"
    /// The largest answer that is read: a block, whose size the orderer limits.
    private static let maximumAnswerBytes = 128 << 20

    private init(
        _ method: HTTPMethod,
        _ path: String,
        form: (part: String, file: String, content: Data)? = nil
    ) {
        self.method = method
        self.path = path
        self.form = form
    }

    static func list(_ channel: String?) -> Self {
        Self(.GET, channel.map { "\(Self.channels)/\(Self.escaped($0))" } ?? Self.channels)
    }

    static func join(_ block: Data) -> Self {
        Self(.POST, Self.channels, form: ("config-block", "config.block", block))
    }

    static func update(_ envelope: Data) -> Self {
        Self(.PUT, Self.channels, form: ("config-update-envelope", "config-update.envelope", envelope))
    }

    static func remove(_ channel: String) -> Self {
        Self(.DELETE, "\(Self.channels)/\(Self.escaped(channel))")
    }

    static func fetch(_ block: String, channel: String) -> Self {
        Self(.GET, "\(Self.channels)/\(Self.escaped(channel))/blocks/\(Self.escaped(block))")
    }

    private static func escaped(_ word: String) -> String {
        word.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(["-", ".", "_"])) ?? word
    }

    /// Sends the request; without TLS in plaintext.
    func send(to address: String, tls: OsnadminTLS?) async throws -> OsnadminAnswer {
        let scheme = tls == nil ? "http" : "https"
        var request = HTTPClientRequest(url: "\(scheme)://\(address)\(self.path)")
        request.method = self.method
        if let form = self.form {
            let boundary = UUID().uuidString
            request.headers.add(name: "Content-Type", value: "multipart/form-data; boundary=\(boundary)")
            let head =
                "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(form.part)\"; filename=\"\(form.file)\"\r\n"
                + "Content-Type: application/octet-stream\r\n\r\n"
            request.body = .bytes(Data(head.utf8) + form.content + Data("\r\n--\(boundary)--\r\n".utf8))
        }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls?.configuration)
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let response = try await client.execute(request, timeout: .minutes(5))
            let body = try await response.body.collect(upTo: Self.maximumAnswerBytes)
            try await client.shutdown()
            return OsnadminAnswer(status: Int(response.status.code), body: Data(body.readableBytesView))
        } catch {
            try? await client.shutdown()
            let reason = Self.reason(error, address: address, isPlain: tls == nil)
            throw OsnadminFailure("\(self.method.rawValue) \"\(request.url)\": \(reason)")
        }
    }

    /// Why the orderer did not answer, for people.
    private static func reason(_ error: any Error, address: String, isPlain: Bool) -> String {
        // Under a host's name the failure is inside an error of NIOPosix, which this module doesn't import.
        let inner = Mirror(reflecting: error).descendant("connectionErrors", 0, "error")
        if let error = (error as? IOError) ?? (inner as? IOError) {
            return "no connection to \(address): \(String(cString: strerror(error.errnoCode)))"
        }
        guard error as? HTTPClientError == .remoteConnectionClosed else { return "\(error)" }
        let advice =
            isPlain
            ? ", probably because it speaks TLS: give --ca-file, --client-cert and --client-key" : ""
        return "the other end (\(address)) closed the connection\(advice)"
    }
}

/// Whom `osnadmin` trusts, and as whom it comes.
struct OsnadminTLS {
    let configuration: TLSConfiguration

    init(authorities: String, certificate: String, key: String) throws(OsnadminFailure) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        do {
            let roots = try NIOSSLCertificate.fromPEMBytes(Array(readBytes(authorities, as: "the CA file")))
            guard !roots.isEmpty else { throw OsnadminFailure("no certificate in \(authorities)") }
            configuration.trustRoots = .certificates(roots)
        } catch {
            throw OsnadminFailure("reading orderer CA certificate: \(error)")
        }
        let missing = [("--client-cert", certificate), ("--client-key", key)].filter(\.1.isEmpty).map(\.0)
        guard missing.isEmpty else {
            throw OsnadminFailure(
                "loading client cert/key pair: \(missing.joined(separator: " and ")) must be given beside --ca-file: "
                    + "the orderer's administration asks for an administrator's TLS certificate and its key"
            )
        }
        do {
            let chain = try NIOSSLCertificate.fromPEMBytes(
                Array(readBytes(certificate, as: "the client certificate (--client-cert)"))
            )
            let key = try NIOSSLPrivateKey(
                bytes: Array(readBytes(key, as: "the client key (--client-key)")),
                format: .pem
            )
            configuration.certificateChain = chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(key)
        } catch {
            throw OsnadminFailure("loading client cert/key pair: \(error)")
        }
        configuration.minimumTLSVersion = .tlsv12
        self.configuration = configuration
    }
}

/// What an orderer answered.
struct OsnadminAnswer {
    var status: Int
    var body: Data

    /// What `osnadmin` prints, without the end of its last line.
    ///
    /// - Parameters:
    ///   - withStatus: Whether to begin with the HTTP status.
    ///   - file: Where the body of a good answer goes in place of the terminal.
    /// - Returns: The text.
    /// - Throws: ``OsnadminFailure`` for an answer that is no JSON or a file that can't be written.
    func output(withStatus: Bool, file: String?) throws(OsnadminFailure) -> String {
        let head = withStatus ? "Status: \(self.status)\n" : ""
        guard !self.body.isEmpty else { return head }
        if let file, self.status == 200 {
            do {
                try self.body.write(to: URL(fileURLWithPath: file))
            } catch {
                throw OsnadminFailure("writing \(file): \(error.localizedDescription)")
            }
            return head
        }
        guard (try? JSONSerialization.jsonObject(with: self.body, options: .fragmentsAllowed)) != nil else {
            let text = String(decoding: self.body.prefix(200), as: UTF8.self)
            throw OsnadminFailure("the answer with status \(self.status) is no JSON: \(text)")
        }
        return head + indentedJSON(String(decoding: self.body, as: UTF8.self))
    }
}

/// Valid JSON spread over lines with a tab per level, all else left as it is; empty lists and objects stay on their line.
func indentedJSON(_ text: String) -> String {
    var result = ""
    var depth = 0
    var isInText = false
    var isEscaped = false
    var opens: Unicode.Scalar?
    func newLine() -> String { "\n" + String(repeating: "\t", count: depth) }
    let end = text.unicodeScalars.reversed().prefix { $0.properties.isWhitespace }.count
    let scalars = text.unicodeScalars.dropLast(end)
    for scalar in scalars {
        if isInText {
            result.unicodeScalars.append(scalar)
            isInText = isEscaped || scalar != "\""
            isEscaped = !isEscaped && scalar == "\\"
            continue
        }
        if scalar.properties.isWhitespace { continue }
        if opens != nil, scalar != "}", scalar != "]" { result += newLine() }
        let follows = opens
        opens = nil
        switch scalar {
        case "{", "[":
            result.unicodeScalars.append(scalar)
            depth += 1
            opens = scalar
        case "}", "]":
            depth = max(0, depth - 1)
            if follows == nil { result += newLine() }
            result.unicodeScalars.append(scalar)
        case ",": result += "," + newLine()
        case ":": result += ": "
        default:
            isInText = scalar == "\""
            result.unicodeScalars.append(scalar)
        }
    }
    return result + String(String.UnicodeScalarView(text.unicodeScalars.suffix(end)))
}
