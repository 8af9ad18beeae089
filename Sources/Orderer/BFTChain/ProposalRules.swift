internal import Channel
internal import Consensus
internal import Cryptography
internal import Dispatch
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Why a consenter doesn't support a block.
struct InvalidProposal: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// What a consenter of a BFT channel checks of a leader's block before it votes for it, as if a liar had made it.
///
/// Whether a certificate has expired is not asked: the answer depends on the clock, and honest nodes must not differ.
/// Who took the envelope in has asked.
///
/// Source: Fabric v3.1, package `orderer/consensus/smartbft`, verification of proposals.
struct ProposalRules: Sendable {
    let configuration: ChannelConfiguration
    /// The block before.
    let previous: Common_BlockHeader
    /// The config block in force.
    let lastConfig: BlockNumber
    /// Checks an update; its signer and nonce are not used.
    let updates: ConfigUpdateProcessing

    /// - Parameters:
    ///   - proposed: what the leader proposed.
    ///   - ballot: where it proposed it.
    ///   - known: of these envelopes, which were ordered before, and which has this node checked itself under the
    ///     configuration in force.
    /// - Returns: The transactions that this node had not checked before.
    /// - Throws: ``InvalidProposal``, or another error that says what is wrong.
    func check(
        _ proposed: ProposedBlock,
        _ ballot: BFTBallot,
        known: ([EnvelopeFingerprint]) -> [KnownEnvelope]
    ) throws -> [EnvelopeFingerprint] {
        let block = proposed.block
        guard block.header.number == ballot.round.height else {
            throw InvalidProposal("block \(block.header.number) was proposed as block \(ballot.round.height)")
        }
        try block.checkStructure(after: self.previous, expected: ballot.round.height)
        let isConfig = block.isConfigBlock
        let lastConfig = isConfig ? block.header.number : self.lastConfig
        guard proposed.lastConfig == lastConfig else {
            throw InvalidProposal(
                "it names block \(proposed.lastConfig) as the one with its configuration instead of \(lastConfig)"
            )
        }
        guard isConfig else { return try self.checkNormal(block.data.data, known) }
        try self.checkConfig(block.data.data[0])
        return []
    }

    // MARK: - Transactions

    private func checkNormal(
        _ envelopes: [Data],
        _ known: ([EnvelopeFingerprint]) -> [KnownEnvelope]
    ) throws -> [EnvelopeFingerprint] {
        let limits = self.configuration.orderer?.batch
        guard envelopes.count <= limits?.maxMessageCount ?? 0 else {
            throw InvalidProposal("it has \(envelopes.count) transactions, more than MaxMessageCount")
        }
        // The limit is one of payloads and signatures; what frames them is a few bytes for each.
        let size = envelopes.reduce(0) { $0 + $1.count }
        guard size <= (limits?.absoluteMaxBytes ?? 0) + envelopes.count * Self.framing else {
            throw InvalidProposal("its transactions have \(size) bytes, more than AbsoluteMaxBytes")
        }
        let fingerprints = envelopes.map { EnvelopeFingerprint($0) }
        guard Set(fingerprints).count == fingerprints.count else {
            throw InvalidProposal("it has a transaction twice")
        }
        var unchecked: [(fingerprint: EnvelopeFingerprint, bytes: Data)] = []
        for ((fingerprint, bytes), knowledge) in zip(zip(fingerprints, envelopes), known(fingerprints)) {
            switch knowledge {
            case .ordered: throw InvalidProposal("it has a transaction that was ordered before")
            case .checked: break
            case .unknown: unchecked.append((fingerprint, bytes))
            }
        }
        try self.check(unchecked.map(\.bytes))
        return unchecked.map(\.fingerprint)
    }

    /// The tags and lengths of an envelope's two fields.
    private static let framing = 12

    /// Checks envelopes that this node has not seen, as at its own Broadcast, on as many cores as there are.
    private func check(_ envelopes: [Data]) throws {
        guard envelopes.count > 1 else {
            for envelope in envelopes { try self.check(envelope) }
            return
        }
        let faults = Monitor<[Int: String]>([:])
        DispatchQueue.concurrentPerform(iterations: envelopes.count) { index in
            do {
                try self.check(envelopes[index])
            } catch {
                faults.withLock { $0[index] = "\(error)" }
            }
        }
        let first = faults.withLock { $0.min { $0.key < $1.key } }
        if let first { throw InvalidProposal(first.value) }
    }

    private func check(_ envelope: Data) throws {
        let headers = try self.headers(envelope)
        try EnvelopeRules.checkOrderedByBFT(headers)
        try self.updates.rules.checkNormal(headers)
    }

    private func headers(_ envelope: Data) throws -> EnvelopeHeaders {
        let headers = try EnvelopeHeaders(Common_Envelope(serializedBytes: envelope))
        guard headers.channel.channelID == self.configuration.channelID.description else {
            throw InvalidProposal("it has a transaction of channel \"\(headers.channel.channelID)\"")
        }
        return headers
    }

    // MARK: - Configuration

    /// The configuration must be what the client's update leads to.
    private func checkConfig(_ envelope: Data) throws {
        let headers = try self.headers(envelope)
        try self.updates.rules.checkCommon(headers)
        let content = try Common_ConfigEnvelope(serializedBytes: headers.payload.data)
        let update = try EnvelopeHeaders(content.lastUpdate)
        guard update.channel.channelID == self.configuration.channelID.description,
            try EnvelopeRules.kind(update) == .configUpdate
        else { throw InvalidProposal("its configuration comes from no update of this channel") }
        guard try self.updates.configuration(after: update) == content.config else {
            throw InvalidProposal("its configuration isn't what its update leads to")
        }
    }
}

/// What a consenter knows of an envelope that a leader proposes.
enum KnownEnvelope: Equatable {
    /// It is in a block.
    case ordered
    /// This node has checked it under the configuration in force.
    case checked
    case unknown
}

extension EnvelopeRules {
    /// A BFT channel takes transactions only, and configuration updates.
    ///
    /// Source: Fabric v3.1, package `orderer/consensus/smartbft`, verification of requests: other types get in no block.
    static func checkOrderedByBFT(_ headers: EnvelopeHeaders) throws(Refusal) {
        guard headers.channel.type == Int32(Common_HeaderType.endorserTransaction.rawValue) else {
            throw .badRequest(
                "message of type \(headers.channel.type) can't be ordered on a BFT channel: send transactions "
                    + "(type 3) or configuration updates"
            )
        }
    }
}
