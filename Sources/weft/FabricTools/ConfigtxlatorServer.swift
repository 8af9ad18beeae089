import Channel
import FabricProtos
import Foundation
import Operations
import SwiftProtobuf
import Translation

/// What `configtxlator start` serves: the conversions of the program over HTTP.
///
/// | path | body | answer |
/// |---|---|---|
/// | `POST /protolator/encode/{type}` | JSON | the message |
/// | `POST /protolator/decode/{type}` | a message | JSON |
/// | `POST /configtxlator/compute/update-from-configs` | a form: files `original` and `updated`, value `channel` | `common.ConfigUpdate` |
///
/// - Source: Fabric v3.1, package `internal/configtxlator/rest`.
struct ConfigtxlatorServer: Sendable {
    /// The longest body, in bytes: two messages of the largest size that Fabric's nodes take.
    static let maximumBodyBytes = 200 << 20

    private static let encode = "/protolator/encode/"
    private static let decode = "/protolator/decode/"
    private static let compute = "/configtxlator/compute/update-from-configs"

    private let translation: FabricJSON
    private let access: CrossOriginAccess

    /// - Parameter access: Which other sites' pages may use it.
    /// - Throws: `TranslationError` if the descriptors of the messages are damaged.
    init(access: CrossOriginAccess) throws(TranslationError) {
        self.translation = try FabricJSON()
        self.access = access
    }

    /// Every path, since browsers ask about access before anything else.
    var routes: [HTTPRoute] {
        [
            HTTPRoute("/", requiresClientCertificate: false, bodyLimit: Self.maximumBodyBytes) { request in
                self.access.answer(request) { self.answer($0) }
            }
        ]
    }

    private func answer(_ request: HTTPExchangeRequest) -> HTTPExchangeResponse {
        let path = request.path
        let isCompute = path == Self.compute || path == Self.compute + "/"
        let prefix = [Self.encode, Self.decode].first { path.hasPrefix($0) }
        var type = prefix.map { path.dropFirst($0.count) } ?? ""
        if type.hasSuffix("/") { type.removeLast() }
        guard isCompute || (!type.isEmpty && !type.contains("/")) else {
            return .text(404, "404 page not found\n")
        }
        guard request.method == "POST" else { return HTTPExchangeResponse(status: 405) }
        if path.hasSuffix("/") {
            return HTTPExchangeResponse(status: 301, fields: [("Location", String(path.dropLast()))])
        }
        if isCompute { return self.update(request) }
        let name = type.removingPercentEncoding ?? String(type)
        guard self.translation.hasMessage(name) else {
            return .text(
                404,
                "message type not found: there is no \(name); a type is named like common.Config\n"
            )
        }
        do {
            return prefix == Self.encode
                ? .bytes(
                    try self.translation.bytes(of: JSONTree(document: request.body), type: name),
                    "application/octet-stream"
                )
                : .bytes(
                    try self.translation.json(of: request.body, type: name).document,
                    "application/json"
                )
        } catch {
            return .text(400, "\(error)\n")
        }
    }

    private func update(_ request: HTTPExchangeRequest) -> HTTPExchangeResponse {
        do {
            let form = try Form(request)
            return .bytes(
                try ConfigtxlatorUpdate.between(
                    try form.configuration("original"),
                    try form.configuration("updated"),
                    channelID: form.value("channel")
                ),
                "application/octet-stream"
            )
        } catch let error as Form.Refusal {
            return .text(400, "\(error)\n")
        } catch {
            return .text(400, "Error computing update: \(error)\n")
        }
    }
}

/// The form of a request for an update.
private struct Form {
    /// Why a field can't be used, in the words of Fabric's server.
    struct Refusal: Error, CustomStringConvertible {
        let description: String

        init(_ field: String, _ reason: String) {
            self.description = "Error with field '\(field)': \(reason)"
        }
    }

    private let query: [URLQueryItem]
    private let parts: [MultipartForm.Part]

    init(_ request: HTTPExchangeRequest) throws(Refusal) {
        let type = request.fields["Content-Type"] ?? ""
        guard HeaderValue(type).value == "multipart/form-data" else {
            throw Refusal(
                "original",
                "error reading field bytes: request Content-Type isn't multipart/form-data"
            )
        }
        do {
            self.parts = try MultipartForm(request.body, contentType: type).parts
        } catch {
            throw Refusal("original", "error reading field bytes: \(error)")
        }
        var components = URLComponents()
        components.percentEncodedQuery = request.query
        self.query = components.queryItems ?? []
    }

    /// A value, or the same of the address's query; empty if there is none.
    func value(_ name: String) -> String {
        if let part = self.parts.first(where: { $0.name == name && $0.fileName == nil }) {
            return String(decoding: part.content, as: UTF8.self)
        }
        return self.query.first { $0.name == name }?.value ?? ""
    }

    func configuration(_ name: String) throws(Refusal) -> Common_Config {
        guard let file = self.parts.first(where: { $0.name == name && $0.fileName != nil }) else {
            throw Refusal(name, "error reading field bytes: http: no such file")
        }
        do {
            return try Common_Config(serializedBytes: file.content)
        } catch {
            throw Refusal(name, "error unmarshalling field bytes: \(error)")
        }
    }
}

extension HTTPExchangeResponse {
    fileprivate static func bytes(_ bytes: Data, _ type: String) -> Self {
        Self(status: 200, fields: [("Content-Type", type)], body: bytes)
    }
}
