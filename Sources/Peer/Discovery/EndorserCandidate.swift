package import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// A peer that may be asked to endorse, and what is known of it.
package struct EndorserCandidate: Sendable {
    package var mspID: MSPID
    /// `host:port` at which the peer is reached.
    package var endpoint: String
    /// What the peer told of itself; `nil` for one that gossip has not met, of which only the endpoint is known.
    package var member: ChannelMember?
    package var isSelf: Bool

    package init(_ member: ChannelMember) {
        self.mspID = member.mspID
        self.endpoint = member.endpoint
        self.member = member
        self.isSelf = member.isSelf
    }

    /// A peer that was not met: an anchor peer of the channel's configuration, or the peer itself before it knows what
    /// it has.
    package init(mspID: MSPID, endpoint: String, isSelf: Bool) {
        self.mspID = mspID
        self.endpoint = endpoint
        self.isSelf = isSelf
    }

    package var ledgerHeight: UInt64 { self.member?.ledgerHeight ?? 0 }

    /// What keeps a peer from endorsing.
    struct Exclusion: Sendable {
        var reason: String
        /// How many blocks the peer had when it told what it has, if that is the reason; it may have more by now.
        var toldAt: UInt64?
    }

    /// Why the peer can't endorse what `criteria` are about; `nil` if it can, or nothing is known of it.
    func exclusion(by criteria: EndorsementCriteria, _ directory: MembershipDirectory) -> Exclusion? {
        for collection in criteria.collections {
            let isMember = collection.members.contains { self.satisfies(Principal($0), directory) }
            guard isMember else {
                return Exclusion(
                    reason:
                        "it is no member of collection \(collection.name) of chaincode \(collection.chaincode)"
                )
            }
        }
        guard let member = self.member else { return nil }
        for chaincode in criteria.chaincodes
        where chaincode != InstalledDefinitions.lifecycle && !member.chaincodes.contains(chaincode) {
            let other = member.chaincodes.first { $0.name == chaincode.name }
            return Exclusion(
                reason: other.map {
                    "it has chaincode \(chaincode.name) at sequence \($0.sequence), not \(chaincode.sequence)"
                }
                    ?? "chaincode \(chaincode.name) is not installed there, or its organization has not approved it",
                toldAt: member.ledgerHeight
            )
        }
        return nil
    }

    /// Whether the peer is of `principal`.
    ///
    /// Of a peer that was not met this is a guess: that it is a peer of its organization and of whatever unit or
    /// certificate of it is asked for. The committing peers judge the real endorsement.
    func satisfies(_ principal: Principal, _ directory: MembershipDirectory) -> Bool {
        guard let member = self.member else { return self.mightSatisfy(principal) }
        guard let identity = try? directory.identity(from: member.identity) else { return false }
        do {
            try directory.satisfies(identity, principal)
            return true
        } catch {
            return false
        }
    }

    private func mightSatisfy(_ principal: Principal) -> Bool {
        switch principal {
        case .role(let mspID, let role):
            (role == .member || role == .peer) && mspID == self.mspID.description
        case .organizationUnit(let mspID, _, _):
            mspID == self.mspID.description
        case .identity(let bytes):
            (try? Msp_SerializedIdentity(serializedBytes: bytes))?.mspid == self.mspID.description
        case .combined(let parts):
            parts.allSatisfy { self.mightSatisfy($0) }
        case .anonymity(let isNominal):
            isNominal
        case .malformed:
            false
        }
    }
}
