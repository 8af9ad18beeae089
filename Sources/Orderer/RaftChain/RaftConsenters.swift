internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// The consenters and options of an etcdraft channel, checked.
///
/// Source: Fabric v3.1, package `orderer/consensus/etcdraft`, validation of the consensus metadata.
struct RaftConsenters: Equatable {
    /// Each consenter's TLS certificate as client, which identifies it, in the order of the configuration.
    let certificates: [Data]
    /// Each consenter's TLS certificate as server, by whose public key a node finds itself.
    let serverCertificates: [Data]
    /// Where each consenter is reached, `host:port`.
    let endpoints: [String]
    let options: Options

    /// How the consenters keep time, and how much they have on the way.
    struct Options: Equatable {
        var tickInterval: Duration
        /// Ticks without a leader after which a node campaigns.
        var electionTick: Int
        /// Ticks between two signs of life of a leader.
        var heartbeatTick: Int
        /// Blocks that a leader has proposed and that are not decided.
        var maxInflightBlocks: Int
        /// Bytes of blocks between two points at which the log is shortened.
        var snapshotIntervalBytes: Int
    }

    var count: Int { self.certificates.count }

    /// Reads the consenters of a configuration.
    ///
    /// - Throws: ``OrdererError`` if this node can't order such a channel, ``InvalidConsensusMetadata`` if nobody can.
    init(_ configuration: ChannelConfiguration) throws {
        guard let orderer = configuration.orderer else {
            throw OrdererError.noOrdererSection(configuration.channelID)
        }
        guard orderer.consensusType == "etcdraft" else {
            throw OrdererError.unsupportedConsensus(configuration.channelID, type: orderer.consensusType)
        }
        try self.init(metadata: orderer.consensusMetadata)
    }

    /// Reads the value of ConsensusType's metadata.
    init(metadata: Data) throws(InvalidConsensusMetadata) {
        let message: Etcdraft_ConfigMetadata
        do {
            message = try Etcdraft_ConfigMetadata(serializedBytes: metadata)
        } catch {
            throw InvalidConsensusMetadata("it can't be decoded: \(error)")
        }
        guard message.hasOptions else { throw InvalidConsensusMetadata("it has no options") }
        self.options = try Options(message.options)
        guard !message.consenters.isEmpty else { throw InvalidConsensusMetadata("empty consenter set") }
        var seen: Set<Data> = []
        for consenter in message.consenters {
            guard !consenter.clientTlsCert.isEmpty, !consenter.serverTlsCert.isEmpty else {
                throw InvalidConsensusMetadata(
                    "consenter \(consenter.host):\(consenter.port) lacks a TLS certificate"
                )
            }
            for certificate in Set([consenter.clientTlsCert, consenter.serverTlsCert])
            where !seen.insert(certificate).inserted {
                throw InvalidConsensusMetadata(
                    "consenter \(consenter.host):\(consenter.port) has a TLS certificate that another one has too"
                )
            }
        }
        self.certificates = message.consenters.map(\.clientTlsCert)
        self.serverCertificates = message.consenters.map(\.serverTlsCert)
        self.endpoints = message.consenters.map { "\($0.host):\($0.port)" }
    }

    /// Whether the consenters may become `next` in one update; one may be added, removed or replaced.
    ///
    /// - Throws: ``InvalidConsensusMetadata``.
    func checkChange(to next: RaftConsenters) throws(InvalidConsensusMetadata) {
        let added = next.certificates.count { !self.certificates.contains($0) }
        let removed = self.certificates.count { !next.certificates.contains($0) }
        guard added <= 1, removed <= 1 else {
            throw InvalidConsensusMetadata(
                "update of more than one consenter at a time is not supported, "
                    + "requested changes: add \(added) node(s), remove \(removed) node(s)"
            )
        }
    }
}

/// Consensus metadata in a configuration that nobody could order with.
struct InvalidConsensusMetadata: Error, Equatable, CustomStringConvertible {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    var description: String { "invalid consensus metadata: \(self.reason)" }
}

extension RaftConsenters.Options {
    /// The default of Fabric for the size that a channel leaves open, in bytes.
    private static let defaultSnapshotInterval = 16 << 20

    init(_ options: Etcdraft_Options) throws(InvalidConsensusMetadata) {
        guard options.heartbeatTick > 0 else {
            throw InvalidConsensusMetadata("HeartbeatTick must be above 0")
        }
        guard options.electionTick > 0 else { throw InvalidConsensusMetadata("ElectionTick must be above 0") }
        guard options.electionTick > options.heartbeatTick else {
            throw InvalidConsensusMetadata(
                "ElectionTick (\(options.electionTick)) must be greater than HeartbeatTick (\(options.heartbeatTick))"
            )
        }
        guard options.maxInflightBlocks > 0 else {
            throw InvalidConsensusMetadata("MaxInflightBlocks must be above 0")
        }
        guard let interval = GoDuration.parse(options.tickInterval), interval > .zero else {
            throw InvalidConsensusMetadata(
                "TickInterval \"\(options.tickInterval)\" is no duration above 0, such as \"500ms\""
            )
        }
        self.tickInterval = interval
        self.electionTick = Int(options.electionTick)
        self.heartbeatTick = Int(options.heartbeatTick)
        self.maxInflightBlocks = Int(options.maxInflightBlocks)
        self.snapshotIntervalBytes =
            options.snapshotIntervalSize == 0
            ? Self.defaultSnapshotInterval : Int(options.snapshotIntervalSize)
    }
}
