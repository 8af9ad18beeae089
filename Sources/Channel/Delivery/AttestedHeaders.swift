internal import FabricProtos

/// The headers that one orderer shows of the blocks after a node's own last one.
///
/// Each header must name the hash of the one before. Whether consenters have signed it is looked at only once it
/// matters, that is when the block itself does not come: a header whose block comes costs one hash. A few headers
/// are kept to look at, one for each ``spacing`` of time, however many come.
///
/// A configuration block comes whole, and is checked at once: the headers after it are held against what it says.
///
/// - Source: Fabric v3.1, package `common/deliverclient/blocksprovider`, header receiver.
struct AttestedHeaders: Sendable {
    /// A header that was shown, with what is needed to check it.
    struct Attestation: Sendable {
        /// Header and metadata.
        var block: Common_Block
        /// In force when the block was made.
        var configuration: ChannelConfiguration
        /// When it was shown.
        var time: Duration
        /// Whether its signatures were checked and suffice.
        var isProven = false

        var number: BlockNumber { self.block.header.number }
    }

    /// How many bytes of metadata a header may have, so that those that are kept need little memory.
    static let metadataLimit = 1 << 20

    /// How far apart in time the headers are that are kept, but for the newest.
    private let spacing: Duration
    /// The last header that was shown, or the one of the node's own last block when the stream began.
    private(set) var last: Common_BlockHeader
    private var configuration: ChannelConfiguration
    /// Those whose blocks have not come, oldest first.
    private(set) var attestations: [Attestation] = []
    /// Whether the newest stays when the next one comes.
    private var keepsNewest = true
    /// When the newest of those that stay came.
    private var anchor = Duration.zero

    /// - Parameters:
    ///   - header: Of the node's last block: the next one is expected.
    ///   - configuration: In force after that block.
    ///   - spacing: How far apart in time the headers are that are kept.
    init(after header: Common_BlockHeader, configuration: ChannelConfiguration, spacing: Duration) {
        self.last = header
        self.configuration = configuration
        self.spacing = spacing
    }

    /// Takes note of the next header.
    ///
    /// - Parameters:
    ///   - block: Header and metadata, or a whole configuration block.
    ///   - time: When it came.
    /// - Throws: ``MalformedBlock`` if it doesn't follow the last one; for a configuration block also
    ///   ``PolicyFailure`` if too few consenters have signed it, or ``ConfigurationError``.
    mutating func append(_ block: Common_Block, at time: Duration) throws {
        let isConfigBlock = block.isConfigBlock
        if isConfigBlock {
            try block.checkStructure(after: self.last, expected: self.last.number &+ 1)
        } else {
            try block.checkHeader(after: self.last, expected: self.last.number &+ 1)
        }
        guard block.metadata.metadata.reduce(0, { $0 + $1.count }) <= Self.metadataLimit else {
            throw MalformedBlock(
                number: block.header.number,
                reason: "its metadata are longer than \(Self.metadataLimit) bytes"
            )
        }
        var attestation = Attestation(block: block, configuration: self.configuration, time: time)
        attestation.block.clearData()
        if isConfigBlock {
            try block.verifySignatures(under: self.configuration)
            let next = try ChannelConfiguration(configBlock: block)
            guard next.channelID == self.configuration.channelID else {
                throw MalformedBlock(number: block.header.number, reason: "it is of another channel")
            }
            self.configuration = next
            attestation.isProven = true
        }
        self.last = block.header
        self.keep(attestation)
    }

    /// Keeps an attestation for good if it is the first for some time, else until the next one comes.
    ///
    /// So each header that was shown is kept, or a later one that came at most ``spacing`` after it.
    private mutating func keep(_ attestation: Attestation) {
        if let newest = self.attestations.last, !self.keepsNewest {
            if attestation.time < self.anchor + self.spacing {
                self.attestations.removeLast()
            } else {
                self.anchor = newest.time
            }
        }
        self.keepsNewest = self.attestations.isEmpty || attestation.time >= self.anchor + self.spacing
        if self.keepsNewest { self.anchor = attestation.time }
        self.attestations.append(attestation)
    }

    /// Drops the headers of blocks that the node has.
    mutating func drop(through number: BlockNumber) {
        self.attestations.removeAll { $0.number <= number }
    }

    /// Counts the time of all that was shown so far from zero: another orderer gives blocks now.
    mutating func restartTime() {
        for index in self.attestations.indices { self.attestations[index].time = .zero }
        self.anchor = .zero
    }

    /// Checks that consenters have signed the oldest header that is kept.
    ///
    /// - Throws: ``MalformedBlock`` or ``PolicyFailure``.
    mutating func proveOldest() throws {
        guard let oldest = self.attestations.first, !oldest.isProven else { return }
        try oldest.block.verifySignatures(under: oldest.configuration)
        self.attestations[0].isProven = true
    }
}
