internal import Channel
package import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import Ledger
internal import Logging
internal import SwiftProtobuf

/// The channels of one node: runs them, and lets an administrator join, remove, change and look at them meanwhile.
///
/// Each channel has its stores, its thread and its consensus to itself; one that fails leaves the others alone.
/// Joining and removing are done one after the other on a thread of their own; what they change on disk is complete or
/// undone whenever the process ends (``ChannelFolders``).
///
/// Source: Fabric v3.1, documentation of the channel participation API.
package final class ChannelRegistrar: Sendable {
    private enum Entry: Sendable {
        case running(OrderingChannel, ThreadEnd)
        /// The folder can't be read; the reason.
        case damaged(String)
        /// The folder is about to be deleted.
        case removing
        /// The folder could not be deleted; the reason.
        case undeleted(String)
    }

    private struct State {
        var entries: [ChannelID: Entry] = [:]
        /// Channels that were found at start and have no thread yet.
        var idle: [ChannelThread] = []
        var removals: [ThreadEnd] = []
        var isStopped = false
    }

    /// What clients reach of the channels.
    let channels = OrderingChannels()
    private let folders: ChannelFolders
    private let settings: OrderingChannel.Settings
    /// How channels are joined and removed: one after the other.
    private let administration = WorkerThreads(name: "administration", count: 1)
    /// Where updates are checked and blocks are read.
    private let workers = WorkerThreads(name: "participation", count: 2)
    private let state = Monitor(State())

    /// Opens the data folder, begins the channels of `genesisBlocks` and checks that every channel can be opened.
    ///
    /// A channel that can't is reported, and tried again while the others run.
    ///
    /// - Throws: ``OrdererError`` for a data folder or genesis block that can't be used; `KeyValueStoreError` if another
    ///   process has the folder open.
    init(
        folders: ChannelFolders,
        settings: OrderingChannel.Settings,
        genesisBlocks: [Common_Block]
    ) throws {
        self.folders = folders
        self.settings = settings
        let contents = try folders.open(beginning: genesisBlocks)
        for channel in contents.removed {
            settings.logger.warning(
                "the genesis block of a removed channel is ignored; join it again to begin it anew",
                metadata: ["channel": "\(channel)"]
            )
        }
        for (channel, reason) in contents.damaged {
            self.report("channel can't be opened", channel, reason)
            self.state.withLock { $0.entries[channel] = .damaged(reason) }
        }
        for (channel, reason) in contents.undeleted {
            self.report("channel is removed but can't be deleted", channel, reason)
            self.state.withLock { $0.entries[channel] = .undeleted(reason) }
        }
        for channel in contents.channels {
            let thread = self.thread(channel.configuration, join: channel.join)
            do {
                try thread.check()
            } catch let error as KeyValueStoreError where error.code == .locked {
                throw error
            } catch {
                self.report("channel can't be opened", thread.channel.id, "\(error)")
            }
            self.add(thread, isStarted: false)
        }
    }

    private func thread(_ configuration: ChannelConfiguration, join: Common_Block) -> ChannelThread {
        let folders = self.folders
        let channel = configuration.channelID
        return ChannelThread(
            channel: OrderingChannel(configuration: configuration, settings: self.settings),
            join: join,
            openStores: { try folders.openStores(channel) }
        )
    }

    private func add(_ thread: ChannelThread, isStarted: Bool) {
        let isStopped = self.state.withLock { state in
            state.entries[thread.channel.id] = .running(thread.channel, thread.end)
            if !isStarted { state.idle.append(thread) }
            return state.isStopped
        }
        self.channels.add(thread.channel)
        if isStarted { thread.start() }
        if isStopped { thread.channel.stop() }
    }

    private func report(_ event: Logger.Message, _ channel: ChannelID, _ reason: String) {
        self.settings.logger.critical(event, metadata: ["channel": "\(channel)", "error": "\(reason)"])
    }

    // MARK: - Running

    /// Begins to order.
    func start() {
        let threads = self.state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for thread in threads { thread.start() }
    }

    /// Has the other consenters of the node's channels take over, and those who wait here get their answers, for `limit`
    /// at most.
    func leave(within limit: Duration) async {
        let channels = self.channels.all
        for channel in channels { channel.leave() }
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end, !channels.allSatisfy(\.hasLeft) {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
        }
    }

    /// Begins to stop every channel.
    func stop() {
        self.state.withLock { $0.isStopped = true }
        for channel in self.channels.all { channel.stop() }
    }

    /// Waits until every channel has stopped and every removal is done.
    func finish() async {
        let ends = self.state.withLock { state in
            state.removals
                + state.entries.values.compactMap { entry in
                    if case .running(_, let end) = entry { end } else { nil }
                }
        }
        try? await self.workers.run { for end in ends { end.wait() } }
    }

    /// Why the node doesn't order some channel; empty if all is well.
    var failures: [String] {
        let entries = self.state.withLock { $0.entries }
        return entries.sorted { $0.key < $1.key }.compactMap { channel, entry in
            switch entry {
            case .running(let channel, _):
                channel.health == .following ? nil : channel.health.failure(channel.id)
            case .damaged(let reason): "channel \(channel): \(reason)"
            case .removing, .undeleted: nil
            }
        }
    }

    // MARK: - Looking

    /// The names of all channels, in order; also of those that are being removed.
    package var names: [String] {
        self.state.withLock { $0.entries.keys.sorted().map(\.description) }
    }

    /// What there is to know about a channel.
    ///
    /// - Throws: ``ParticipationError/channelUnknown(_:)``.
    package func info(_ name: String) throws(ParticipationError) -> ChannelInfo {
        switch try self.entry(name).entry {
        case .running(let channel, _): return Self.info(channel)
        case .damaged, .removing:
            return ChannelInfo(name: name, consensusRelation: .consenter, status: .inactive, height: 0)
        case .undeleted:
            return ChannelInfo(name: name, consensusRelation: .consenter, status: .failed, height: 0)
        }
    }

    private func entry(_ name: String) throws(ParticipationError) -> (id: ChannelID, entry: Entry) {
        guard let id = try? ChannelID(name), let entry = self.state.withLock({ $0.entries[id] }) else {
            throw .channelUnknown(name)
        }
        return (id, entry)
    }

    private static func info(_ channel: OrderingChannel) -> ChannelInfo {
        let standing = channel.standing
        let status: ChannelInfo.Status =
            switch channel.health {
            case .starting, .serving, .leaderless, .following: standing.isOnboarding ? .onboarding : .active
            case .unavailable, .halted, .stopped: .inactive
            }
        return ChannelInfo(
            name: channel.id.description,
            consensusRelation: standing.relation,
            status: status,
            height: channel.feed.height
        )
    }

    /// A block of a channel.
    ///
    /// - Throws: ``ParticipationError`` if there is no such channel or block, or it can't be read.
    package func block(_ selector: BlockSelector, of name: String) async throws -> Common_Block {
        let channel = try self.running(name)
        return try await self.workers.run { try Self.block(selector, of: channel) }
    }

    private func running(_ name: String) throws(ParticipationError) -> OrderingChannel {
        switch try self.entry(name) {
        case (_, .running(let channel, _)): return channel
        case (let id, .damaged(let reason)):
            throw .blockUnknown("channel \(id) can't be opened: \(reason)")
        case (let id, .removing): throw .removalPending(id)
        case (let id, .undeleted(let reason)): throw .removalFailed(id, reason)
        }
    }

    private static func block(_ selector: BlockSelector, of channel: OrderingChannel) throws -> Common_Block {
        guard channel.isServed else {
            throw ParticipationError.blockUnknown("this node follows channel \(channel.id)")
        }
        let height = channel.feed.height
        switch selector {
        case .none: throw ParticipationError.blockUnknown("no block has a number below 0")
        case .oldest: return try self.block(0, of: channel)
        case .number(let number): return try self.block(number, of: channel)
        case .newest, .config:
            guard height > 0 else {
                throw ParticipationError.blockUnknown("channel \(channel.id) has no blocks yet")
            }
            let newest = try self.block(height - 1, of: channel)
            guard selector == .config, !newest.isConfigBlock else { return newest }
            return try self.block(newest.lastConfigNumber(), of: channel)
        }
    }

    private static func block(_ number: BlockNumber, of channel: OrderingChannel) throws -> Common_Block {
        if let block = try channel.feed.block(number) { return block }
        throw ParticipationError.blockUnknown(
            "channel \(channel.id) has no block \(number): it has \(channel.feed.height) blocks"
        )
    }

    // MARK: - Changing

    /// Begins to order a channel, from its genesis block; or to follow it, if the block is a later one or this node is
    /// no consenter.
    ///
    /// - Throws: ``ParticipationError``; then nothing has changed.
    package func join(_ block: Common_Block) async throws -> ChannelInfo {
        let channel = try await self.administration.run { try self.begin(JoinBlock(block)) }
        await channel.opened()
        let info = Self.info(channel)
        self.settings.logger.info(
            "joined channel",
            metadata: ["channel": "\(channel.id)", "height": "\(info.height)", "status": "\(info.status)"]
        )
        return info
    }

    private func begin(_ join: JoinBlock) throws -> OrderingChannel {
        let id = join.configuration.channelID
        let (entry, isStopped) = self.state.withLock { ($0.entries[id], $0.isStopped) }
        switch entry {
        case .running: throw ParticipationError.channelExists(id, note: nil)
        case .damaged(let reason):
            throw ParticipationError.channelExists(
                id,
                note:
                    "but can't open it: \(reason); restore its folder, or remove the channel and join it again"
            )
        case .removing: throw ParticipationError.removalPending(id)
        case .undeleted(let reason): throw ParticipationError.removalFailed(id, reason)
        case nil: break
        }
        guard !isStopped else { throw ParticipationError.refused("this node is shutting down") }
        do {
            try join.checkOrderable(at: self.settings.date())
            try self.folders.begin(id, with: join.block)
        } catch {
            throw ParticipationError.refused("\(error)")
        }
        let thread = self.thread(join.configuration, join: join.block)
        do {
            try thread.check()
        } catch {
            self.undo(id)
            throw ParticipationError.refused("\(error)")
        }
        self.add(thread, isStarted: true)
        return thread.channel
    }

    private func undo(_ channel: ChannelID) {
        do {
            try self.folders.undo(channel)
        } catch {
            self.report("channel is not joined but can't be deleted", channel, error.description)
            self.state.withLock { $0.entries[channel] = .undeleted(error.description) }
        }
    }

    /// Stops a channel and deletes everything of it.
    ///
    /// Returns when the removal is decided; the files go soon after. A removal that failed is tried again.
    ///
    /// - Throws: ``ParticipationError``.
    package func remove(_ name: String) async throws {
        try await self.administration.run { try self.beginRemoval(name) }
    }

    private func beginRemoval(_ name: String) throws(ParticipationError) {
        let (id, entry) = try self.entry(name)
        if case .removing = entry { throw .removalPending(id) }
        do {
            try self.folders.beginRemoval(id)
        } catch {
            throw .refused("channel \(id) is left as it is: \(error)")
        }
        let removal = ThreadEnd()
        self.state.withLock { state in
            state.entries[id] = .removing
            state.removals.append(removal)
        }
        self.channels.remove(id)
        let thread = Thread {
            if case .running(let channel, let end) = entry {
                channel.stop()
                end.wait()
                Self.waitForReaders(of: channel)
            }
            self.settings.removed(id)
            self.finishRemoval(id)
            removal.reached()
            self.state.withLock { state in state.removals.removeAll { $0 === removal } }
        }
        thread.name = "removal-\(id)"
        thread.start()
    }

    /// Gives those who read a block of the channel right now the time to finish.
    ///
    /// Deleting under them would be harmless, but the channel could not be joined again while they have it open.
    private static func waitForReaders(of channel: OrderingChannel) {
        let end = ContinuousClock.now + .seconds(30)
        while !channel.feed.isReleased, ContinuousClock.now < end { Thread.sleep(forTimeInterval: 0.005) }
    }

    private func finishRemoval(_ channel: ChannelID) {
        do {
            try self.folders.finishRemoval(channel)
            self.state.withLock { $0.entries[channel] = nil }
            self.settings.logger.info("removed channel", metadata: ["channel": "\(channel)"])
        } catch {
            self.report("channel is removed but can't be deleted", channel, error.description)
            self.state.withLock { $0.entries[channel] = .undeleted(error.description) }
        }
    }

    /// Orders a configuration update, as Broadcast would, and waits until it is in a block.
    ///
    /// - Throws: ``ParticipationError``.
    package func update(_ envelope: Common_Envelope) async throws -> ChannelInfo {
        let (name, headers) = try Self.channel(ofUpdate: envelope)
        let channel: OrderingChannel
        switch try self.entry(name) {
        case (_, .running(let running, _)): channel = running
        case (let id, .damaged(let reason)):
            throw ParticipationError.refused("channel \(id) can't be opened: \(reason)")
        case (let id, .removing): throw ParticipationError.removalPending(id)
        case (let id, .undeleted(let reason)): throw ParticipationError.removalFailed(id, reason)
        }
        guard channel.isServed else { throw ParticipationError.notConsenter(channel.id) }
        let answer: Orderer_BroadcastResponse
        do {
            answer = await channel.order(try await self.workers.run { try channel.check(envelope, headers) })
        } catch let refusal as Refusal {
            answer = refusal.response
        }
        guard answer.status == .success else {
            throw ParticipationError.refused(
                "failed update config of channel \(name): \(answer.status): \(answer.info)"
            )
        }
        return Self.info(channel)
    }

    /// The channel that a configuration update is for.
    private static func channel(
        ofUpdate envelope: Common_Envelope
    ) throws(ParticipationError) -> (String, EnvelopeHeaders) {
        let headers: EnvelopeHeaders
        do {
            headers = try EnvelopeHeaders(envelope)
        } catch {
            throw .invalidUpdate("\(error)")
        }
        guard headers.channel.type == Int32(Common_HeaderType.configUpdate.rawValue) else {
            throw .invalidUpdate("bad type: \(headers.channel.type) is not CONFIG_UPDATE (2)")
        }
        guard !headers.channel.channelID.isEmpty else { throw .invalidUpdate("empty channel id") }
        do {
            let update = try Common_ConfigUpdateEnvelope(serializedBytes: headers.payload.data)
            let channel = try Common_ConfigUpdate(serializedBytes: update.configUpdate).channelID
            guard channel == headers.channel.channelID else {
                throw ParticipationError.invalidUpdate(
                    "it is for channel \"\(channel)\", its envelope for \"\(headers.channel.channelID)\""
                )
            }
            return (channel, headers)
        } catch let error as ParticipationError {
            throw error
        } catch {
            throw .invalidUpdate("\(error)")
        }
    }
}
