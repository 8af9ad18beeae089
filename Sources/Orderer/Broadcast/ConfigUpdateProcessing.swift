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
    /// The consenters that are known to work, none as long as that isn't known; `nil` where it doesn't matter.
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
        } catch {
            throw self.inapplicable(error)
        }
        let transition = ConsensusTransition(current: current, next: next, now: self.rules.now)
        do {
            try transition.checkMaintenance()
        } catch {
            throw self.inapplicable(error)
        }
        do {
            try next.checkBFTConsenters()
        } catch {
            // Fabric finds this in its BFT consenter, and answers with this status.
            throw .unavailable("\(error)")
        }
        do {
            try transition.checkConsenters()
            try self.checkQuorum(from: current, to: next)
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw self.inapplicable(error)
        }
        return next.config
    }

    private func inapplicable(_ error: any Error) -> Refusal {
        .badRequest(
            "error applying config update to existing channel '\(self.rules.configuration.channelID)': \(error)"
        )
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
            _ = try ChannelConsenters(ChannelConfiguration(channelID: current.channelID, config: config))
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

    /// An update must not leave so few working consenters that nothing could be ordered, where starting some first
    /// avoids that.
    private func checkQuorum(from current: ChannelConfiguration, to next: ChannelConfiguration) throws {
        guard let active, case .raft(let known) = try ChannelConsenters(current),
            case .raft(let next) = try ChannelConsenters(next)
        else { return }
        // Which identifiers they have doesn't matter for counting, as long as both counts have the same.
        let metadata = ConsenterMetadata(
            identifiers: self.identifiers,
            next: (self.identifiers.max() ?? 0) + 1,
            raftIndex: 0
        )
        guard metadata.identifiers.count == known.count else { return }
        let change = try ConsenterChange(from: known, to: next, metadata: metadata)
        guard !change.losesQuorum(active: active) else {
            guard !active.isEmpty else {
                throw Refusal.unavailable(
                    "channel \(self.rules.configuration.channelID) has only just got its leader, which doesn't know yet how "
                        + "many consenters work, and so whether the change leaves enough of them: try again"
                )
            }
            throw InvalidConfigUpdate(
                "\(active.count) out of \(known.count) nodes are alive, configuration will result in quorum loss"
            )
        }
    }
}

/// An update that is authorized but leads to a configuration that can't be.
struct InvalidConfigUpdate: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
