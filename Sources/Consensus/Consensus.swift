/// What every consensus engine is: a pure step function for one channel.
///
/// An engine has no clock, no disk, no network and no tasks, and this module imports nothing. The driver feeds
/// inputs in and carries out the effects that come back; the same state and the same inputs always give the same
/// effects, so that whole clusters run inside one test.
///
/// The contract between an engine and its driver:
/// 1. ``ConsensusEffects/write`` is carried out first. Only when it is durable are ``ConsensusEffects/messages`` of
///    the same step sent, and ``ConsensusInput/stored(_:)`` fed back with the number of the write.
/// 2. ``ConsensusEffects/decisions`` are final. They come in the order of their positions, each once; after a
///    restart those that the driver had not yet released come again.
/// 3. A write that fails is never answered. The driver drops the engine and makes a new one from what is on disk,
///    as after a crash: what had been proposed may or may not be decided then.
/// 4. ``ConsensusEffects/contradiction`` means that what the engine sees can't happen in a correct network. The
///    driver stops this channel with that text and leaves the others alone.
package protocol ConsensusEngine: Sendable {
    /// What the nodes of a cluster tell each other.
    associatedtype Message: Sendable
    /// What must be durable before the engine goes on.
    associatedtype Write: NumberedWrite

    /// Who leads, as this node sees it.
    var status: ConsensusStatus { get }

    /// Takes one input and returns what the driver must now do.
    mutating func step(_ input: ConsensusInput<Message>) -> ConsensusEffects<Message, Write>
}

/// A write whose completion the driver reports by its number.
package protocol NumberedWrite: Sendable, Equatable {
    /// Counts the writes of one engine from 1, without gaps, in the order in which they must reach the disk.
    var number: UInt64 { get }
}

/// The number that identifies a node of one channel; never 0.
package typealias NodeID = UInt64
/// A period with at most one leader.
package typealias Term = UInt64

/// Something that happens to an engine.
package enum ConsensusInput<Message: Sendable>: Sendable {
    /// One unit of logical time has passed; how long it is, is the driver's business.
    case tick
    /// A node of the cluster sent something.
    case received(Message)
    /// The driver wants these bytes, a block, to be decided next.
    case propose([UInt8])
    /// All writes up to and including this number are durable.
    case stored(UInt64)
    /// Decisions up to and including this position are durable elsewhere and need not be kept.
    case released(through: UInt64)
}

/// What the driver must do after one step.
package struct ConsensusEffects<Message: Sendable, Write: NumberedWrite>: Sendable {
    /// To be made durable before anything else happens.
    package var write: Write?
    /// To be sent once the write is durable.
    package var messages: [Message] = []
    /// Newly final proposals, in order.
    package var decisions: [Decision] = []
    /// The answer to ``ConsensusInput/propose(_:)``, and only to it.
    package var proposal: ProposalAnswer?
    /// Why this channel must stop, if it must.
    package var contradiction: String?

    package init() {}
}

extension ConsensusEffects: Equatable where Message: Equatable {}

/// A proposal that is final.
package struct Decision: Equatable, Sendable {
    /// Where it stands in the engine's order; grows, with gaps.
    package var position: UInt64
    package var payload: [UInt8]

    package init(position: UInt64, payload: [UInt8]) {
        self.position = position
        self.payload = payload
    }
}

/// What became of a proposal when it was made.
package enum ProposalAnswer: Equatable, Sendable {
    /// It will be decided at this position, unless leadership changes first.
    case accepted(position: UInt64)
    /// This node does not lead; it may know who does.
    case notLeader(leader: NodeID?)
}

/// Who leads, as one node sees it.
package struct ConsensusStatus: Equatable, Sendable {
    package var isLeader: Bool
    package var leader: NodeID?
    package var term: Term

    package init(isLeader: Bool, leader: NodeID?, term: Term) {
        self.isLeader = isLeader
        self.leader = leader
        self.term = term
    }
}
