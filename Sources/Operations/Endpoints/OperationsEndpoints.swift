internal import Foundation
package import Logging
package import RPC

/// The operations service of a node: `/healthz`, `/metrics`, `/logspec` and `/version`.
///
/// - Source: Fabric v3.1, package `core/operations`, and the operations service guide.
package struct OperationsEndpoints: Sendable {
    /// What becomes of the metrics.
    package enum MetricsProvider: Sendable, Equatable {
        /// They are shown.
        case prometheus
        /// They are sent; see ``StatsDSender``.
        case statsD(StatsDSender.Settings)
        case disabled
    }

    package var health: HealthChecks
    package var metrics: Metrics
    package var logging: NodeLogging
    package var provider: MetricsProvider
    package var version: String
    /// The commit that was built; left out when unknown.
    package var commit: String?
    /// What the node has to tell besides.
    package var further: [HTTPRoute]

    package init(
        health: HealthChecks,
        metrics: Metrics,
        logging: NodeLogging,
        provider: MetricsProvider = .prometheus,
        version: String,
        commit: String? = nil,
        further: [HTTPRoute] = []
    ) {
        self.health = health
        self.metrics = metrics
        self.logging = logging
        self.provider = provider
        self.version = version
        self.commit = commit
        self.further = further
    }

    /// A server with these endpoints.
    ///
    /// Without a required client certificate, `/healthz` and `/version` are for everybody, and the others for those
    /// who present one.
    ///
    /// - Throws: ``HTTPServerError``
    package func server(listeningOn address: String, tls: ServerTLS?, logger: Logger) throws(HTTPServerError)
        -> HTTPServer
    {
        try HTTPServer(
            listeningOn: address,
            tls: tls,
            routes: self.routes,
            name: "operations service",
            logger: logger
        )
    }

    /// Has the process counted, too: its version, its log, and what the operating system knows of it.
    package func countProcess() {
        let metrics = self.metrics
        metrics.gauge(.fabricVersion, self.version).set(1 as Int64)
        metrics.collect(ProcessMetrics.collect)
        self.logging.observe(
            checked: { metrics.counter(.logEntriesChecked, $0.name).increment() },
            written: { metrics.counter(.logEntriesWritten, $0.name).increment() }
        )
    }

    package var routes: [HTTPRoute] {
        var routes = [
            HTTPRoute("/healthz", requiresClientCertificate: false) { request in
                guard request.method == "GET" else { return HTTPExchangeResponse(status: 405) }
                return await self.health.answer()
            },
            HTTPRoute("/version", requiresClientCertificate: false) { self.version($0) },
            HTTPRoute("/logspec", requiresClientCertificate: true) { self.logSpecification($0) },
        ]
        if self.provider == .prometheus {
            routes.append(HTTPRoute("/metrics", requiresClientCertificate: true) { self.exposition($0) })
        }
        return routes + self.further
    }

    private func exposition(_ request: HTTPExchangeRequest) -> HTTPExchangeResponse {
        guard request.method == "GET" || request.method == "HEAD" else {
            return HTTPExchangeResponse(status: 405, fields: [("Allow", "GET, HEAD")])
        }
        return HTTPExchangeResponse(
            status: 200,
            fields: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
            body: Data(self.metrics.exposition().utf8)
        )
    }

    private func version(_ request: HTTPExchangeRequest) -> HTTPExchangeResponse {
        guard request.method == "GET" else {
            return .json(400, #"{"Error":\#(jsonText("invalid request method: \(request.method)"))}"#)
        }
        let commit = self.commit.map { #""CommitSHA":\#(jsonText($0)),"# } ?? ""
        return .json(200, #"{\#(commit)"Version":\#(jsonText(self.version))}"#)
    }

    private func logSpecification(_ request: HTTPExchangeRequest) -> HTTPExchangeResponse {
        switch request.method {
        case "GET":
            return .json(200, #"{"spec":\#(jsonText(self.logging.specification.description))}"# + "\n")
        case "PUT":
            return self.changeLogSpecification(request.body)
        default:
            return Self.error("invalid request method: \(request.method)")
        }
    }

    private func changeLogSpecification(_ body: Data) -> HTTPExchangeResponse {
        struct Wanted: Decodable { var spec: String? }
        let wanted: Wanted
        do {
            wanted = try JSONDecoder().decode(Wanted.self, from: body)
        } catch {
            return Self.error(#"the body is not JSON such as {"spec":"info:gossip=debug"}"#)
        }
        do {
            self.logging.activate(try LogSpecification(wanted.spec ?? ""))
        } catch {
            return Self.error("\(error)")
        }
        return HTTPExchangeResponse(status: 204)
    }

    private static func error(_ text: String) -> HTTPExchangeResponse {
        .json(400, #"{"error":\#(jsonText(text))}"# + "\n")
    }
}
