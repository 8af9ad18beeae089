/// What every consensus engine is: a pure step function for one channel.
///
/// An engine has no clock, no disk, no network and no tasks, and this module imports nothing. The driver feeds
/// inputs in and carries out the effects that come back; the same state and the same inputs always give the same
/// effects, so that whole clusters run inside one test.
///
/// The contract between an engine and its driver, for the effects of one step, or of several that were merged
/// (``ConsensusEffects/merge(_:)``):
/// 1. ``ConsensusEffects/earlyMessages`` may be sent at once, while the disk works, or later, or never.
/// 2. ``ConsensusEffects/write`` is carried out, after all writes with lower numbers.
/// 3. Only when it and every write before it are durable are ``ConsensusEffects/decisions`` and
///    ``ConsensusEffects/events`` carried out and ``ConsensusEffects/messages`` sent, also those of a step that wrote
///    nothing. ``ConsensusInput/stored(_:)`` is fed with the number of the last durable write.
/// 4. ``ConsensusEffects/decisions`` are final. They come in the order of their positions, each once; after a
///    restart those come again that lie behind the position that the driver says it holds.
/// 5. A write that fails is never answered. The driver drops the engine and makes a new one from what is on disk,
///    as after a crash: what had been proposed may or may not be decided then.
/// 6. ``ConsensusEffects/contradiction`` means that what the engine sees can't happen in a correct network. The
///    driver carries out nothing else of that step, stops this channel with that text and leaves the others alone.
///
/// Messages may be lost, delayed, duplicated and reordered. A driver that merges the steps of everything that waits
/// pays one synced write for all of it.
package protocol ConsensusEngine: Sendable {
    /// What the nodes of a cluster tell each other.
    associatedtype Message: Sendable
    /// What must be durable before the engine goes on.
    associatedtype Write: NumberedWrite
    /// What else the driver tells this kind of engine.
    associatedtype Command: Sendable
    /// What else this kind of engine tells the driver.
    associatedtype Event: Sendable

    /// Who leads, as this node sees it.
    var status: ConsensusStatus { get }

    /// Takes one input and returns what the driver must now do.
    mutating func step(_ input: ConsensusInput<Self>) -> ConsensusEffects<Self>
}

/// A write whose completion the driver reports by its number.
package protocol NumberedWrite: Sendable, Equatable {
    /// Counts the writes of one engine from 1, without gaps, in the order in which they must reach the disk.
    var number: UInt64 { get }

    /// Adds the write that follows this one: carrying out the result does what both would have done in turn.
    mutating func merge(_ next: Self)
}

/// The number that identifies a node of one channel; never 0.
package typealias NodeID = UInt64
/// A period with at most one leader.
package typealias Term = UInt64

/// Something that happens to an engine.
package enum ConsensusInput<Engine: ConsensusEngine>: Sendable {
    /// One unit of logical time has passed; how long it is, is the driver's business.
    case tick
    /// A node of the cluster sent something. The driver vouches for the sender.
    case received(Engine.Message)
    /// The driver wants these bytes, a block, to be decided next.
    case propose([UInt8])
    /// All writes up to and including this number are durable.
    case stored(UInt64)
    /// Decisions up to and including this position are durable elsewhere and need not be kept.
    case released(through: UInt64)
    /// Something that only this kind of engine knows.
    case command(Engine.Command)
}

/// What the driver must do after one step.
package struct ConsensusEffects<Engine: ConsensusEngine>: Sendable {
    /// Depends on nothing that is not durable yet: can be sent before ``write`` is carried out.
    package var earlyMessages: [Engine.Message] = []
    /// To be made durable before anything below happens.
    package var write: Engine.Write?
    /// To be sent once the write, and every write before it, is durable.
    package var messages: [Engine.Message] = []
    /// Newly final proposals, in order.
    package var decisions: [Decision] = []
    /// What else the driver must act on, in order; after ``decisions`` and before ``messages``.
    package var events: [Engine.Event] = []
    /// The answer to ``ConsensusInput/propose(_:)`` or to a command that proposes, and only to it.
    package var proposal: ProposalAnswer?
    /// Why this channel must stop, if it must.
    package var contradiction: String?

    package init() {}

    /// Adds the effects of the step that followed, so that both need one write.
    ///
    /// ``proposal`` becomes that of the later step; read each before merging.
    package mutating func merge(_ next: ConsensusEffects) {
        self.earlyMessages += next.earlyMessages
        if let nextWrite = next.write {
            if self.write == nil { self.write = nextWrite } else { self.write?.merge(nextWrite) }
        }
        self.messages += next.messages
        self.decisions += next.decisions
        self.events += next.events
        self.proposal = next.proposal
        self.contradiction = self.contradiction ?? next.contradiction
    }
}

extension ConsensusEffects: Equatable where Engine.Message: Equatable, Engine.Event: Equatable {}

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
    /// This node leads, but can't take it now; the text says why. It may be proposed again later.
    case refused(reason: String)
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
