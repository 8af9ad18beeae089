internal import Channel
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Logging
internal import RPC
internal import ServiceLifecycle
internal import SwiftProtobuf
internal import Synchronization

/// Where contracts register that the peer has launched: `protos.ChaincodeSupport/Register`.
///
/// A contract is let in only while this peer waits for it, and only on a connection whose certificate is the one that it was
/// launched with.
///
/// - Source: Fabric v3.1, `core/chaincode/accesscontrol`, `core/chaincode/chaincode_support.go`.
final class ChaincodeRegistrar: Service, Protos_ChaincodeSupport.SimpleServiceProtocol {
    private struct Launch {
        var certificate: Data
        var stream: ChaincodeStream
        var isRegistered = false
    }

    /// `host:port` that contracts connect to.
    let address: String
    private let authority: LaunchAuthority
    private let transport: CoreServerTransport
    private let logger: Logger
    private let launches = Mutex<[String: Launch]>([:])

    /// Binds the listener.
    ///
    /// - Throws: an error that names the address that can't be used.
    init(_ options: LaunchOptions, pollers: PollerGroup, logger: Logger) throws {
        self.logger = logger
        self.authority = try LaunchAuthority()
        let listening = Self.parts(options.listenAddress)
        let advertised = options.address.map(Self.parts)
        // Contracts of this machine reach a listener on all addresses by any of them.
        let isEverywhere = ["", "0.0.0.0", "::", "[::]"].contains(listening.host)
        let host = advertised?.host ?? (isEverywhere ? "127.0.0.1" : listening.host)
        self.transport = try CoreServerTransport(
            listeningOn: options.listenAddress,
            tls: ServerTLS(
                identity: try self.authority.issue("chaincode listener", hosts: [host]).identity,
                clientRootsPEM: self.authority.certificatePEM,
                clientCertificates: .required
            ),
            pollers: pollers
        )
        let port = advertised?.port ?? "0"
        self.address = "\(host):\(port == "0" ? "\(self.transport.boundPort)" : port)"
    }

    private static func parts(_ address: String) -> (host: String, port: String) {
        guard let colon = address.lastIndex(of: ":") else { return (address, "0") }
        return (String(address[..<colon]), String(address[colon...].dropFirst()))
    }

    /// Serves until the task is cancelled or shutdown begins.
    func run() async throws {
        try await cancelWhenGracefulShutdown {
            try await GRPCServer(transport: self.transport, services: [self]).serve()
        }
    }

    // MARK: Launches

    /// What a contract needs to register.
    struct Invitation: Sendable {
        var identity: TLSIdentity
        /// What the listener's certificate leads to.
        var rootsPEM: String
    }

    /// Lets a contract register with a certificate of its own, and has `stream` carry what it says.
    func invite(_ packageID: String, _ stream: ChaincodeStream) throws(ContractError) -> Invitation {
        let issued = try self.authority.issue(packageID)
        self.launches.withLock { $0[packageID] = Launch(certificate: issued.der, stream: stream) }
        return Invitation(identity: issued.identity, rootsPEM: self.authority.certificatePEM)
    }

    /// No longer waits for a contract.
    func forget(_ packageID: String) { self.launches.withLock { $0[packageID] = nil } }

    private func claim(
        _ message: Protos_ChaincodeMessage,
        _ certificate: Data?
    ) throws(ContractError) -> ChaincodeStream {
        guard message.type == .register else {
            throw ContractError("\(message.type.name) came before REGISTER")
        }
        guard let name = try? Protos_ChaincodeID(serializedBytes: message.payload).name, !name.isEmpty else {
            throw ContractError("REGISTER has no name: CORE_CHAINCODE_ID_NAME must be in the environment")
        }
        return try self.launches.withLock { launches throws(ContractError) in
            guard let launch = launches[name] else {
                throw ContractError(
                    "peer will not accept external chaincode connection \(name.prefix(300)): it did not launch it"
                )
            }
            guard certificate == launch.certificate else {
                throw ContractError("the connection's certificate is not that of \(name.prefix(300))")
            }
            guard !launch.isRegistered else {
                throw ContractError("duplicate chaincodeID: \(name.prefix(300)) is registered")
            }
            launches[name]?.isRegistered = true
            return launch.stream
        }
    }

    func register(
        request: RPCAsyncSequence<Protos_ChaincodeMessage, any Error>,
        response: RPCWriter<Protos_ChaincodeMessage>,
        context: ServerContext
    ) async throws {
        let certificate = (context.transportSpecific as? PeerCertificate)?.der
        try await withThrowingTaskGroup(of: Void.self) { group in
            var stream: ChaincodeStream?
            // Whatever ends the call ends the stream, and with it the contract.
            defer {
                stream?.end()
                group.cancelAll()
            }
            for try await message in request {
                if let stream {
                    stream.received(message)
                    continue
                }
                let claimed: ChaincodeStream
                do {
                    claimed = try self.claim(message, certificate)
                } catch {
                    self.logger.warning("turned a contract away", metadata: ["reason": "\(error)"])
                    throw RPCError(code: .permissionDenied, message: "\(error)")
                }
                stream = claimed
                group.addTask {
                    for await message in claimed.outbound { try await response.write(message) }
                }
                claimed.received(message)
            }
        }
    }
}
