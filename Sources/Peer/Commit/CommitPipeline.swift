package import Channel
package import FabricProtos
package import Foundation
internal import Ledger
package import Logging
package import Operations

/// The way of blocks into the ledger of one channel:
/// receive → check the chain → check signatures on all cores → policies, MVCC, commit → tell the waiting.
///
/// While one block commits, the signatures of the next ones are checked. Only a configuration block holds
/// that up: what follows it is checked under the configuration that it brings.
package struct CommitPipeline: Sendable {
    /// How far the pipeline reads ahead of the commit.
    package struct Limits: Equatable, Sendable {
        /// Blocks that wait for their commit, at most.
        package var blocks: Int
        /// Bytes of those blocks, at most; a block that is larger than that passes alone.
        package var bytes: Int

        package init(blocks: Int = 128, bytes: Int = 8 << 20) {
            self.blocks = max(1, blocks)
            self.bytes = max(1, bytes)
        }
    }

    private let channel: PeerChannel
    private let threads: VerificationThreads
    private let commitThread: BlockingExecutor
    private let limits: Limits
    private let localIdentity: Data
    private let own: OwnEndorsements?
    private let privateData: PrivateDataLink?
    private let metrics: LedgerMetrics
    private let logger: Logger

    /// - Parameters:
    ///   - channel: the channel whose ledger grows.
    ///   - threads: the threads that check signatures, shared by all channels.
    ///   - limits: how far blocks are read ahead.
    ///   - localIdentity: the peer's serialized identity, which decides what private data it keeps.
    ///   - own: the endorsements that this peer has made, if it endorses.
    ///   - privateData: the way to the peers that may have private data that is missing here.
    ///   - metrics: where each block is counted.
    ///   - logger: where each block is noted.
    package init(
        channel: PeerChannel,
        threads: VerificationThreads,
        limits: Limits = Limits(),
        localIdentity: Data,
        own: OwnEndorsements? = nil,
        privateData: PrivateDataLink? = nil,
        metrics: Metrics = Metrics(),
        logger: Logger
    ) {
        self.channel = channel
        self.threads = threads
        self.commitThread = BlockingExecutor(name: "weft-commit", threads: 1)
        self.limits = limits
        self.localIdentity = localIdentity
        self.own = own
        self.privateData = privateData
        self.metrics = LedgerMetrics(metrics, channel: channel.id)
        self.logger = logger
    }

    /// Commits `blocks` until they end.
    ///
    /// The first must be the block after the ledger's last. What was received before `blocks` failed is
    /// committed before this throws. Cancellation is noticed between blocks, never inside a commit.
    ///
    /// - Throws: ``ChannelHalted`` if the channel can't go on; ``RefusedBlock`` for a block that doesn't fit
    ///   or is not signed; otherwise the error of `blocks`.
    package func run<Blocks: AsyncSequence & Sendable>(
        _ blocks: Blocks
    ) async throws where Blocks.Element == Common_Block {
        let queue = BoundedQueue<PreparedBlock>(limit: self.limits.bytes)
        let received = try await withThrowingTaskGroup(of: Result<Void, any Error>?.self) { group in
            group.addTask {
                let result: Result<Void, any Error>
                do {
                    try await self.receive(blocks, into: queue)
                    result = .success(())
                } catch {
                    result = .failure(error)
                }
                queue.finish()
                return result
            }
            group.addTask(executorPreference: self.commitThread) {
                try await self.commit(queue)
                return nil
            }
            // The commit side ends by itself only after the receiving side, or by an error.
            var received = Result<Void, any Error>.success(())
            while let result = try await group.next() {
                if let result { received = result }
            }
            return received
        }
        try received.get()
    }

    /// Receives blocks, checks that each continues the chain, and starts to check its signatures.
    private func receive<Blocks: AsyncSequence & Sendable>(
        _ blocks: Blocks,
        into queue: BoundedQueue<PreparedBlock>
    ) async throws where Blocks.Element == Common_Block {
        var previous = self.channel.ledger.lastHeader
        var expected = self.channel.ledger.height
        var configuration = self.channel.configuration
        for try await block in blocks {
            do {
                try block.checkStructure(after: previous, expected: expected)
            } catch {
                throw RefusedBlock(self.channel.id, number: expected, error)
            }
            let prepared = PreparedBlock(
                block,
                configuration: configuration,
                own: self.own,
                threads: self.threads
            )
            try await queue.send(prepared, cost: self.cost(of: prepared))
            if block.isConfigBlock {
                try await self.channel.committed.waitForBlock(expected)
                configuration = self.channel.configuration
            }
            previous = block.header
            expected += 1
        }
    }

    private func commit(_ queue: BoundedQueue<PreparedBlock>) async throws {
        var committer = BlockCommitter(
            channel: self.channel,
            localIdentity: self.localIdentity,
            privateData: self.privateData,
            metrics: self.metrics,
            logger: self.logger
        )
        while let first = try await queue.next() {
            try await self.stage(first, &committer)
            // Blocks that are ready, too, as when the peer catches up, become durable together with this one.
            while committer.takesMore, let next = queue.nextIfReady(where: \.isChecked) {
                try await self.stage(next, &committer)
            }
            try self.commitStaged(&committer)
        }
    }

    /// Stages a block; commits those before it if that fails.
    private func stage(_ prepared: PreparedBlock, _ committer: inout BlockCommitter) async throws {
        do {
            try await committer.stage(prepared) { try self.commitStaged(&$0) }
        } catch let halt as ChannelHalted where halt.isDiskFailure {
            throw halt
        } catch let failure as UnsignedBlock {
            try self.commitStaged(&committer)
            throw RefusedBlock(self.channel.id, number: prepared.block.header.number, failure)
        } catch {
            try self.commitStaged(&committer)
            throw error
        }
    }

    private func commitStaged(_ committer: inout BlockCommitter) throws {
        for committed in try committer.commitStaged() {
            self.channel.status = .running
            self.log(committed.codes, block: committed.block.header.number)
        }
    }

    /// What a block counts towards the limits: its bytes, and at least its share of the number of blocks.
    private func cost(of block: PreparedBlock) -> Int {
        max(block.byteCount, self.limits.bytes / self.limits.blocks)
    }

    private func log(_ codes: [Protos_TxValidationCode], block: BlockNumber) {
        self.logger.info(
            "committed block",
            metadata: [
                "channel": "\(self.channel.id)",
                "block": "\(block)",
                "transactions": "\(codes.count)",
                "valid": "\(codes.count { $0 == .valid })",
            ]
        )
    }
}

/// A block that is not the next one of the channel, or that the channel's orderers have not signed.
///
/// Another orderer may have the right one.
package struct RefusedBlock: Error, Sendable, CustomStringConvertible {
    package var channel: String
    package var number: BlockNumber
    package var cause: any Error

    init(_ channel: ChannelID, number: BlockNumber, _ cause: any Error) {
        self.channel = channel.description
        self.number = number
        self.cause = cause
    }

    package var description: String {
        "channel \(self.channel): block \(self.number) as received is refused: \(self.cause)"
    }
}
