internal import Cryptography
package import FabricProtos
package import FoundationEssentials
internal import Synchronization

/// The MSPs of a channel, and the identities that were seen on it.
///
/// A directory lives as long as the configuration it was made from, so what it remembers never outlives that
/// configuration. It may be used from any number of threads.
///
/// - Source: Fabric v3.1, `msp` package, `MSPManager` and `msp/cache`.
package final class MembershipDirectory: Sendable {
    private let msps: [MSPID: MSP]
    private let cache: Mutex<IdentityCache>

    /// How many identities are remembered by default: a thousand clients, and some to spare.
    package static let defaultCacheCapacity = 4096

    /// - Throws: ``MSPError`` if two MSPs have one name.
    package init(_ msps: [MSP], cacheCapacity: Int = defaultCacheCapacity) throws(MSPError) {
        var directory: [MSPID: MSP] = [:]
        for msp in msps {
            guard directory.updateValue(msp, forKey: msp.id) == nil else {
                throw MSPError(msp: msp.id.description, reason: "the channel has two MSPs of this name")
            }
        }
        self.msps = directory
        self.cache = Mutex(IdentityCache(capacity: cacheCapacity))
    }

    package subscript(_ id: MSPID) -> MSP? { self.msps[id] }

    /// The names of all MSPs, sorted.
    package var mspIDs: [MSPID] { self.msps.keys.sorted() }

    /// Reads a serialized identity, or recalls it.
    ///
    /// - Parameter serialized: a `SerializedIdentity`, as transmitted.
    /// - Returns: the identity, which need not be valid: see ``validate(_:)``.
    /// - Throws: ``IdentityError`` if it is malformed, or the channel has no such MSP or authority.
    package func identity(from serialized: Data) throws(IdentityError) -> Identity {
        let key = IdentityCache.Key(bytes: serialized)
        if let identity = self.cache.withLock({ $0[key] }) { return identity }
        let message = try MSP.decode(serialized)
        guard let id = try? MSPID(message.mspid), let msp = self.msps[id] else {
            let known = self.mspIDs.map(\.description).joined(separator: ", ")
            throw IdentityError(.unknownMSP, "MSP \"\(message.mspid)\" is not defined here; known: \(known)")
        }
        let identity = try msp.identity(from: message, serialized: Data(serialized))
        // Only what an MSP accepts is remembered, so strangers cannot push members out.
        if identity.fault == nil {
            self.cache.withLock { $0[IdentityCache.Key(bytes: identity.serialized)] = identity }
        }
        return identity
    }

    /// When the certificate of a serialized identity expires, also that of a stranger; `nil` if none can be read.
    ///
    /// - Source: Fabric v3.1, `common/crypto`, `ExpiresAt`.
    package func expiry(of serialized: Data) -> Date? {
        if let identity = try? self.identity(from: serialized) { return identity.certificate.notAfter }
        guard let message = try? MSP.decode(serialized) else { return nil }
        return try? Certificate(pem: message.idBytes).notAfter
    }

    /// Checks that `identity` is a member of its MSP.
    package func validate(_ identity: Identity) throws(IdentityError) {
        try self.msp(of: identity).validate(identity)
    }

    /// Checks that `identity` is the one that `principal` asks for.
    ///
    /// - Throws: ``IdentityError`` with the reason if it is not.
    package func satisfies(_ identity: Identity, _ principal: Principal) throws(IdentityError) {
        try self.msp(of: identity).satisfies(identity, principal)
    }

    /// Checks that `identity` is the one that `principal` asks for.
    ///
    /// - Throws: ``IdentityError`` with the reason if it is not.
    package func satisfies(_ identity: Identity, _ principal: Common_MSPPrincipal) throws(IdentityError) {
        try self.satisfies(identity, Principal(principal))
    }

    private func msp(of identity: Identity) throws(IdentityError) -> MSP {
        guard let msp = self.msps[identity.mspID] else {
            throw IdentityError(.unknownMSP, "MSP \"\(identity.mspID)\" is not defined here")
        }
        return msp
    }
}

/// Identities by their serialized bytes, in two generations: when the young one is full, the old one is dropped.
private struct IdentityCache {
    /// Hashes by the last bytes, which hold the certificate's signature; `Data` itself hashes the first 80 bytes,
    /// in which the certificates of one authority hardly differ.
    struct Key: Hashable {
        var bytes: Data

        func hash(into hasher: inout Hasher) {
            hasher.combine(self.bytes.count)
            self.bytes.suffix(96).withUnsafeBytes { hasher.combine(bytes: $0) }
        }
    }

    private let capacity: Int
    private var young: [Key: Identity] = [:]
    private var old: [Key: Identity] = [:]

    init(capacity: Int) { self.capacity = max(2, capacity) }

    subscript(key: Key) -> Identity? {
        mutating get {
            if let identity = self.young[key] { return identity }
            guard let identity = self.old[key] else { return nil }
            self[key] = identity
            return identity
        }
        set {
            if self.young.count >= self.capacity / 2 {
                self.old = self.young
                self.young = [:]
            }
            self.young[key] = newValue
        }
    }
}
