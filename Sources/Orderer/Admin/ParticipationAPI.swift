internal import Channel
internal import FabricProtos
internal import Foundation
package import Logging
package import Operations
internal import SwiftProtobuf

/// The channel participation API: HTTP requests about a node's channels, and their answers.
///
/// Pure but for the registrar: a server hands requests in and writes the answers out.
///
/// | path | methods |
/// |---|---|
/// | `/participation/v1/channels` | GET lists, POST joins, PUT updates |
/// | `/participation/v1/channels/{channel}` | GET tells, DELETE removes |
/// | `/participation/v1/channels/{channel}/blocks/{block}` | GET fetches |
///
/// Source: Fabric v3.1, documentation and package `orderer/common/channelparticipation`.
package struct ParticipationAPI: Sendable {
    /// The path under which the whole API is.
    package static let root = "/participation/v1/"
    static let collection = "/participation/v1/channels"

    /// The largest body of a request by default, in bytes.
    package static let defaultMaximumBodyBytes = 1 << 20

    private let registrar: ChannelRegistrar
    private let isEnabled: Bool
    private let logger: Logger

    /// Where it isn't enabled, every request is answered with 503.
    package init(registrar: ChannelRegistrar, isEnabled: Bool, logger: Logger) {
        self.registrar = registrar
        self.isEnabled = isEnabled
        self.logger = logger
    }

    /// The API as a route of an HTTP server; bodies longer than the limit are answered with 400, unread.
    package func route(maximumBodyBytes: Int = defaultMaximumBodyBytes) -> HTTPRoute {
        HTTPRoute(
            Self.root,
            requiresClientCertificate: true,
            bodyLimit: maximumBodyBytes,
            tooLong: .error(
                400,
                "cannot read form from request body: request body too large: it is longer than "
                    + "\(maximumBodyBytes) bytes, which the node's key maxRequestBodySize limits it to"
            ),
            answer: { await self.answer($0) }
        )
    }

    /// Answers a request.
    package func answer(_ request: HTTPExchangeRequest) async -> HTTPExchangeResponse {
        let response = await self.route(request)
        let level: Logger.Level = request.method == "GET" ? .debug : .info
        self.logger.log(
            level: level,
            "channel participation request",
            metadata: [
                "method": "\(request.method)", "path": "\(request.path.prefix(300))",
                "status": "\(response.status)",
            ]
        )
        return response
    }

    // MARK: - Routes

    private func route(_ request: HTTPExchangeRequest) async -> HTTPExchangeResponse {
        guard self.isEnabled else { return .error(503, "channel participation API is disabled") }
        if request.path == Self.root { return Self.redirect(request) }
        let isBelow = request.path.hasPrefix(Self.collection + "/")
        guard isBelow || request.path == Self.collection else { return .notFound }
        let path = request.path.dropFirst(Self.collection.count)
        // The first is what stands before the first slash: nothing.
        let words = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
            String($0).removingPercentEncoding ?? String($0)
        }
        switch words.count {
        case 0: return await self.channels(request)
        case 1 where !words[0].isEmpty: return await self.channel(words[0], request)
        case 3 where words[1] == "blocks" && !words[0].isEmpty && !words[2].isEmpty:
            return await self.block(words[2], of: words[0], request)
        default: return .notFound
        }
    }

    private static func redirect(_ request: HTTPExchangeRequest) -> HTTPExchangeResponse {
        guard request.method == "GET" else { return HTTPExchangeResponse(status: 405) }
        return HTTPExchangeResponse(status: 302, fields: [("Location", Self.collection)])
    }

    private func channels(_ request: HTTPExchangeRequest) async -> HTTPExchangeResponse {
        switch request.method {
        case "GET": return request.refusal ?? .list(self.registrar.names)
        case "POST": return await self.join(request)
        case "PUT": return await self.update(request)
        default: return .notAllowed(request.method, allowed: "GET, POST, PUT")
        }
    }

    private func channel(_ name: String, _ request: HTTPExchangeRequest) async -> HTTPExchangeResponse {
        guard ["GET", "DELETE"].contains(request.method) else {
            return .notAllowed(request.method, allowed: "GET, DELETE")
        }
        if let refusal = request.refusal ?? Self.refusal(ofChannel: name) { return refusal }
        do {
            guard request.method == "DELETE" else {
                let info = try self.registrar.info(name)
                return .json(200, info.json, fields: ["Cache-Control": "no-store"])
            }
            try await self.registrar.remove(name)
            return HTTPExchangeResponse(status: 204)
        } catch {
            return .failure(error, doing: request.method == "DELETE" ? "cannot remove" : nil)
        }
    }

    private func block(
        _ block: String,
        of channel: String,
        _ request: HTTPExchangeRequest
    ) async -> HTTPExchangeResponse {
        guard request.method == "GET" else { return .notAllowed(request.method, allowed: "GET") }
        if let refusal = request.refusal ?? Self.refusal(ofChannel: channel) { return refusal }
        guard let selector = BlockSelector(block) else {
            return .error(
                400,
                "invalid block ID: '\(block.prefix(100))' not equal <newest|oldest|config|(number)>"
            )
        }
        do {
            let bytes: Data = try await self.registrar.block(selector, of: channel).serializedBytes()
            return HTTPExchangeResponse(
                status: 200,
                fields: [("Cache-Control", "no-store"), ("Content-Type", "application/octet-stream")],
                body: bytes
            )
        } catch {
            return .error(404, "\(error)")
        }
    }

    private static func refusal(ofChannel name: String) -> HTTPExchangeResponse? {
        do {
            _ = try ChannelID(name)
            return nil
        } catch {
            return .error(400, "invalid channel ID: \(String("\(error)".prefix(400)))")
        }
    }

    // MARK: - Bodies

    private func join(_ request: HTTPExchangeRequest) async -> HTTPExchangeResponse {
        do {
            let bytes = try self.file("config-block", request)
            guard let block = try? Common_Block(serializedBytes: bytes) else {
                return .error(400, "cannot unmarshal file part config-block into a block")
            }
            return .created(try await self.registrar.join(block))
        } catch let refused as RefusedRequest {
            return refused.response
        } catch {
            return .failure(error, doing: "cannot join")
        }
    }

    private func update(_ request: HTTPExchangeRequest) async -> HTTPExchangeResponse {
        do {
            let bytes = try self.file("config-update-envelope", request)
            guard let envelope = try? Common_Envelope(serializedBytes: bytes) else {
                return .error(400, "cannot unmarshal file part config-update-envelope into an envelope")
            }
            return .created(try await self.registrar.update(envelope))
        } catch let refused as RefusedRequest {
            return refused.response
        } catch ParticipationError.channelUnknown(let name) {
            return .error(405, "cannot update: \(ParticipationError.channelUnknown(name))")
        } catch {
            return .failure(error, doing: "cannot update")
        }
    }

    /// The only file of a form, whose part must have the name `key`.
    private func file(_ key: String, _ request: HTTPExchangeRequest) throws -> Data {
        let type = request.fields["Content-Type"] ?? ""
        guard HeaderValue(type).value == "multipart/form-data" else {
            throw RefusedRequest(.error(400, "unsupported Content-Type: [\(type.prefix(200))]"))
        }
        if let refusal = request.refusal { throw RefusedRequest(refusal) }
        let form: MultipartForm
        do {
            form = try MultipartForm(request.body, contentType: type)
        } catch {
            throw RefusedRequest(.error(400, "cannot read form from request body: \(error)"))
        }
        guard let file = form.parts.first(where: { $0.name == key && $0.fileName != nil }) else {
            throw RefusedRequest(.error(400, "form does not contains part key: \(key)"))
        }
        guard form.parts.count == 1 else {
            throw RefusedRequest(.error(400, "form contains too many parts"))
        }
        return file.content
    }
}

/// The answer to a request that says nothing about a channel yet.
private struct RefusedRequest: Error {
    let response: HTTPExchangeResponse

    init(_ response: HTTPExchangeResponse) { self.response = response }
}

extension HTTPExchangeRequest {
    /// The answer to a client that takes no JSON.
    fileprivate var refusal: HTTPExchangeResponse? {
        guard let accept = self.fields["Accept"], !accept.isEmpty else { return nil }
        let takes = ["application/json", "application/*", "*/*"]
        let isTaken = accept.split(separator: ",").contains { option in takes.contains { option.contains($0) }
        }
        return isTaken ? nil : .error(406, "response Content-Type is application/json only")
    }
}

extension HTTPExchangeResponse {
    fileprivate static let notFound = Self.text(404, "404 page not found\n")

    fileprivate static func notAllowed(_ method: String, allowed: String) -> Self {
        .error(405, "invalid request method: \(method.prefix(20))", fields: ["Allow": allowed])
    }

    fileprivate static func created(_ info: ChannelInfo) -> Self {
        .json(201, info.json, fields: ["Location": ChannelInfo.url(info.name)])
    }

    /// The answer to a request that failed; `action` says what was refused, such as "cannot join".
    fileprivate static func failure(_ error: any Error, doing action: String?) -> Self {
        guard let error = error as? ParticipationError else { return .error(500, "\(error)") }
        let text = action.map { "\($0): \(error)" } ?? "\(error)"
        switch error {
        case .invalidBlock, .invalidUpdate: return .error(400, error.description)
        case .notConsenter: return .error(403, text)
        case .refused: return .error(400, text)
        case .channelExists: return .error(405, text, fields: ["Allow": "GET, DELETE"])
        case .channelUnknown, .blockUnknown: return .error(404, text)
        case .removalPending: return .error(409, text)
        case .removalFailed: return .error(500, text)
        }
    }
}
