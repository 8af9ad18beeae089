package import Channel
package import FabricProtos
internal import Foundation
package import Ledger
internal import Synchronization

/// How the block processing of a channel stands.
package enum ChannelStatus: Equatable, Sendable, CustomStringConvertible {
    /// Blocks are taken and committed.
    case running
    /// No orderer gives blocks at present; the peer keeps trying.
    case waiting(String)
    /// The next block, as the orderers give it, is not well-formed or not signed; the peer keeps trying.
    case refusing(String)
    /// The disk doesn't take blocks; the ledger is opened again from time to time.
    case suspended(String)
    /// The channel stopped before a block that can't be processed; the ledger is as it was before that block.
    case halted(String)

    /// Whether the ledger of the channel can grow, as far as the peer knows.
    package var isHealthy: Bool {
        switch self {
        case .running, .waiting: true
        case .refusing, .suspended, .halted: false
        }
    }

    /// Why nothing can be committed until something is mended, `nil` if blocks are taken.
    package var outage: String? {
        switch self {
        case .suspended, .halted: "\(self)"
        case .running, .waiting, .refusing: nil
        }
    }

    package var description: String {
        switch self {
        case .running: "running"
        case .waiting(let reason): "waiting: \(reason)"
        case .refusing(let reason): "refusing: \(reason)"
        case .suspended(let reason): "suspended: \(reason)"
        case .halted(let reason): "halted: \(reason)"
        }
    }
}

/// A channel that a peer has joined: its ledger, its configuration in force, and news of its commits.
package final class PeerChannel: Sendable {
    package let id: ChannelID
    package let ledger: Ledger
    package let committed: CommitNotifier
    /// What was tried to get private data that is missing.
    package let missingPrivateData = MissingPrivateDataRecord()

    private struct State {
        var configuration: ChannelConfiguration
        var status: ChannelStatus = .running
        /// Who is told of new configurations.
        var observers: [UInt64: AsyncStream<ChannelConfiguration>.Continuation] = [:]
        var lastObserver: UInt64 = 0
    }

    private let state: Mutex<State>

    /// Opens the channel that `ledger` holds, whose first block must be there.
    ///
    /// - Throws: ``PeerChannelError`` if the ledger has no configuration, or one that this peer can't follow.
    package init(_ ledger: Ledger) throws {
        self.id = ledger.channelID
        self.ledger = ledger
        self.committed = CommitNotifier(height: ledger.height)
        self.state = Mutex(State(configuration: try Self.storedConfiguration(of: ledger)))
    }

    /// The configuration in force after the last committed block.
    package var configuration: ChannelConfiguration { self.state.withLock { $0.configuration } }

    /// The configuration in force, and each one that comes into force after it; of several that come while nobody
    /// looks, the newest.
    func configurations() -> AsyncStream<ChannelConfiguration> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: ChannelConfiguration.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        let number = self.state.withLock { state in
            state.lastObserver &+= 1
            state.observers[state.lastObserver] = continuation
            continuation.yield(state.configuration)
            return state.lastObserver
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.observers.removeValue(forKey: number) }
        }
        return stream
    }

    /// How block processing stands: for logs, health checks and error messages.
    package var status: ChannelStatus {
        get { self.state.withLock { $0.status } }
        set { self.state.withLock { $0.status = newValue } }
    }

    /// Notes that the channel can't go on, and tells all who wait for a block.
    func halt(_ reason: String) {
        self.status = .halted(reason)
        self.committed.close("the channel has stopped: \(reason)")
    }

    /// Notes that the disk takes no blocks for the time being, and tells all who wait for one.
    func suspend(_ reason: String) {
        self.status = .suspended(reason)
        self.committed.close("the channel is suspended: \(reason)")
    }

    /// Opens the ledger again after ``suspend(_:)``, and goes on from where it ends.
    ///
    /// - Throws: the error of the disk, which is still not mended.
    func resume() throws {
        let height = self.ledger.height
        try self.ledger.reopen()
        self.committed.open()
        // A block whose commit failed may have become durable after all.
        for number in height..<max(height, self.ledger.height) {
            guard let block = try self.ledger.block(number) else { continue }
            let summary = BlockSummary(block)
            self.advance(
                to: CommittedBlock(
                    block: block,
                    codes: summary.codes,
                    commitHash: summary.commitHash ?? Data()
                ),
                configuration: block.isConfigBlock ? try Self.storedConfiguration(of: self.ledger) : nil,
                transactionIDs: block.data.data.map { DecodedTransaction.indexedIdentifier(of: $0) }
            )
        }
        self.status = .running
    }

    /// Block `number`, from memory if it is one of the last, otherwise from disk; `nil` if there is none yet.
    package func block(_ number: BlockNumber) throws -> Common_Block? {
        if let recent = self.committed.recentBlock(number) { return recent.block }
        guard number < self.ledger.height else { return nil }
        return try self.ledger.block(number)
    }

    /// The committed definition of a chaincode, `nil` if there is none.
    package func definition(of chaincode: String) throws -> ChaincodeDefinition? {
        try LifecycleState.definition(of: chaincode, in: self.ledger.snapshot())
    }

    /// What has become of a transaction; waits until it is committed.
    ///
    /// Of several transactions with one identifier, the first in the ledger answers.
    ///
    /// - Throws: `CommitNotifier.TooManyWaiters`, `CancellationError`, or the ledger's error.
    package func status(
        ofTransaction identifier: String
    ) async throws -> CommitNotifier.TransactionStatus {
        try await self.committed.waitForTransaction(identifier) {
            try self.ledger.transaction(identifier).map {
                CommitNotifier.TransactionStatus(code: $0.code, block: $0.block)
            }
        }
    }

    /// Takes note of a committed block: from now on readers see it, and its configuration is in force.
    func advance(
        to committed: CommittedBlock,
        configuration: ChannelConfiguration?,
        transactionIDs: [String?]
    ) {
        if let configuration { self.adopt(configuration) }
        self.committed.publish(committed, transactionIDs: transactionIDs)
    }

    /// Puts a configuration in force and tells whoever follows configurations.
    func adopt(_ configuration: ChannelConfiguration) {
        let observers = self.state.withLock { state in
            state.configuration = configuration
            return Array(state.observers.values)
        }
        for observer in observers { observer.yield(configuration) }
    }

    private static func storedConfiguration(of ledger: Ledger) throws -> ChannelConfiguration {
        guard let number = try ledger.log.lastConfigBlockNumber(), let block = try ledger.block(number) else {
            throw PeerChannelError(ledger.channelID, "its ledger has no configuration block; join it again")
        }
        let configuration = try ChannelConfiguration(configBlock: block)
        guard configuration.channelID == ledger.channelID else {
            throw PeerChannelError(
                ledger.channelID,
                "its ledger holds the configuration of channel \(configuration.channelID); "
                    + "restore the right data folder"
            )
        }
        try configuration.checkPeerCanFollow()
        return configuration
    }
}

/// A channel that can't be opened, joined or gone on with.
package struct PeerChannelError: Error, Sendable, CustomStringConvertible {
    package var channel: String
    package var reason: String

    package init(_ channel: ChannelID, _ reason: String) {
        self.channel = channel.description
        self.reason = reason
    }

    package var description: String { "channel \(self.channel): \(self.reason)" }
}
