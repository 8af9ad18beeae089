package import Channel
package import FabricProtos
internal import Foundation
package import Ledger
internal import SwiftProtobuf
internal import Synchronization

/// The channels that a peer has joined.
package final class ChannelRegistry: Sendable {
    /// Opens the ledger of a channel, or makes an empty one.
    package typealias LedgerOpener = @Sendable (ChannelID) throws -> Ledger

    private struct State {
        var channels: [ChannelID: PeerChannel] = [:]
        /// Channels that are being joined at this moment.
        var joining: Set<ChannelID> = []
        var observers: [AsyncStream<PeerChannel>.Continuation] = []
        var unopened: [ChannelID: UnopenedChannel] = [:]
    }

    private let openLedger: LedgerOpener
    private let state = Mutex(State())

    /// - Parameter openLedger: where ledgers are kept.
    package init(openLedger: @escaping LedgerOpener) {
        self.openLedger = openLedger
    }

    package subscript(_ id: ChannelID) -> PeerChannel? {
        self.state.withLock { $0.channels[id] }
    }

    /// All channels, by name.
    package var list: [PeerChannel] {
        self.state.withLock { Array($0.channels.values) }.sorted { $0.id.description < $1.id.description }
    }

    /// Joined channels that could not be opened, by name.
    package var unopened: [UnopenedChannel] {
        self.state.withLock { Array($0.unopened.values) }
            .sorted { $0.channel.description < $1.channel.description }
    }

    /// Why a joined channel could not be opened; `nil` if it is open, or not joined.
    package func failure(of id: ChannelID) -> UnopenedChannel? {
        self.state.withLock { $0.unopened[id] }
    }

    /// Notes why a channel could not be opened, or that it could.
    func note(_ failure: UnopenedChannel?, of id: ChannelID) {
        self.state.withLock { $0.unopened[id] = failure }
    }

    /// Every channel, those joined so far first, then each one as it is joined.
    package func joined() -> AsyncStream<PeerChannel> {
        AsyncStream { continuation in
            self.state.withLock { state in
                for channel in state.channels.values { continuation.yield(channel) }
                state.observers.append(continuation)
            }
        }
    }

    /// Opens a channel whose ledger is there already.
    ///
    /// - Throws: the ledger's error, or ``PeerChannelError`` if the channel can't be opened.
    /// - Returns: the channel, or `nil` if its ledger is empty because joining it was interrupted.
    @discardableResult
    package func open(_ id: ChannelID) throws -> PeerChannel? {
        if let channel = self[id] { return channel }
        let ledger = try self.openLedger(id)
        guard ledger.height > 0 else { return nil }
        let channel = try PeerChannel(ledger)
        self.add(channel)
        return channel
    }

    /// Joins the channel that its genesis block describes.
    ///
    /// - Throws: ``JoinError`` if `genesis` is not a block that this peer can start a channel from.
    @discardableResult
    package func join(_ genesis: Common_Block) throws -> PeerChannel {
        let configuration = try Self.configuration(toJoin: genesis)
        let id = configuration.channelID
        if let failure = self.failure(of: id) { throw JoinError("\(failure)") }
        let isFree = self.state.withLock { $0.channels[id] == nil && $0.joining.insert(id).inserted }
        guard isFree else { throw JoinError.alreadyJoined(id) }
        defer { self.state.withLock { _ = $0.joining.remove(id) } }

        let ledger = try self.openLedger(id)
        guard ledger.height <= 1 else { throw JoinError.alreadyJoined(id) }
        // A ledger of one block is left when the peer ended while it joined.
        if let first = ledger.lastHeader {
            guard first.hash == genesis.header.hash else {
                throw JoinError(
                    "the ledger of \(id) here begins with another genesis block (hash "
                        + "\(first.hash.hexadecimal.prefix(16))…); leave that channel first"
                )
            }
        } else {
            _ = try ledger.commit(Self.genesisToCommit(genesis))
        }
        let channel = try PeerChannel(ledger)
        self.add(channel)
        return channel
    }

    private func add(_ channel: PeerChannel) {
        self.state.withLock { state in
            state.channels[channel.id] = channel
            for observer in state.observers { observer.yield(channel) }
        }
    }

    /// Checks that a channel can start from `block` on this peer.
    private static func configuration(toJoin block: Common_Block) throws -> ChannelConfiguration {
        guard block.header.number == 0 else {
            throw JoinError(
                "block \(block.header.number) is given, but a channel is joined from its genesis block, number 0"
            )
        }
        do {
            try block.checkStructure(after: nil, expected: 0)
            guard block.isConfigBlock else { throw JoinError("the block holds no configuration") }
            let configuration = try ChannelConfiguration(configBlock: block)
            guard !configuration.isSystemChannel else {
                throw JoinError("it is a system channel (it has Consortiums), which peers don't join")
            }
            guard configuration.application != nil else {
                throw JoinError("the configuration has no Application section, so peers have no part in it")
            }
            try configuration.checkPeerCanFollow()
            return configuration
        } catch let error as JoinError {
            throw error
        } catch {
            throw JoinError("the genesis block can't be used: \(error)")
        }
    }

    private static func genesisToCommit(_ block: Common_Block) throws -> BlockToCommit {
        let envelope = block.data.data.first ?? Data()
        let headers = try EnvelopeHeaders(Common_Envelope(serializedBytes: envelope))
        return BlockToCommit(
            block: block,
            transactions: [
                TransactionToCommit(
                    code: .valid,
                    id: headers.indexedIdentifier,
                    readWriteSet: nil,
                    config: headers.payload.data
                )
            ]
        )
    }
}

/// A channel that can't be joined.
package struct JoinError: Error, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ reason: String) {
        self.description = "cannot join the channel: \(reason)"
    }

    static func alreadyJoined(_ id: ChannelID) -> Self {
        Self("ledger [\(id)] already exists with state [ACTIVE]")
    }
}
