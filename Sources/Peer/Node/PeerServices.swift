internal import Channel
internal import Cryptography
internal import Foundation
internal import GRPCCore
internal import Ledger
internal import Operations
internal import RPC
internal import ServiceLifecycle

/// The list of everything that a peer offers on its port.
struct PeerServices {
    /// Endorses: the service `Endorser` and the gateway ask it.
    let endorser: Endorser
    /// What clients can call.
    let exposed: [any RegistrableRPCService]
    /// Methods of these that the transport answers itself.
    let direct: [DirectMethod]
    /// What these need running beside them.
    let background: [any Service]

    init(_ parts: PeerNode.Parts) throws {
        let installed = try InstalledContracts(
            dataFolder: parts.configuration.dataFolder,
            options: parts.configuration.contracts,
            launching: parts.configuration.launching,
            mspID: parts.configuration.identity.mspID.description,
            pollers: parts.pollers,
            metrics: parts.configuration.metrics,
            logger: parts.logger.named("chaincode")
        )
        self.endorser = try Endorser(
            identity: parts.configuration.identity,
            localMSP: parts.localMSP,
            channels: parts.channels,
            builtIn: parts.configuration.builtInContracts,
            installed: installed,
            access: parts.access,
            executor: BlockingExecutor(name: "weft-endorse", threads: parts.configuration.readerThreads),
            own: parts.ownEndorsements,
            metrics: parts.configuration.metrics,
            logger: parts.logger.named("endorser")
        )
        let deliver = DeliverService(
            channels: parts.channels,
            access: parts.access,
            readers: parts.readers,
            clientCertificateHash: Self.certificateRule(parts.configuration.tls),
            metrics: parts.configuration.metrics,
            logger: parts.logger.named("common.deliverevents")
        )
        let health = HealthService {
            parts.isServing.isSet && parts.channels.unopened.isEmpty
                && parts.channels.list.allSatisfy(\.status.isHealthy)
        }
        let connections = ConnectionPool(
            identity: parts.configuration.clientTLSIdentity,
            usesTLS: parts.configuration.usesTLSToOthers,
            ordererOverrides: parts.configuration.ordererOverrides,
            pollers: parts.pollers
        )
        let gateway = Gateway(
            Gateway.Surroundings(
                localPeer: EndorsingPeer(
                    mspID: parts.configuration.identity.mspID,
                    address: parts.configuration.externalEndpoint,
                    isLocal: true,
                    processor: self.endorser
                ),
                channels: parts.channels,
                access: parts.access,
                definition: CommittedDefinitions().definition,
                readers: parts.readers,
                remotePeers: connections,
                orderers: connections
            )
        )
        let limits = parts.configuration.concurrency
        let endorserService = EndorserService(self.endorser, limit: limits.endorser)
        let gatewayService = GatewayService(gateway, limit: limits.gateway)
        self.exposed = [endorserService, gatewayService, deliver, health]
        self.direct = endorserService.directMethods + gatewayService.directMethods
        let updates = parts.clientRoots.map { ClientRootsUpdates(channels: parts.channels, roots: $0) }
        self.background = [connections, installed] + (updates.map { [$0] } ?? [])
    }

    /// Requests on connections with mutual TLS must repeat the hash of the client's certificate.
    ///
    /// - Source: Fabric v3, package `common/deliver`, binding inspector.
    private static func certificateRule(
        _ tls: ServerTLS?
    ) -> @Sendable (ServerContext) -> ClientCertificateHash {
        guard tls?.clientCertificates == .required else { return { _ in .notRequired } }
        return { context in
            guard let certificate = context.transportSpecific as? PeerCertificate else {
                return .required(Data())
            }
            return .required(Digest.sha256(certificate.der))
        }
    }
}
