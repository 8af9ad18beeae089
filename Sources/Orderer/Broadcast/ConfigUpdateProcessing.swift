internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Turns a client's CONFIG_UPDATE into the CONFIG envelope that is ordered.
///
/// Source: Fabric v3.1, packages `orderer/common/msgprocessor` and `common/configtx`.
struct ConfigUpdateProcessing: Sendable {
    let rules: EnvelopeRules
    let signer: SigningIdentity
    let nonce: @Sendable () -> Data
    /// The consenters that are known to work; `nil` if that isn't known.
    var active: [NodeID]?
    /// The consenters' identifiers in the order of the configuration.
    var identifiers: [NodeID] = []

    /// Checks an update, authorizes it and computes the configuration that it leads to.
    func configuration(after headers: EnvelopeHeaders) throws(Refusal) -> Common_Config {
        try self.rules.checkCommon(headers)
        let current = self.rules.configuration
        let next: ChannelConfiguration
        do {
            let message = try Common_ConfigUpdateEnvelope(serializedBytes: headers.payload.data)
            next = try ChannelConfiguration(channelID: current.channelID, config: current.applying(message))
            try current.checkTransition(to: next)
            try self.checkSupported(next)
            try self.checkConsensus(from: current, to: next)
        } catch {
            throw .badRequest(
                "error applying config update to existing channel '\(current.channelID)': \(error)"
            )
        }
        do {
            try next.checkBFTConsenters()
        } catch {
            // Fabric finds this later than the rest, with this status.
            throw .unavailable("\(error)")
        }
        return next.config
    }

    /// Makes the CONFIG envelope of an update, signed by this orderer.
    ///
    /// It carries `update`, the client's envelope, unchanged.
    func configEnvelope(
        for update: Common_Envelope,
        _ headers: EnvelopeHeaders
    ) throws(Refusal) -> Common_Envelope {
        let current = self.rules.configuration
        let config = try self.configuration(after: headers)
        do {
            _ = try RaftConsenters(ChannelConfiguration(channelID: current.channelID, config: config))
        } catch {
            throw .badRequest("this node can't order under the new configuration: \(error)")
        }
        var content = Common_ConfigEnvelope()
        content.config = config
        content.lastUpdate = update
        do {
            let envelope = try Common_Envelope.signed(
                .config,
                channel: current.channelID.description,
                data: content.serializedBytes(),
                signer: self.signer,
                nonce: self.nonce(),
                timestamp: Date(timeIntervalSince1970: self.rules.now.timeIntervalSince1970.rounded(.down))
            )
            // The new envelope stands in a block: this orderer's organization must be a writer, too.
            try self.rules.checkCommon(try EnvelopeHeaders(envelope))
            return envelope
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw .badRequest("the new configuration can't be put into an envelope: \(error)")
        }
    }

    /// An orderer refuses what it would have to stop at; capabilities of Application are for peers to know.
    private func checkSupported(_ next: ChannelConfiguration) throws {
        for level in [Capabilities.Level.channel, .orderer] {
            let unknown = next.capabilities.unsupported(at: level)
            guard unknown.isEmpty else {
                throw InvalidConfigUpdate(
                    "\(level.rawValue) capability \(unknown.joined(separator: ", ")) is required but not supported"
                )
            }
        }
    }

    /// The rules of the consensus type, and of the maintenance mode in which it may change.
    private func checkConsensus(from current: ChannelConfiguration, to next: ChannelConfiguration) throws {
        guard let before = current.orderer, let after = next.orderer else { return }
        guard before.consensusType == after.consensusType else {
            guard before.isMaintenance, after.isMaintenance else {
                throw InvalidConfigUpdate(
                    "attempted to change the consensus type from \(before.consensusType) to \(after.consensusType) "
                        + "outside of maintenance mode"
                )
            }
            throw InvalidConfigUpdate("this node can't order by consensus type \"\(after.consensusType)\"")
        }
        if before.isMaintenance != after.isMaintenance {
            try self.checkOnlyStateChanges(from: current, to: next)
        }
        guard after.consensusType == "etcdraft" else { return }
        let known = try RaftConsenters(metadata: before.consensusMetadata)
        let consenters = try RaftConsenters(metadata: after.consensusMetadata)
        try consenters.checkCertificates(under: next, known: known, at: self.rules.now)
        try known.checkChange(to: consenters)
        try self.checkQuorum(from: known, to: consenters)
    }

    /// An update must not leave so few working consenters that nothing could be ordered, where starting some first
    /// avoids that.
    private func checkQuorum(from known: RaftConsenters, to next: RaftConsenters) throws {
        guard let active else { return }
        // Which identifiers they have doesn't matter for counting, as long as both counts have the same.
        let metadata = ConsenterMetadata(
            identifiers: self.identifiers,
            next: (self.identifiers.max() ?? 0) + 1,
            raftIndex: 0
        )
        guard metadata.identifiers.count == known.count else { return }
        let change = try ConsenterChange(from: known, to: next, metadata: metadata)
        guard !change.losesQuorum(active: active) else {
            throw InvalidConfigUpdate(
                "\(active.count) out of \(known.count) nodes are alive, configuration will result in quorum loss"
            )
        }
    }

    /// Entering or leaving maintenance mode is all that such an update does.
    private func checkOnlyStateChanges(from current: ChannelConfiguration, to next: ChannelConfiguration)
        throws
    {
        guard current.orderer?.consensusMetadata == next.orderer?.consensusMetadata else {
            throw InvalidConfigUpdate(
                "attempted to change the consensus metadata together with the consensus state"
            )
        }
        var before = current.config.channelGroup
        var after = next.config.channelGroup
        before.groups["Orderer"]?.values["ConsensusType"] = nil
        after.groups["Orderer"]?.values["ConsensusType"] = nil
        guard before == after else {
            throw InvalidConfigUpdate(
                "an update that enters or leaves maintenance mode must change nothing but /Channel/Orderer/ConsensusType"
            )
        }
    }
}

/// An update that is authorized but leads to a configuration that can't be.
struct InvalidConfigUpdate: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
