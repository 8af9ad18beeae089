internal import Consensus
internal import Foundation

/// What a configuration update does to the consenters of a channel.
///
/// A consenter is known by the exact bytes of its TLS certificate as client. One may be added, removed, or get another
/// certificate; everything else is refused before it is ordered.
///
/// Source: Fabric v3.1, package `orderer/consensus/etcdraft`, computation of membership changes.
struct ConsenterChange: Equatable {
    enum Kind: Equatable {
        /// Options, endpoints or the order changed, or nothing.
        case none
        case added(NodeID)
        case removed(NodeID)
        /// The consenter with this identifier shows other certificates from now on.
        case rotated(NodeID)
    }

    var kind: Kind
    /// The identifiers in the new order; the index of the entry is that of `metadata`.
    var metadata: ConsenterMetadata

    /// - Throws: ``InvalidConsensusMetadata`` if more than one consenter is added or removed.
    init(
        from current: RaftConsenters,
        to next: RaftConsenters,
        metadata: ConsenterMetadata
    ) throws(InvalidConsensusMetadata) {
        try current.checkChange(to: next)
        let known = Dictionary(
            zip(current.certificates, metadata.identifiers),
            uniquingKeysWith: { first, _ in first }
        )
        let removed = zip(current.certificates, metadata.identifiers)
            .first { !next.certificates.contains($0.0) }?.1
        var metadata = metadata
        var kind = removed.map(Kind.removed) ?? .none
        metadata.identifiers = []
        for certificate in next.certificates {
            if let id = known[certificate] {
                metadata.identifiers.append(id)
            } else if let removed {
                metadata.identifiers.append(removed)
                kind = .rotated(removed)
            } else {
                metadata.identifiers.append(metadata.next)
                kind = .added(metadata.next)
                metadata.next += 1
            }
        }
        self.kind = kind
        self.metadata = metadata
    }

    /// Whether so few of the consenters would be `active` that the channel could order nothing, although starting more
    /// of them first avoids that.
    func losesQuorum(active: [NodeID]) -> Bool {
        let size = self.metadata.identifiers.count
        let quorum = size / 2 + 1
        switch self.kind {
        case .none: return false
        case .added: return size > 2 && active.count < quorum
        case .rotated(let id): return size > 2 && active.count { $0 != id } < quorum
        case .removed(let id): return active.count { $0 != id } < quorum
        }
    }

    /// Whether the consenter with this identifier is removed or gets another certificate.
    func concerns(_ id: NodeID) -> Bool { self.kind == .removed(id) || self.kind == .rotated(id) }
}
