internal import Channel
internal import Consensus
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import Ledger
internal import Logging
internal import Operations

/// The thread of a channel that BFT consenters order.
extension ChannelThread {
    /// Orders until the channel is stopped or this node is no consenter any more.
    func orderBFT(
        _ log: BlockLog,
        _ consensus: any KeyValueStore,
        _ opened: () -> Void
    ) throws -> BFTConsenter.End {
        let network = self.settings.bftNetwork(self.channel)
        defer { network.close() }
        let consenter = try self.bftConsenter(log, consensus, network)
        opened()
        return try consenter.serve()
    }

    /// A consenter that has begun to work.
    func bftConsenter(
        _ log: BlockLog,
        _ consensus: any KeyValueStore,
        _ network: any BFTNetwork
    ) throws -> BFTConsenter {
        let chain = try self.makeBFTChain(log, consensus) { _ = network.send($0) }
        let consenter = BFTConsenter(channel: self.channel, chain: chain, network: network)
        try self.begin(consenter)
        return consenter
    }

    func makeBFTChain(
        _ log: BlockLog,
        _ consensus: any KeyValueStore,
        send: @escaping (BFTMessage) -> Void
    ) throws -> BFTChain {
        let channel = self.channel
        return try BFTChain(
            BFTChain.Parts(
                channelID: channel.id,
                genesis: self.join.header.number == 0 ? self.join : nil,
                log: log,
                consensus: consensus,
                signer: self.settings.signer,
                nonce: self.settings.nonce,
                date: self.settings.date,
                persisting: self.settings.metrics.histogram(.bftDataPersistDuration, channel.id.description),
                known: { envelopes, sequence in
                    channel.monitor.withLock { $0.known(envelopes, sequence) }
                },
                checked: { envelopes, sequence in
                    channel.monitor.withLock { state in
                        for envelope in envelopes { state.bft.verified.pass(envelope, under: sequence) }
                    }
                },
                send: send
            )
        )
    }

    /// Shows the channel to clients and readers, and the consenter to the others.
    private func begin(_ consenter: BFTConsenter) throws {
        let chain = consenter.chain
        self.channel.feed.opened(chain.log)
        let window = try self.window(from: chain.log)
        let configuration = chain.configuration
        let membership = chain.membership
        self.channel.monitor.withLock { state in
            state.configuration = configuration
            state.window.forgetOrdered()
            for fingerprint in window { state.window.remember(fingerprint) }
            state.cutter.rebound(BatchBounds(configuration), queue: [], at: self.settings.clock())
            state.standing = OrderingChannel.Standing(id: chain.id, membership: membership)
            state.bft = BFTQueues()
            state.bft.holdsRequests = true
            for envelope in state.waiting { state.bft.queued(envelope, isLeader: false) }
            state.inFlight = 0
            state.forwarded = 0
            state.forwardedBytes = 0
        }
        self.settings.adopted(configuration)
        consenter.network.configure(membership, own: chain.id)
        try consenter.begin()
        self.channel.monitor.withLock { $0.isOpened = true }
        self.channel.bftLogger.info(
            "ordering the channel",
            metadata: [
                "channel": "\(self.channel.id)", "height": "\(chain.log.height)", "node": "\(chain.id)",
                "consenters": "\(membership.members.count)", "view": "\(chain.details.view)",
            ]
        )
    }
}
