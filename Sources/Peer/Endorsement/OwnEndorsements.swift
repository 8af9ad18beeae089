package import Channel
internal import Cryptography
internal import Foundation
internal import Synchronization

/// The endorsements that this peer has made lately and not yet seen in a block.
///
/// When a block comes that holds one of them, the peer need not verify its own signature: it would repeat the
/// computation of a moment ago. Everything else is judged anew: whether the identity is still a valid member, and
/// whether it satisfies the policy. What is kept is a digest of the identity, of what was signed and of the signature
/// itself, so a transaction that differs in one bit is verified like any other.
///
/// Bounded: the older half is forgotten when the younger half is full. Nothing is kept over a restart.
package final class OwnEndorsements: Sendable {
    private struct State {
        var young: Set<Data> = []
        var old: Set<Data> = []
    }

    private let state = Mutex(State())
    private let capacity: Int

    /// - Parameter capacity: How many endorsements are kept at most.
    package init(capacity: Int = 16_384) {
        self.capacity = max(2, capacity)
    }

    /// Notes an endorsement that this peer has just signed.
    package func add(_ endorsement: SignedData) {
        let digest = Self.digest(endorsement)
        self.state.withLock { state in
            if state.young.count >= self.capacity / 2 {
                state.old = state.young
                state.young = []
            }
            state.young.insert(digest)
        }
    }

    /// Whether this peer has made `endorsement`; it is forgotten with the answer.
    package func take(_ endorsement: SignedData) -> Bool {
        // A peer that catches up, or doesn't endorse, need not compute digests.
        guard self.state.withLock({ !$0.young.isEmpty || !$0.old.isEmpty }) else { return false }
        let digest = Self.digest(endorsement)
        return self.state.withLock { $0.young.remove(digest) != nil || $0.old.remove(digest) != nil }
    }

    /// Two of the three parts come with their lengths, so that no part can be taken for another.
    private static func digest(_ endorsement: SignedData) -> Data {
        let lengths = (UInt64(endorsement.identity.count), UInt64(endorsement.data.count))
        var digest = DigestStream(.sha256)
        withUnsafeBytes(of: lengths) { digest.update(Data($0)) }
        digest.update(endorsement.identity)
        digest.update(endorsement.data)
        digest.update(endorsement.signature)
        return digest.finalize()
    }
}
