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
    /// The peer among others.
    let gossip: GossipNode
    /// What these need running beside them.
    let background: [any Service]

    init(_ parts: PeerNode.Parts, port: Int) throws {
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
            privateData: parts.privateData,
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
        let runnable = InstalledDefinitions(
            organization: parts.configuration.identity.mspID,
            installed: installed,
            builtIn: Array(parts.configuration.builtInContracts.keys)
        )
        self.gossip = try Self.gossip(parts, port: port, runnable)
        let choosing = Choosing(parts, self.gossip, runnable)
        let gateway = Self.gateway(parts, self.endorser, connections, choosing)
        let limits = parts.configuration.concurrency
        let endorserService = EndorserService(self.endorser, limit: limits.endorser)
        let gatewayService = GatewayService(gateway, limit: limits.gateway)
        self.exposed =
            [endorserService, gatewayService, deliver, health, self.gossip.service]
            + (parts.configuration.discovery.isOffered ? [Self.discovery(parts, choosing)] : [])
        self.direct = endorserService.directMethods + gatewayService.directMethods
        let updates = parts.clientRoots.map { ClientRootsUpdates(channels: parts.channels, roots: $0) }
        let upkeep = Self.privateData(parts, self.gossip)
        self.background = [connections, installed, self.gossip, upkeep] + (updates.map { [$0] } ?? [])
    }

    /// What discovery and the gateway choose endorsers with.
    private struct Choosing {
        let members: GossipMembership
        let definitions = CommittedDefinitions()
        let requirements = EndorsementRequirements()

        init(_ parts: PeerNode.Parts, _ gossip: GossipNode, _ runnable: InstalledDefinitions) {
            self.members = GossipMembership(
                view: { gossip.current },
                alone: OwnMembership(
                    identity: parts.configuration.identity,
                    endpoint: parts.configuration.externalEndpoint,
                    channels: parts.channels,
                    installed: runnable,
                    startedAt: Date(),
                    logger: parts.logger.named("gossip.discovery")
                )
            )
        }
    }

    private static func gossip(
        _ parts: PeerNode.Parts,
        port: Int,
        _ runnable: InstalledDefinitions
    ) throws -> GossipNode {
        try GossipNode(
            parts,
            port: port,
            chaincodes: runnable.chaincodes,
            blocks: ChannelBlocks(
                channels: parts.channels,
                intakes: parts.intakes,
                readers: parts.readers,
                privateData: { [link = parts.privateData] in
                    PrivateDataStores(channel: $0, link: link).payloads(ofBlock: $1, for: $2)
                }
            ),
            privateData: LedgerPrivateData(
                channels: parts.channels,
                link: parts.privateData,
                readers: parts.readers
            )
        )
    }

    private static func gateway(
        _ parts: PeerNode.Parts,
        _ endorser: Endorser,
        _ connections: ConnectionPool,
        _ choosing: Choosing
    ) -> Gateway {
        Gateway(
            Gateway.Surroundings(
                localPeer: EndorsingPeer(
                    mspID: parts.configuration.identity.mspID,
                    address: parts.configuration.externalEndpoint,
                    isLocal: true,
                    processor: endorser
                ),
                channels: parts.channels,
                access: parts.access,
                definition: choosing.definitions.definition,
                readers: parts.readers,
                members: choosing.members,
                remotePeers: connections,
                orderers: connections
            ),
            requirements: choosing.requirements
        )
    }

    private static func discovery(_ parts: PeerNode.Parts, _ choosing: Choosing) -> DiscoveryService {
        DiscoveryService(
            DiscoveryService.Surroundings(
                channels: parts.channels,
                access: parts.access,
                members: choosing.members,
                definition: choosing.definitions.definition,
                readers: parts.readers,
                membersMayAskLocally: parts.configuration.discovery.membersMayAskLocally,
                logger: parts.logger.named("discovery")
            ),
            requirements: choosing.requirements
        )
    }

    /// Ties private data to gossip.
    private static func privateData(_ parts: PeerNode.Parts, _ gossip: GossipNode) -> PrivateDataUpkeep {
        parts.privateData.connect(
            GossipPrivateDataExchange(driver: gossip.driver),
            options: parts.configuration.gossip.options
        )
        return PrivateDataUpkeep(
            channels: parts.channels,
            identity: parts.configuration.identity,
            link: parts.privateData,
            disk: parts.readers,
            logger: parts.logger.named("gossip.privdata")
        )
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
