internal import Cryptography
internal import DequeModule
internal import FabricProtos
internal import Foundation

/// What identifies an envelope among others: SHA-256 of its bytes.
struct EnvelopeFingerprint: Hashable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    init(_ bytes: Data) {
        self.words = Digest.sha256(bytes).withUnsafeBytes { digest in
            (
                digest.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                digest.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                digest.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
                digest.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
            )
        }
    }

    static func == (left: Self, right: Self) -> Bool { left.words == right.words }

    /// A cryptographic hash is spread evenly already: one word of it will do.
    func hash(into hasher: inout Hasher) { hasher.combine(self.words.0) }
}

/// The envelopes ordered last, so that one that is sent again is answered and not ordered again.
///
/// The window is persisted with the blocks: at start it is filled again from the last of them.
struct DuplicateWindow: Sendable {
    /// How many envelopes of the newest blocks are remembered.
    static let capacity = 65_536

    /// Called with the answer of an envelope; at most once.
    typealias Completion = @Sendable (Orderer_BroadcastResponse) -> Void

    enum Claim {
        /// Not seen before: it must now be ordered.
        case new
        /// The same envelope is being ordered; the completion is called together with its own.
        case pending
        /// The same envelope is in a block.
        case ordered
    }

    private var ordered: Set<EnvelopeFingerprint> = []
    private var order: Deque<EnvelopeFingerprint> = []
    private var pending: [EnvelopeFingerprint: [Completion]] = [:]

    /// An envelope was sent.
    mutating func claim(_ fingerprint: EnvelopeFingerprint, _ completion: Completion?) -> Claim {
        if self.ordered.contains(fingerprint) { return .ordered }
        if self.pending[fingerprint] != nil {
            if let completion { self.pending[fingerprint]?.append(completion) }
            return .pending
        }
        self.pending[fingerprint] = completion.map { [$0] } ?? []
        return .new
    }

    /// Whether the envelope waits or was ordered lately.
    func knows(_ fingerprint: EnvelopeFingerprint) -> Bool {
        self.pending[fingerprint] != nil || self.ordered.contains(fingerprint)
    }

    /// Whether an envelope is in a block.
    func hasOrdered(_ fingerprint: EnvelopeFingerprint) -> Bool { self.ordered.contains(fingerprint) }

    /// An envelope is in a durable block.
    ///
    /// - Returns: Whom to tell.
    mutating func settle(_ fingerprint: EnvelopeFingerprint) -> [Completion] {
        self.remember(fingerprint)
        return self.pending.removeValue(forKey: fingerprint) ?? []
    }

    /// An envelope is not ordered, or it is not known whether it is.
    ///
    /// - Returns: Whom to tell.
    mutating func abandon(_ fingerprint: EnvelopeFingerprint) -> [Completion] {
        self.pending.removeValue(forKey: fingerprint) ?? []
    }

    /// Adds an envelope that is in a block; the oldest one is forgotten when there are too many.
    mutating func remember(_ fingerprint: EnvelopeFingerprint) {
        guard self.ordered.insert(fingerprint).inserted else { return }
        self.order.append(fingerprint)
        if self.order.count > Self.capacity, let oldest = self.order.popFirst() {
            self.ordered.remove(oldest)
        }
    }

    /// Forgets what is ordered; what is pending stays.
    mutating func forgetOrdered() {
        self.ordered = []
        self.order = []
    }
}
