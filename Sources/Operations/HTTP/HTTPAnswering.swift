internal import Foundation
internal import HTTPTypes
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOSSL

/// Reads one request after the other of a connection, and has routes answer them.
struct HTTPAnswering: Sendable {
    let routes: [HTTPRoute]
    let limits: HTTPLimits
    let hasTLS: Bool
    let logger: Logger

    private static let requestID = HTTPField.Name("X-Request-Id")

    /// Ends a connection whose request has not been read to its end.
    private struct Unfinished: Error {}

    /// What became of one request.
    private struct Outcome {
        var response: HTTPExchangeResponse
        /// Whether the body has been read, so that the connection can carry another request.
        var isReadToEnd: Bool
    }

    func answer(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let certificate = try await self.certificate(channel)
        if request.headers[.expect]?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let outcome = await self.outcome(request, certificate, channel.remoteAddress?.description ?? "")
        var head = HTTPResponse(status: .init(code: outcome.response.status))
        for (name, value) in outcome.response.fields.all {
            guard let name = HTTPField.Name(name) else { continue }
            head.headerFields.append(HTTPField(name: name, value: value))
        }
        if outcome.response.status != 204 {
            head.headerFields[.contentLength] = "\(outcome.response.body.count)"
        }
        if let name = Self.requestID {
            head.headerFields[name] = request.headers[name] ?? UUID().uuidString.lowercased()
        }
        if !outcome.isReadToEnd { head.headerFields[.connection] = "close" }
        self.logger.debug(
            "answered",
            metadata: [
                "method": "\(request.method.rawValue)", "path": "\(request.uri.path)",
                "status": "\(outcome.response.status)",
            ]
        )
        let deadline = channel.eventLoop.scheduleTask(in: TimeAmount(self.limits.response)) {
            channel.close(promise: nil)
        }
        defer { deadline.cancel() }
        let isHead = request.method == .head
        let body = isHead || outcome.response.body.isEmpty ? nil : ByteBuffer(bytes: outcome.response.body)
        try await writer.write(
            response: head,
            body: body.map { ResponseBody(byteBuffer: $0) } ?? ResponseBody()
        )
        if !outcome.isReadToEnd { throw Unfinished() }
    }

    private func certificate(_ channel: any Channel) async throws -> Data? {
        guard self.hasTLS else { return nil }
        let certificate = try await channel.nioSSL_peerCertificate().get()
        return try certificate.map { Data(try $0.toDERBytes()) }
    }

    /// Reads the body and has the route answer, within the time for a request.
    private func outcome(_ request: Request, _ certificate: Data?, _ remote: String) async -> Outcome {
        await withTaskGroup(of: Outcome?.self) { tasks in
            tasks.addTask { await self.readAndAnswer(request, certificate, remote) }
            let limit = self.limits.request
            tasks.addTask {
                try? await Task.sleep(for: limit)
                return nil
            }
            let first = await tasks.next() ?? nil
            tasks.cancelAll()
            return first
                ?? Outcome(
                    response: .text(408, "the request took longer than \(limit)\n"),
                    isReadToEnd: false
                )
        }
    }

    private func readAndAnswer(_ request: Request, _ certificate: Data?, _ remote: String) async -> Outcome {
        let path = request.uri.path
        let route = self.routes.route(for: path)
        let refusal: HTTPExchangeResponse? =
            if let route {
                self.hasTLS && route.requiresClientCertificate && certificate == nil
                    ? self.unauthorized(request, remote) : nil
            } else {
                .text(404, "404 page not found\n")
            }
        guard let body = await self.body(request, limit: route?.bodyLimit ?? 64 * 1024) else {
            return Outcome(response: refusal ?? route?.tooLong ?? .text(413, ""), isReadToEnd: false)
        }
        guard refusal == nil, let route else {
            return Outcome(response: refusal ?? .text(404, ""), isReadToEnd: true)
        }
        var fields = HTTPFieldList()
        for field in request.headers { fields.append(field.name.rawName, field.value) }
        let response = await route.answer(
            HTTPExchangeRequest(
                method: request.method.rawValue,
                path: path,
                query: request.uri.query,
                fields: fields,
                body: body,
                clientCertificate: certificate,
                remoteAddress: remote
            )
        )
        guard (200...599).contains(response.status) else {
            return Outcome(response: .text(500, "internal error\n"), isReadToEnd: true)
        }
        return Outcome(response: response, isReadToEnd: true)
    }

    private func unauthorized(_ request: Request, _ remote: String) -> HTTPExchangeResponse {
        self.logger.warning(
            "Client request not authorized, client must pass a valid client certificate for this operation",
            metadata: [
                "URL": "\(request.uri.path)", "Method": "\(request.method.rawValue)",
                "RemoteAddr": "\(remote)",
            ]
        )
        return HTTPExchangeResponse(status: 401)
    }

    /// The body, or `nil` when it is longer than allowed or breaks off.
    private func body(_ request: Request, limit: Int) async -> Data? {
        if let announced = request.headers[.contentLength].flatMap({ Int($0) }), announced > limit {
            return nil
        }
        var body = Data()
        do {
            for try await part in request.body {
                guard body.count + part.readableBytes <= limit else { return nil }
                body.append(contentsOf: part.readableBytesView)
            }
        } catch {
            return nil
        }
        return body
    }
}
