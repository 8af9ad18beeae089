internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// A proposal that is refused before any contract runs.
struct ProposalRefused: Error, CustomStringConvertible {
    /// What the client is told.
    var description: String
    /// What the operator is told, where that is more.
    var privateReason: String?
}

/// What is asked of a proposal before a contract runs, apart from rights.
///
/// - Source: Fabric v3.1, `core/handlers/auth/filter` and `core/endorser/msgvalidation.go`.
struct ProposalChecks: Sendable {
    /// How far a proposal's time may be from the peer's (`peer.authentication.timewindow`).
    static let timeWindow: TimeInterval = 15 * 60

    private let local: MembershipDirectory
    private let now: @Sendable () -> Date

    init(localMSP: MSP, now: @escaping @Sendable () -> Date) throws {
        self.local = try MembershipDirectory([localMSP])
        self.now = now
    }

    /// Decodes the proposal.
    ///
    /// A proposal that is both stale and malformed is refused as stale, as far as its headers can be read:
    /// Fabric's filters run before the endorser.
    func unpack(_ signed: Protos_SignedProposal) throws -> UnpackedProposal {
        do {
            return try UnpackedProposal(signed)
        } catch {
            let headers: (channel: Common_ChannelHeader, signature: Common_SignatureHeader)
            do {
                let proposal = try Protos_Proposal(serializedBytes: signed.proposalBytes)
                let header = try Common_Header(serializedBytes: proposal.header)
                headers.channel = try Common_ChannelHeader(serializedBytes: header.channelHeader)
                headers.signature = try Common_SignatureHeader(serializedBytes: header.signatureHeader)
            } catch let undecodable {
                throw ProposalRefused(
                    description: "failed parsing proposal: error unmarshalling Proposal: \(undecodable)"
                )
            }
            try self.checkExpiry(of: headers.signature.creator, directory: self.local)
            try self.checkTime(headers.channel.timestamp)
            throw ProposalRefused(description: error.description)
        }
    }

    /// Refuses a creator whose certificate has expired, and a proposal made too long ago or in the future.
    func checkFreshness(of proposal: UnpackedProposal, directory: MembershipDirectory?) throws {
        try self.checkExpiry(of: proposal.signatureHeader.creator, directory: directory ?? self.local)
        try self.checkTime(proposal.channelHeader.timestamp)
    }

    private func checkExpiry(of creator: Data, directory: MembershipDirectory) throws {
        // Whoever isn't known here is refused later, with the reason.
        guard let expiry = directory.expiry(of: creator) else { return }
        guard self.now() <= expiry else {
            let name = (try? directory.identity(from: creator))?.description ?? "a stranger"
            throw ProposalRefused(
                description: "proposal client identity expired",
                privateReason: "the certificate of \(name) expired at \(expiry)"
            )
        }
    }

    private func checkTime(_ timestamp: Google_Protobuf_Timestamp) throws {
        let now = self.now()
        guard abs(timestamp.date.timeIntervalSince(now)) <= Self.timeWindow else {
            let style = Date.ISO8601FormatStyle()
            throw ProposalRefused(
                description: """
                    request unauthorized due to incorrect timestamp \(timestamp.date.formatted(style)), \
                    peer time \(now.formatted(style)), peer.authentication.timewindow 15m0s
                    """
            )
        }
    }

    /// Checks the headers' values, and that a valid member of the channel signed the proposal.
    ///
    /// Without a channel, a member of the peer's own organization must have.
    func authenticate(
        _ proposal: UnpackedProposal,
        directory: MembershipDirectory?
    ) throws -> Identity {
        do {
            try proposal.checkHeaders()
        } catch {
            throw ProposalRefused(description: "error validating proposal: \(error)")
        }
        let members = directory ?? self.local
        let creator = proposal.signatureHeader.creator
        let channel = proposal.channelHeader.channelID
        do {
            let identity = try members.identity(from: creator)
            try members.validate(identity)
            try identity.verify(proposal.signedProposal.signature, of: proposal.signedProposal.proposalBytes)
            return identity
        } catch {
            guard let serialized = try? Msp_SerializedIdentity(serializedBytes: creator),
                let identifier = try? MSPID(serialized.mspid), members[identifier] != nil
            else {
                let mspID = (try? Msp_SerializedIdentity(serializedBytes: creator))?.mspid
                throw ProposalRefused(
                    description: """
                        error validating proposal: access denied: channel [\(channel)] creator org unknown, \
                        creator is malformed
                        """,
                    privateReason: """
                        channel [\(channel)]: the creator \
                        \(mspID.map { "is of the unknown MSP \"\($0)\"" } ?? "is no SerializedIdentity message")
                        """
                )
            }
            // Fabric keeps the reason to itself, so that a stranger learns nothing.
            throw ProposalRefused(
                description: """
                    error validating proposal: access denied: channel [\(channel)] creator org \
                    [\(serialized.mspid)]
                    """,
                privateReason: "channel [\(channel)], creator org [\(serialized.mspid)]: \(error)"
            )
        }
    }

    /// Refuses a transaction that is in the ledger already, valid or not.
    func refuseDuplicate(_ proposal: UnpackedProposal, on channel: any EndorsingChannel) throws {
        let snapshot = channel.ledger.snapshot()
        guard try !snapshot.containsTransaction(proposal.channelHeader.txID) else {
            throw ProposalRefused(
                description: """
                    duplicate transaction found [\(proposal.channelHeader.txID)]. \
                    Creator [\(proposal.signatureHeader.creator.hexadecimal)]
                    """
            )
        }
        channel.expect(proposal.channelHeader.txID, asOf: snapshot.height)
    }
}
