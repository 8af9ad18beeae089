import Channel
import Consensus
import FabricProtos
import Foundation
import KeyValueStore
import SwiftProtobuf

@testable import Orderer

/// What honest BFT consenters may say, judged by what their disks hold at that moment.
///
/// No vote leaves before it is durable; a block signature only when the prepare votes of a quorum are; nobody votes for
/// two blocks in one view and phase, also across crashes, nor commits in a view that it gave up.
struct ChainPromises {
    private struct Place: Hashable {
        var machine: UInt64
        var height: UInt64
        var view: BFTView
    }

    /// The first breach.
    private(set) var violation: String?
    /// Who has durably voted, by what the vote is about.
    private var prepared: [BFTBallot: Set<UInt64>] = [:]
    private var locked: [BFTBallot: Set<UInt64>] = [:]
    private var gaveUp: Set<Place> = []
    /// The place of each consenter's newest durable record.
    private var places: [UInt64: Place] = [:]
    private var prepares: [Place: [UInt8]] = [:]
    private var commits: [Place: [UInt8]] = [:]
    /// Who votes on the block at each height.
    private var voters: [UInt64: BFTVoters] = [:]
    /// The highest view that was entered.
    private(set) var view: BFTView = 0

    /// Another configuration is in force from this height on.
    mutating func votes(on height: UInt64, _ voters: BFTVoters) { self.voters[height] = voters }

    private mutating func violated(_ text: String) { self.violation = self.violation ?? text }

    // MARK: - Disks

    /// A consenter's record became durable.
    mutating func writes(_ machine: UInt64, _ batch: WriteBatch) {
        for change in batch.changes where change.key == Data("bft".utf8) {
            guard let value = change.value,
                let record = try? Weft_Consensus_Record(serializedBytes: value)
            else { continue }
            do {
                try self.writes(machine, record)
            } catch {
                self.violated("machine \(machine) stores a record that can't be read: \(error)")
            }
        }
    }

    private mutating func writes(_ machine: UInt64, _ record: Weft_Consensus_Record) throws {
        let reader = BFTMessageReader(
            bounds: BFTMessageBounds(signatures: .max, blockBytes: .max, envelopeBytes: .max)
        )
        self.view = max(self.view, record.view)
        self.places[machine] = Place(machine: machine, height: record.height, view: record.view)
        if record.hasVoted { self.prepared[try reader.ballot(record.voted), default: []].insert(machine) }
        if record.hasLock {
            let ballot = try reader.certificate(record.lock).ballot
            let place = Place(machine: machine, height: ballot.round.height, view: ballot.round.view)
            if self.locked[ballot, default: []].insert(machine).inserted, self.gaveUp.contains(place) {
                self.violated(
                    "machine \(machine) commits block \(place.height) in view \(place.view), which it gave up"
                )
            }
        }
        if record.timedOut {
            self.gaveUp.insert(Place(machine: machine, height: record.height, view: record.view))
        }
    }

    /// Whether the consenter's record is durable at a later place: what it says of this one can't be contradicted.
    private func isPast(_ place: Place) -> Bool {
        guard let durable = self.places[place.machine] else { return false }
        return (durable.height, durable.view) > (place.height, place.view)
    }

    // MARK: - Messages

    /// An honest consenter sends something.
    mutating func sends(_ message: BFTMessage, liars: Set<UInt64>) {
        switch message.content {
        case .proposal(let proposal): self.prepares(message.from, proposal.ballot)
        case .vote(let vote):
            switch vote.phase {
            case .prepare: self.prepares(message.from, vote.ballot)
            case .commit: self.commits(message.from, vote.ballot, liars)
            }
        case .timeout(let timeout):
            let place = Place(machine: message.from, height: timeout.height, view: timeout.view)
            if !self.gaveUp.contains(place), !self.isPast(place) {
                self.violated(
                    "machine \(place.machine) says that it gives up view \(place.view) of block \(place.height) "
                        + "before that is durable"
                )
            }
        case .enter, .status, .decision, .want, .payload: break
        }
    }

    private mutating func prepares(_ machine: UInt64, _ ballot: BFTBallot) {
        let place = Place(machine: machine, height: ballot.round.height, view: ballot.round.view)
        if let known = self.prepares.updateValue(ballot.digest, forKey: place), known != ballot.digest {
            self.violated(
                "machine \(machine) votes for two blocks \(place.height) in view \(place.view)"
            )
        }
        if self.isPast(place) { self.prepared[ballot, default: []].insert(machine) }
        if self.prepared[ballot]?.contains(machine) != true {
            self.violated(
                "a prepare vote of machine \(machine) for block \(place.height) in view \(place.view) leaves before it is "
                    + "durable"
            )
        }
    }

    private mutating func commits(_ machine: UInt64, _ ballot: BFTBallot, _ liars: Set<UInt64>) {
        let place = Place(machine: machine, height: ballot.round.height, view: ballot.round.view)
        if let known = self.commits.updateValue(ballot.digest, forKey: place), known != ballot.digest {
            self.violated("machine \(machine) signs two blocks \(place.height) in view \(place.view)")
        }
        if self.locked[ballot]?.contains(machine) != true, !self.isPast(place) {
            self.violated(
                "the signature of machine \(machine) for block \(place.height) in view \(place.view) leaves before its "
                    + "lock is durable"
            )
        }
        guard let voters = self.voters.filter({ $0.key <= place.height }).max(by: { $0.key < $1.key })?.value
        else { return }
        let supporters = voters.nodes.filter {
            liars.contains($0) || self.prepared[ballot]?.contains($0) == true
        }
        if supporters.count < voters.quorum {
            self.violated(
                "the signature of machine \(machine) for block \(place.height) in view \(place.view) leaves while only "
                    + "\(supporters.count) of \(voters.nodes.count) prepare votes are durable"
            )
        }
    }
}
