import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import Ledger
import SwiftProtobuf

@testable import Orderer

/// What must hold after every step of a cluster of chains, whatever goes wrong.
struct ChainInvariants {
    /// The first breach; the run ends with it.
    private(set) var violation: String?
    /// The hashes of the blocks, by number.
    private(set) var blocks: [Data] = []
    /// Where each envelope stands.
    private(set) var ordered: [EnvelopeFingerprint: BlockNumber] = [:]
    /// What clients have sent.
    private var sent: Set<EnvelopeFingerprint> = []
    private(set) var acknowledged: [UInt64: EnvelopeFingerprint] = [:]
    /// The configuration after the newest block.
    private(set) var configuration: ChannelConfiguration?
    private var leaders: [Term: NodeID] = [:]
    private var hardStates: [UInt64: (term: Term, votes: [Term: NodeID])] = [:]
    /// What machines were called that lost their consensus stores, and the latest terms in which they may have voted.
    private var lost: [UInt64: (node: NodeID, term: Term)] = [:]
    private var entries: [UInt64: [Term: Data]] = [:]
    /// Digests of the headers and signatures that were checked.
    private var verified: Set<Data> = []

    mutating func violated(_ text: String) { self.violation = self.violation ?? text }

    /// Election safety: at most one leader per term.
    mutating func leads(_ node: NodeID, term: Term) {
        if let other = self.leaders.updateValue(node, forKey: term), other != node {
            self.violated("nodes \(other) and \(node) both lead term \(term)")
        }
    }

    var leaderCount: Int { self.leaders.count }

    /// One vote per term, no way back to an earlier term, and one entry per index and term, in all stores.
    mutating func writes(_ machine: UInt64, _ batch: WriteBatch) {
        for change in batch.changes {
            guard let value = change.value else { continue }
            switch change.key.first {
            case UInt8(ascii: "h"):
                guard let state = try? Raftpb_HardState(serializedBytes: value) else {
                    self.violated("machine \(machine) writes a hard state that can't be read")
                    continue
                }
                self.votes(machine, state)
            case UInt8(ascii: "e"):
                guard let entry = try? Raftpb_Entry(serializedBytes: value) else {
                    self.violated("machine \(machine) writes an entry that can't be read")
                    continue
                }
                let digest = Digest.sha256(value)
                let known = self.entries[entry.index, default: [:]].updateValue(digest, forKey: entry.term)
                if let known, known != digest {
                    self.violated("machine \(machine) has another entry \(entry.index) of term \(entry.term)")
                }
            default: break
            }
        }
    }

    /// A machine lost its consensus store: no candidate can be elected by a vote that was meant for it.
    mutating func loses(_ machine: UInt64, _ node: NodeID) {
        let term = max(self.lost[machine]?.term ?? 0, self.hardStates[machine]?.term ?? 0)
        self.lost[machine] = (node, term)
        self.hardStates[machine]?.term = 0
        self.hardStates = self.hardStates.mapValues { known in
            (known.term, known.votes.filter { $0.value != node })
        }
    }

    private mutating func votes(_ machine: UInt64, _ state: Raftpb_HardState) {
        var known = self.hardStates[machine] ?? (0, [:])
        if state.term < known.term {
            self.violated("machine \(machine) goes back from term \(known.term) to term \(state.term)")
        }
        known.term = max(known.term, state.term)
        // Where it may have voted it counts as having voted for itself.
        if let lost = self.lost[machine], lost.node == state.vote, state.term <= lost.term {
            known.votes[state.term] = nil
        }
        if state.vote != 0, let other = known.votes.updateValue(state.vote, forKey: state.term),
            other != state.vote
        {
            self.violated("machine \(machine) votes for \(other) and \(state.vote) in term \(state.term)")
        }
        self.hardStates[machine] = known
    }

    /// One block per height, each envelope in one of them, each block signed as the configuration before it demands.
    ///
    /// - Returns: the block, if nobody had one at this height before.
    mutating func appends(_ machine: UInt64, _ number: BlockNumber, in log: BlockLog) throws -> Common_Block?
    {
        guard let summary = try log.summary(number) else {
            self.violated("machine \(machine) can't read its block \(number)")
            return nil
        }
        let hash = summary.header.hash
        if Int(number) < self.blocks.count {
            if self.blocks[Int(number)] != hash {
                self.violated("machine \(machine) has another block \(number)")
            }
            return nil
        }
        guard Int(number) == self.blocks.count, let block = try log.block(number) else {
            self.violated("machine \(machine) has block \(number), and nobody the one before")
            return nil
        }
        if let configuration {
            do {
                try self.verify(block, under: configuration)
            } catch {
                self.violated("block \(number) of machine \(machine) is not signed as it must be: \(error)")
            }
            let consenters = configuration.orderer?.consenters.count ?? 0
            let signatures = try block.ordererMetadata().metadata.signatures.count
            if consenters > 0, signatures < BFTBlockValidation.quorum(of: consenters) {
                self.violated("block \(number) of machine \(machine) has \(signatures) signatures only")
            }
        }
        self.blocks.append(hash)
        for envelope in block.data.data {
            if let other = self.ordered.updateValue(number, forKey: EnvelopeFingerprint(envelope)) {
                self.violated("block \(number) holds an envelope that is in block \(other) already")
            }
            if !block.isConfigBlock, !self.sent.contains(EnvelopeFingerprint(envelope)) {
                let headers = try? EnvelopeHeaders(Common_Envelope(serializedBytes: envelope))
                self.violated(
                    "block \(number) holds an envelope that no client has sent: channel \(headers?.channel.channelID ?? ""), type "
                        + "\(headers?.channel.type ?? 0), nonce \(headers?.signature.nonce.map { $0 } ?? [])"
                )
            }
        }
        if block.isConfigBlock { self.configuration = try ChannelConfiguration(configBlock: block) }
        return block
    }

    /// Checks a block's signatures, unless it has been done: a header says what came before, and so which configuration
    /// decides.
    mutating func verify(_ block: Common_Block, under configuration: ChannelConfiguration) throws {
        let signatures = block.metadata.metadata.first ?? Data()
        let digest = Digest.sha256(block.header.hash + signatures)
        guard !self.verified.contains(digest) else { return }
        try block.verifySignatures(under: configuration)
        self.verified.insert(digest)
    }

    /// A client sends an envelope.
    mutating func sends(_ fingerprint: EnvelopeFingerprint) { self.sent.insert(fingerprint) }

    /// A client was told that its envelope is ordered.
    mutating func acknowledges(_ number: UInt64, _ fingerprint: EnvelopeFingerprint) {
        self.acknowledged[number] = fingerprint
    }

    /// At the end: what was acknowledged is in the chain.
    mutating func checkAcknowledged() {
        for (number, fingerprint) in self.acknowledged.sorted(by: { $0.key < $1.key })
        where self.ordered[fingerprint] == nil {
            self.violated("envelope \(number) was acknowledged, and is in no block")
        }
    }
}
