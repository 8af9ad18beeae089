import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Peer

/// A peer's operations service, which tells what private data the peer lacks.
struct PrivateDataTarget {
    /// How the peer is called in the answer.
    var name: String
    /// `host:port` of its operations service.
    var address: String
    var tls: OsnadminTLS?

    private static let maximumAnswerBytes = 64 << 20

    /// Asks the peer.
    ///
    /// - Throws: ``Failure`` if it doesn't answer, or is no peer that knows the question.
    func report() async throws -> PrivateDataReport {
        let url = "\(self.tls == nil ? "http" : "https")://\(self.address)/private"
        var configuration = HTTPClient.Configuration(tlsConfiguration: self.tls?.configuration)
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let status: UInt
        let body: Data
        do {
            let response = try await client.execute(HTTPClientRequest(url: url), timeout: .seconds(60))
            status = response.status.code
            body = Data(
                try await response.body.collect(upTo: Self.maximumAnswerBytes).readableBytesView
            )
            try await client.shutdown()
        } catch {
            try? await client.shutdown()
            throw Failure(
                "the operations service of \(self.name) at \(self.address) does not answer: \(error); "
                    + "is the peer running, with operations in its configuration?",
                code: .unavailable
            )
        }
        guard status == 200 else {
            throw Failure(
                "the operations service of \(self.name) at \(self.address) answered \(status): "
                    + "\(String(decoding: body.prefix(300), as: UTF8.self)); "
                    + (status == 404 ? "is it a Weft peer?" : "with TLS it wants a client certificate")
            )
        }
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            return try decoder.decode(PrivateDataReport.self, from: body)
        } catch {
            throw Failure("what \(self.name) answered can't be read: \(error)")
        }
    }
}
