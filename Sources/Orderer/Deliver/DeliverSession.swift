internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import Logging
internal import Operations

/// Serves the requests of one Deliver stream, one after the other.
///
/// A session holds the block that it is sending and nothing else, so a slow reader costs no memory.
struct DeliverSession: Sendable {
    let channels: OrderingChannels
    let binding: TLSBinding
    let window: Duration
    let checksExpiration: Bool
    /// Where signatures are checked and the disk is read.
    let workers: WorkerThreads
    let date: @Sendable () -> Date
    var metrics = DeliverMetrics(Metrics())
    let logger: Logger

    /// Answers one request: blocks, then one status; tells whether the stream goes on with the next request.
    ///
    /// `send` sends a reply and returns once the transport took it.
    func answer(
        _ envelope: Common_Envelope,
        _ send: (DeliverReply) async throws -> Void
    ) async throws -> Bool {
        let status: Common_Status
        do {
            try await self.deliver(envelope, send)
            status = .success
        } catch let refusal as Refusal {
            status = refusal.status
            self.logger.log(
                level: status == .forbidden || status == .badRequest ? .notice : .info,
                "refused to deliver blocks",
                metadata: ["status": "\(status)", "reason": "\(refusal)"]
            )
        }
        try await send(DeliverReply(status: status))
        return status == .success
    }

    private func deliver(_ envelope: Common_Envelope, _ send: (DeliverReply) async throws -> Void)
        async throws
    {
        let request = try DeliverRequest(
            envelope,
            binding: self.binding,
            window: self.window,
            now: self.date()
        )
        guard let channel = self.channels[request.headers.channel.channelID], channel.isServed else {
            throw Refusal(
                status: .notFound,
                info: "channel \"\(request.headers.channel.channelID)\" is not served by this node"
            )
        }
        let count = self.metrics.requestReceived(channel: channel.id.description)
        var isSuccess = false
        defer { count.completed(success: isSuccess) }
        let seek = try request.seekInfo()
        let insistsOnHealth = seek.errorResponse != .bestEffort
        if insistsOnHealth, let failure = channel.feed.failure { throw Refusal.unavailable(failure) }

        var access = ReaderAccess(headers: request.headers, checksExpiration: self.checksExpiration)
        access = try await self.evaluated(access, channel)
        let range = try SeekRange(seek, height: channel.feed.height)

        var number = range.start
        while true {
            let block = try await self.block(number, range, insistsOnHealth, channel)
            if access.isOutdated(by: channel.configuration) {
                access = try await self.evaluated(access, channel)
            }
            try access.checkExpiration(at: self.date())
            try await send(
                DeliverReply(block: seek.contentType == .headerWithSig ? try block.header() : block.whole)
            )
            count.blockSent()
            if number == range.stop {
                isSuccess = true
                return
            }
            number += 1
        }
    }

    /// Block `number`, from memory or from disk; waits for it if the request does.
    private func block(
        _ number: BlockNumber,
        _ range: SeekRange,
        _ insistsOnHealth: Bool,
        _ channel: OrderingChannel
    ) async throws -> DeliverableBlock {
        while true {
            try Task.checkCancellation()
            let (next, version) = channel.feed.find(number, insistsOnHealth: insistsOnHealth)
            switch next {
            case .block(let block): return block
            case .stored(let log):
                if let block = try await self.stored(number, log) { return block }
            case .notYet:
                guard range.waits else {
                    throw Refusal(status: .notFound, info: "block \(number) does not exist yet")
                }
            case .failed(let reason): throw Refusal.unavailable(reason)
            case .closed:
                throw Refusal.unavailable("this node doesn't serve the channel any more: ask another orderer")
            }
            await channel.feed.change(since: version)
        }
    }

    private func stored(_ number: BlockNumber, _ log: BlockLog) async throws -> DeliverableBlock? {
        do {
            return try await self.workers.run {
                try log.serializedBlock(number).map { DeliverableBlock(number: number, serialized: $0) }
            }
        } catch {
            throw Refusal(status: .internalServerError, info: "block \(number) can't be read: \(error)")
        }
    }

    /// Checks that the requester may read the channel now; its signature is checked on another thread.
    private func evaluated(_ access: ReaderAccess, _ channel: OrderingChannel) async throws -> ReaderAccess {
        let now = self.date()
        return try await self.workers.run {
            let configuration = channel.configuration
            var access = access
            try access.evaluate(under: configuration, at: now)
            return access
        }
    }
}

/// Whether who asked for blocks may read them, as of a configuration.
///
/// Source: Fabric v3.1, package `common/deliver`, access control of a session.
struct ReaderAccess: Sendable {
    let headers: EnvelopeHeaders
    let checksExpiration: Bool
    private var sequence: UInt64?
    private var expiresAt: Date?

    init(headers: EnvelopeHeaders, checksExpiration: Bool) {
        self.headers = headers
        self.checksExpiration = checksExpiration
    }

    /// Whether the configuration has changed since the last evaluation.
    func isOutdated(by configuration: ChannelConfiguration) -> Bool {
        self.sequence.map { configuration.sequence > $0 } ?? true
    }

    /// Evaluates the Readers policy.
    mutating func evaluate(under configuration: ChannelConfiguration, at now: Date) throws(Refusal) {
        if self.expiresAt == nil,
            let creator = try? configuration.directory.identity(from: headers.signature.creator)
        {
            self.expiresAt = creator.certificate.notAfter
        }
        try self.checkExpiration(at: now)
        let isMaintenance = configuration.orderer?.isMaintenance ?? false
        let path = isMaintenance ? "/Channel/Orderer/Readers" : "/Channel/Readers"
        do {
            try configuration.policies.evaluate(path, [self.headers.signedData])
        } catch {
            throw .forbidden(
                "policy \(path) of channel \(configuration.channelID) is not satisfied: \(error)"
            )
        }
        self.sequence = configuration.sequence
    }

    /// An expired certificate ends the stream, also in the middle.
    func checkExpiration(at now: Date) throws(Refusal) {
        guard self.checksExpiration, let expiresAt, now > expiresAt else { return }
        throw .forbidden("the requester's certificate expired at \(expiresAt): renew it and ask again")
    }
}
