package import Channel
package import FabricProtos
package import Foundation

/// The peers whose certificates are known, each under its ``PKIID``.
///
/// A peer of the own organization is judged by the local MSP, others by the MSPs of any channel that both are in. Unlike
/// Fabric's, a peer of the own organization is refused, too, when a channel's configuration revokes its certificate: that
/// reaches every peer at once, while the revocation lists of local MSPs are files on each of them.
///
/// - Source: Fabric v3.1, packages `gossip/identity` and `internal/pkg/peer/gossip` (`MSPMessageCryptoService`).
package struct Identities: Sendable {
    /// A peer whose certificate is valid.
    package struct Known: Sendable {
        package var identity: Identity
        package var mspID: MSPID { self.identity.mspID }
        /// The serialized identity.
        package var serialized: Data { self.identity.serialized }
        /// Its `peer_identity` message, as its owner signed it; `nil` if only a connection has shown the identity.
        package var envelope: Gossip_Envelope?
        package var lastUsed: Duration
    }

    private let ownOrganization: MSPID
    private let local: MembershipDirectory
    private var channels: [ChannelID: MembershipDirectory] = [:]
    package private(set) var known: [PKIID: Known] = [:]
    private let verifies: Verification
    /// How many peers of one organization are known.
    ///
    /// What one invents takes no other's place.
    var perOrganization = GossipOptions().identitiesPerOrganization
    /// Nanoseconds since 1970: certificates expire.
    package internal(set) var wallClock: UInt64 = 0

    /// Whether an identity's key made a signature (second) of some bytes (third).
    package typealias Verification = @Sendable (Identity, Data, Data) -> Bool

    /// Who isn't needed for so long is forgotten.
    package static let unusedPeriod: Duration = .seconds(3_600)

    /// - Parameters:
    ///   - ownOrganization: The organization of this peer.
    ///   - local: Its MSP alone.
    ///   - verifies: How signatures are verified.
    package init(
        ownOrganization: MSPID,
        local: MembershipDirectory,
        verifies: @escaping Verification = { (try? $0.verify($1, of: $2)) != nil }
    ) {
        self.ownOrganization = ownOrganization
        self.local = local
        self.verifies = verifies
    }

    /// Reads and judges a serialized identity.
    ///
    /// - Returns: its name and what it says.
    /// - Throws: ``IdentityError`` if no MSP vouches for it.
    package func judge(_ serialized: Data) throws -> (PKIID, Identity) {
        let pkiID = try PKIID(identity: serialized)
        let identity = try self.validated(serialized)
        guard self.wallClock == 0 || !identity.isExpired(at: Self.date(self.wallClock)) else {
            throw IdentityError(.untrusted, "the certificate of \(identity) has expired")
        }
        return (pkiID, identity)
    }

    private static func date(_ wallClock: UInt64) -> Date {
        Date(timeIntervalSince1970: Double(wallClock) / 1e9)
    }

    private func validated(_ serialized: Data) throws(IdentityError) -> Identity {
        let directories = self.channels.sorted { $0.key < $1.key }.map(\.value)
        if let own = try? self.local.identity(from: serialized) {
            try self.local.validate(own)
            for directory in directories {
                guard let same = try? directory.identity(from: serialized) else { continue }
                do throws(IdentityError) {
                    try directory.validate(same)
                } catch  where error.code == .revoked {
                    throw error
                } catch {
                    // A channel may know other authorities of the organization than the local MSP does.
                }
            }
            return own
        }
        var refusal: IdentityError?
        for directory in directories {
            do throws(IdentityError) {
                let identity = try directory.identity(from: serialized)
                try directory.validate(identity)
                return identity
            } catch {
                if refusal == nil || refusal?.code == .unknownMSP { refusal = error }
            }
        }
        throw refusal
            ?? IdentityError(
                .unknownMSP,
                "the identity is of another organization, and no channel is common to both"
            )
    }

    /// Takes note of an identity.
    ///
    /// `envelope` is the signed `peer_identity` message that brought it, if one did.
    ///
    /// - Returns: its name.
    /// - Throws: ``IdentityError`` if no MSP vouches for it, or its organization has too many peers.
    @discardableResult
    package mutating func learn(
        _ serialized: Data,
        envelope: Gossip_Envelope? = nil,
        now: Duration
    ) throws -> PKIID {
        let (pkiID, identity) = try self.judge(serialized)
        let earlier = self.known[pkiID]
        guard earlier != nil || self.makeRoom(for: identity.mspID) else {
            throw IdentityError(
                .untrusted,
                "\(identity.mspID) has shown too many certificates of peers"
            )
        }
        self.known[pkiID] = Known(identity: identity, envelope: envelope ?? earlier?.envelope, lastUsed: now)
        return pkiID
    }

    package func mspID(of peer: PKIID) -> MSPID? { self.known[peer]?.mspID }

    package func isOfOwnOrganization(_ peer: PKIID) -> Bool {
        self.known[peer]?.mspID == self.ownOrganization
    }

    /// Whether `peer`, who must be known, signed the payload of `envelope`.
    package mutating func hasSigned(_ peer: PKIID, _ envelope: Gossip_Envelope, now: Duration) -> Bool {
        guard let known = self.known[peer], !envelope.signature.isEmpty else { return false }
        guard self.verifies(known.identity, envelope.signature, envelope.payload) else { return false }
        self.known[peer]?.lastUsed = now
        return true
    }

    /// Whether an identity signed the payload of `envelope`.
    func hasSigned(_ identity: Identity, _ envelope: Gossip_Envelope) -> Bool {
        !envelope.signature.isEmpty && self.verifies(identity, envelope.signature, envelope.payload)
    }

    /// Takes note that a peer is there.
    mutating func use(_ peer: PKIID, now: Duration) { self.known[peer]?.lastUsed = now }

    /// Puts a channel's configuration in force.
    ///
    /// - Returns: those who were known and whom no MSP vouches for any longer: they are forgotten.
    package mutating func configure(_ configuration: ChannelConfiguration) -> [PKIID] {
        self.channels[configuration.channelID] = configuration.directory
        return self.review()
    }

    /// Forgets the MSPs of a channel.
    package mutating func leave(_ channel: ChannelID) -> [PKIID] {
        self.channels[channel] = nil
        return self.review()
    }

    private mutating func review() -> [PKIID] {
        let refused = self.known.filter { (try? self.judge($0.value.serialized)) == nil }.keys.sorted()
        for peer in refused { self.known[peer] = nil }
        return refused
    }

    /// Those whose certificates have expired.
    func expired() -> [PKIID] {
        let date = Self.date(self.wallClock)
        return self.known.filter { $0.value.identity.isExpired(at: date) }.keys.sorted()
    }

    mutating func forget(_ peer: PKIID) { self.known[peer] = nil }

    /// Forgets the peer of a full organization that was not needed for longest; not one that was just heard of.
    private mutating func makeRoom(for organization: MSPID) -> Bool {
        guard self.known.count >= self.perOrganization else { return true }
        let others = self.known.filter { $0.value.mspID == organization }
        guard others.count >= self.perOrganization else { return true }
        guard let newest = others.values.map(\.lastUsed).max(),
            let oldest = others.min(by: { ($0.value.lastUsed, $0.key) < ($1.value.lastUsed, $1.key) }),
            newest - oldest.value.lastUsed >= Self.evictableAfter
        else { return false }
        self.known[oldest.key] = nil
        return true
    }

    /// Only who was silent for so long makes room for another.
    private static let evictableAfter: Duration = .seconds(60)

    /// Forgets those, other than `kept`, who have not been needed since `moment`.
    package mutating func forget(unusedSince moment: Duration, except kept: Set<PKIID>) {
        self.known = self.known.filter { kept.contains($0.key) || $0.value.lastUsed >= moment }
    }
}
