/// What must survive a crash: what this node has promised at the height it is at.
///
/// Small, except for the payloads, which are stored beside it by their digests.
package struct BFTRecord: Hashable, Sendable {
    package var height: UInt64
    package var view: BFTView
    package var ticket: BFTTicket
    /// The last prepare vote at this height.
    ///
    /// Losing it would let a node vote twice.
    package var voted: BFTBallot?
    /// The certificate of the last commit vote at this height.
    ///
    /// Losing it would let a decided block be replaced.
    package var lock: BFTCertificate?
    /// Whether this node gave up ``view``.
    ///
    /// Losing it would let a node commit in a view that it gave up.
    package var timedOut: Bool
    /// The block before, if the driver may not yet hold it durably.
    package var previous: BFTCertificate?
    /// The payloads that must be kept; all others may go.
    package var digests: [[UInt8]]

    package init(
        height: UInt64,
        view: BFTView,
        ticket: BFTTicket,
        voted: BFTBallot?,
        lock: BFTCertificate?,
        timedOut: Bool,
        previous: BFTCertificate?,
        digests: [[UInt8]]
    ) {
        self.height = height
        self.view = view
        self.ticket = ticket
        self.voted = voted
        self.lock = lock
        self.timedOut = timedOut
        self.previous = previous
        self.digests = digests
    }
}

/// A block, by its digest.
package struct BFTPayload: Hashable, Sendable {
    package var digest: [UInt8]
    package var bytes: [UInt8]

    package init(digest: [UInt8], bytes: [UInt8]) {
        self.digest = digest
        self.bytes = bytes
    }
}

/// A change of what is stored: payloads are added, the record is replaced, payloads that it doesn't name go.
package struct BFTWrite: NumberedWrite, Hashable {
    package var number: UInt64
    package var record: BFTRecord
    package var payloads: [BFTPayload]

    package mutating func merge(_ next: BFTWrite) {
        self.number = next.number
        self.record = next.record
        self.payloads = (self.payloads + next.payloads).filter { next.record.digests.contains($0.digest) }
    }
}

/// What a node finds on its disk.
///
/// Empty for a node that has never voted.
package struct BFTState: Hashable, Sendable {
    package var record: BFTRecord?
    package var payloads: [BFTPayload]

    package init(record: BFTRecord? = nil, payloads: [BFTPayload] = []) {
        self.record = record
        self.payloads = payloads
    }

    /// What carrying out `write` does.
    package mutating func apply(_ write: BFTWrite) {
        self.record = write.record
        var known: Set<[UInt8]> = []
        self.payloads = (self.payloads + write.payloads).filter {
            write.record.digests.contains($0.digest) && known.insert($0.digest).inserted
        }
    }
}

/// Why a stored state can't be continued.
package struct BFTStateError: Error, Equatable, Sendable, CustomStringConvertible {
    package var reason: String

    package init(reason: String) { self.reason = reason }

    package var description: String { self.reason }
}
