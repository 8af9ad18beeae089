/// Whether and whom a peer tells of other peers.
package struct DiscoverySettings: Equatable, Sendable {
    /// Whether the service is there at all (`peer.discovery.enabled`).
    package var isOffered: Bool
    /// Whether all members of the peer's organization may ask which peers are alive, not only its administrators
    /// (`peer.discovery.orgMembersAllowedAccess`).
    package var membersMayAskLocally: Bool

    package init(isOffered: Bool = true, membersMayAskLocally: Bool = false) {
        self.isOffered = isOffered
        self.membersMayAskLocally = membersMayAskLocally
    }
}

/// How much one request to discovery may ask for.
///
/// Fabric has no such limits; the largest requests of its clients ask for a handful of queries.
package struct DiscoveryLimits: Sendable {
    /// Bytes of a request's payload.
    package var requestBytes = 1 << 20
    /// Queries in one request.
    package var queries = 50
    /// Interests in all queries of one request: each takes a computation of layouts.
    package var interests = 50
    /// Chaincodes of one interest.
    package var chaincodes = 50
    /// Collections of one chaincode of an interest.
    package var collections = 200
    /// Policies of keys in one interest.
    package var keyPolicies = 500

    package init() {}
}
