internal import FabricProtos
internal import GRPCCore
internal import RPC

/// A contract that runs as a service of its own, to which the peer connects.
///
/// - Source: Fabric v3.1 documentation, "Running chaincode as an external service".
struct ServiceEndpoint: ContractEndpoint {
    let packageID: String
    let service: ServiceAddress
    let startTimeout: Duration
    let pollers: PollerGroup

    var failure: String { "connection to it failed" }
    var isLaunched: Bool { false }

    func serve(_ stream: ChaincodeStream) async -> String {
        var options = TransportOptions()
        options.connectTimeout = self.service.dialTimeout
        // Servers made with gRPC's defaults, as Python's shim, drop clients that ask more often than every 5 minutes.
        options.keepaliveInterval = .seconds(330)
        do {
            let client = GRPCClient(
                transport: try CoreClientTransport(
                    target: self.service.address,
                    tls: self.service.tls,
                    options: options,
                    pollers: self.pollers
                )
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await client.runConnections() }
                group.addTask { try await Self.exchange(client, stream) }
                group.addTask { await stream.watchDeadlines() }
                group.addTask { await stream.waitUntilClosed() }
                defer { group.cancelAll() }
                try await group.next()
            }
            if let reason = stream.endReason { return "the contract at \(self.service.address) \(reason)" }
            return "the contract at \(self.service.address) ended the stream"
        } catch let error as RPCError {
            return """
                \(self.service.address): \(error.message); see that the contract runs there, with the name \
                \(self.packageID), and with TLS if the package says so
                """
        } catch {
            return "\(self.service.address): \(error)"
        }
    }

    private static func exchange(
        _ client: GRPCClient<CoreClientTransport>,
        _ stream: ChaincodeStream
    ) async throws {
        let request = StreamingClientRequest<Protos_ChaincodeMessage> { writer in
            for await message in stream.outbound { try await writer.write(message) }
        }
        try await Protos_Chaincode.Client(wrapping: client).connect(request: request) { response in
            for try await message in response.messages { stream.received(message) }
        }
    }
}
