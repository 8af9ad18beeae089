internal import Channel
package import FabricProtos
package import Foundation
package import GRPCCore
internal import Ledger
package import Logging
package import Operations

/// The peer's deliver service: blocks, filtered blocks, and blocks with private data, as they are and as they
/// come.
///
/// Each request on a stream is answered with blocks and one status at the end; any status other than SUCCESS
/// ends the stream.
///
/// - Source: Fabric v3, packages `common/deliver` and `core/peer`.
package struct DeliverService: Protos_Deliver.SimpleServiceProtocol {
    /// Which of the three answers a stream gives.
    private enum Kind {
        case blocks, filteredBlocks, blocksWithPrivateData

        /// The right that a client needs.
        var resource: String { self == .filteredBlocks ? "event/FilteredBlock" : "event/Block" }

        /// How metrics call what is sent.
        var dataType: String {
            switch self {
            case .blocks: "block"
            case .filteredBlocks: "filtered_block"
            case .blocksWithPrivateData: "block_and_pvtdata"
            }
        }
    }

    private let channels: ChannelRegistry
    private let access: AccessGate
    private let readers: BlockingExecutor
    private let clientCertificateHash: @Sendable (ServerContext) -> ClientCertificateHash
    private let clock: @Sendable () -> Date
    private let metrics: DeliverMetrics
    private let logger: Logger

    /// - Parameters:
    ///   - channels: the channels whose blocks can be had.
    ///   - access: decides who may have them.
    ///   - readers: threads on which blocks are read from disk.
    ///   - clientCertificateHash: what requests on a connection must say about its TLS certificate.
    ///   - clock: the time, for timestamps and expired certificates.
    ///   - metrics: where streams, requests and blocks are counted.
    ///   - logger: where refused requests are noted.
    package init(
        channels: ChannelRegistry,
        access: AccessGate,
        readers: BlockingExecutor,
        clientCertificateHash: @escaping @Sendable (ServerContext) -> ClientCertificateHash,
        clock: @escaping @Sendable () -> Date = { Date() },
        metrics: Metrics = Metrics(),
        logger: Logger
    ) {
        self.channels = channels
        self.access = access
        self.readers = readers
        self.clientCertificateHash = clientCertificateHash
        self.clock = clock
        self.metrics = DeliverMetrics(metrics)
        self.logger = logger
    }

    package func deliver(
        request: RPCAsyncSequence<Common_Envelope, any Error>,
        response: RPCWriter<Protos_DeliverResponse>,
        context: ServerContext
    ) async throws {
        try await self.serve(request, .blocks, to: response, context)
    }

    package func deliverFiltered(
        request: RPCAsyncSequence<Common_Envelope, any Error>,
        response: RPCWriter<Protos_DeliverResponse>,
        context: ServerContext
    ) async throws {
        try await self.serve(request, .filteredBlocks, to: response, context)
    }

    package func deliverWithPrivateData(
        request: RPCAsyncSequence<Common_Envelope, any Error>,
        response: RPCWriter<Protos_DeliverResponse>,
        context: ServerContext
    ) async throws {
        try await self.serve(request, .blocksWithPrivateData, to: response, context)
    }

    private func serve(
        _ requests: RPCAsyncSequence<Common_Envelope, any Error>,
        _ kind: Kind,
        to responses: RPCWriter<Protos_DeliverResponse>,
        _ context: ServerContext
    ) async throws {
        self.metrics.streamOpened()
        defer { self.metrics.streamClosed() }
        for try await envelope in requests {
            var answer = Protos_DeliverResponse()
            do {
                try await self.answer(envelope, kind, to: responses, context)
                answer.status = .success
                try await responses.write(answer)
            } catch let refusal as DeliverRefusal {
                self.logger.info("refused to deliver blocks", metadata: ["reason": "\(refusal)"])
                answer.status = refusal.status
                try await responses.write(answer)
                return
            }
        }
    }

    /// Answers one request: checks it, then sends block after block.
    private func answer(
        _ envelope: Common_Envelope,
        _ kind: Kind,
        to responses: RPCWriter<Protos_DeliverResponse>,
        _ context: ServerContext
    ) async throws {
        let request = try DeliverRequest(
            envelope,
            now: self.clock(),
            certificateHash: self.clientCertificateHash(context)
        )
        let id = try? ChannelID(request.channel)
        if let id, let failure = self.channels.failure(of: id) {
            throw DeliverRefusal(.serviceUnavailable, "\(failure)")
        }
        guard let id, let channel = self.channels[id] else {
            throw DeliverRefusal(.notFound, "channel \(request.channel.prefix(80)) is not known here")
        }
        let count = self.metrics.requestReceived(channel: channel.id.description, dataType: kind.dataType)
        var isSuccess = false
        defer { count.completed(success: isSuccess) }
        let seek = try request.seek.get()
        var session = DeliverSession(
            channel: channel,
            access: self.access,
            resource: kind.resource,
            request: request
        )
        try session.authorize(at: self.clock())
        let range = try DeliverRange(seek, height: channel.committed.height)

        var number = range.start
        while true {
            if seek.behavior == .failIfNotReady, number >= channel.committed.height {
                throw DeliverRefusal(.notFound, "there is no block \(number) yet")
            }
            do {
                try await channel.committed.waitForBlock(number)
            } catch let failure as CommitNotifier.TooManyWaiters {
                throw DeliverRefusal(.serviceUnavailable, "\(failure)")
            } catch let closed as CommitNotifier.Closed {
                throw DeliverRefusal(.serviceUnavailable, "\(closed)")
            }
            try session.authorize(at: self.clock())
            try await responses.write(
                self.response(
                    kind,
                    block: number,
                    of: channel,
                    seek: seek,
                    requester: request.signed.identity
                )
            )
            count.blockSent()
            if number == range.stop {
                isSuccess = true
                return
            }
            number += 1
        }
    }

    /// Reads one block from the ledger.
    ///
    /// A damaged one is never sent: the client gets Fabric's status, and the log the reason.
    private func stored(
        _ number: BlockNumber,
        of channel: PeerChannel
    ) async throws -> Common_Block {
        do {
            let block = try await withTaskExecutorPreference(self.readers) { try channel.block(number) }
            if let block { return block }
        } catch let cancelled as CancellationError {
            throw cancelled
        } catch {
            self.logger.error(
                "a block can't be read",
                metadata: ["block": "\(number)", "reason": "\(error)"]
            )
        }
        throw DeliverRefusal(.serviceUnavailable, "block \(number) can't be read from the ledger")
    }

    /// Reads one block and puts it into the form that was asked for.
    private func response(
        _ kind: Kind,
        block number: BlockNumber,
        of channel: PeerChannel,
        seek: Orderer_SeekInfo,
        requester: Data
    ) async throws -> Protos_DeliverResponse {
        var block: Common_Block
        if let recent = channel.committed.recentBlock(number) {
            block = recent.block
        } else {
            block = try await self.stored(number, of: channel)
        }
        if kind != .filteredBlocks, seek.contentType == .headerWithSig, !block.isConfigBlock {
            block.clearData()
        }
        var response = Protos_DeliverResponse()
        switch kind {
        case .blocks:
            response.block = block
        case .filteredBlocks:
            response.filteredBlock = Protos_FilteredBlock(block, channel: channel.id.description)
        case .blocksWithPrivateData:
            response.blockAndPrivateData.block = block
            response.blockAndPrivateData.privateDataMap = try await withTaskExecutorPreference(self.readers) {
                try PrivateDataView(channel: channel, requester: requester).privateData(of: number)
            }
        }
        return response
    }
}

/// The right of one client to go on reading, checked again when it may have changed.
struct DeliverSession: Sendable {
    private let channel: PeerChannel
    private let access: AccessGate
    private let resource: String
    private let request: DeliverRequest
    /// The configuration under which the client was last found to be allowed.
    private var configuration: ChannelConfiguration?

    init(channel: PeerChannel, access: AccessGate, resource: String, request: DeliverRequest) {
        self.channel = channel
        self.access = access
        self.resource = resource
        self.request = request
    }

    /// Returns if the client may read at time `now`.
    ///
    /// The policy is asked again only when the channel's configuration has changed; whether the certificate
    /// has expired, each time.
    mutating func authorize(at now: Date) throws(DeliverRefusal) {
        let current = self.channel.configuration
        if self.configuration === current {
            let identity = try? current.directory.identity(from: self.request.signed.identity)
            if let identity, !identity.isExpired(at: now) { return }
        }
        do {
            try self.access.authorize(
                AccessRequest(
                    resource: self.resource,
                    channel: self.channel.id,
                    requester: .signed(self.request.signed),
                    subject: "blocks",
                    unexpiredAt: now
                )
            )
            self.configuration = current
        } catch {
            throw DeliverRefusal(.forbidden, "\(error)")
        }
    }
}
