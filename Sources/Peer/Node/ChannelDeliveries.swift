internal import Channel
internal import Cryptography
internal import Foundation
internal import Gossip
internal import Operations
internal import RPC
internal import ServiceLifecycle

/// Pulls the blocks of every channel that the peer has joined or joins while it runs.
struct ChannelDeliveries: Service {
    private let parts: PeerNode.Parts
    private let threads = VerificationThreads()

    init(_ parts: PeerNode.Parts) {
        self.parts = parts
    }

    /// What requests must say of the certificate that the connection shows.
    private func certificateHash() -> Data {
        let pem = self.parts.configuration.clientTLSIdentity?.current.certificateChainPEM ?? ""
        let certificate = try? Certificate(pem: Data(pem.utf8))
        return certificate.map { Digest.sha256($0.der) } ?? Data()
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await channel in self.parts.channels.joined() {
                    group.addTask { await self.deliver(to: channel) }
                }
                group.cancelAll()
            }
        }
    }

    private func deliver(to channel: PeerChannel) async {
        let configuration = self.parts.configuration
        let intake = self.parts.intakes[channel.id]
        let pipeline = CommitPipeline(
            channel: channel,
            threads: self.threads,
            limits: configuration.pipelineLimits,
            localIdentity: configuration.identity.current.serialized,
            own: self.parts.ownEndorsements,
            privateData: self.parts.privateData,
            metrics: configuration.metrics,
            logger: self.parts.logger.named("kvledger")
        )
        let delivery = BlockDelivery(
            channel: channel,
            pipeline: pipeline,
            intake: intake,
            signer: configuration.identity,
            certificateHash: self.certificateHash,
            options: .init(
                overrides: configuration.ordererOverrides,
                firstPause: configuration.clusterDelivery.timeouts.firstPause,
                cluster: configuration.clusterDelivery
            ),
            disk: self.parts.readers,
            metrics: configuration.metrics,
            logger: self.parts.logger.named("deliveryClient")
        ) { endpoint in
            try CoreClientTransport(
                target: endpoint.address,
                tlsSource: configuration.usesTLSToOthers
                    ? try configuration.clientTLSIdentity.source(rootsPEM: endpoint.tlsRootsPEM) : nil,
                options: configuration.transport,
                pollers: self.parts.pollers
            )
        }
        await withDiscardingTaskGroup { group in
            if configuration.gossip.options.blockGossipEnabled {
                group.addTask { await BlockSpreading(channel: channel, intake: intake).run() }
            }
            await delivery.run()
            group.cancelAll()
        }
        self.parts.intakes.remove(channel.id)
    }
}
