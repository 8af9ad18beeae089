internal import Channel
internal import FabricProtos

/// Whom a peer may be told of.
///
/// A peer of another organization hears of the own organization and of its own; and only what has an external endpoint,
/// if it has one itself. Internal addresses stay inside.
///
/// - Source: Fabric v3.1, `gossip/gossip`, `disclosurePolicy`.
struct Disclosure: Sendable {
    private let organization: MSPID
    private let hasExternalEndpoint: Bool
    private let own: MSPID

    /// - Parameters:
    ///   - organization: of the peer that asks.
    ///   - hasExternalEndpoint: whether other organizations can reach it.
    ///   - own: the organization of this peer.
    init(to organization: MSPID, hasExternalEndpoint: Bool, own: MSPID) {
        self.organization = organization
        self.hasExternalEndpoint = hasExternalEndpoint
        self.own = own
    }

    func shows(_ member: AliveMember) -> Bool {
        if member.mspID == self.organization { return true }
        return member.mspID == self.own && !member.externalEndpoint.isEmpty && self.hasExternalEndpoint
    }

    func envelope(of envelope: Gossip_Envelope) -> Gossip_Envelope {
        self.organization == self.own ? envelope : envelope.withoutSecret
    }
}
