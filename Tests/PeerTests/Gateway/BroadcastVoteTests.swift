import FabricProtos
import GRPCCore
import SwiftProtobuf
import Testing

@testable import Peer

/// What a client of a BFT channel is told, whatever f orderers say.
@Suite struct BroadcastVoteTests {
    private static let success = BroadcastVote.Answer.response(.with { $0.status = .success })
    private static let refused = BroadcastVote.Answer.response(.with { $0.status = .forbidden })
    private static let busy = BroadcastVote.Answer.response(.with { $0.status = .serviceUnavailable })
    private static let dead = BroadcastVote.Answer.unreachable("connection refused")

    private static func known(_ words: String) -> BroadcastVote.Answer {
        .response(
            .with {
                $0.status = .serviceUnavailable
                $0.info = "failed to submit request: request \(words)"
            }
        )
    }

    /// Counts answers until it is decided.
    private func decide(
        _ answers: [BroadcastVote.Answer],
        of orderers: Int,
        consenters: Int? = nil
    ) -> (outcome: BroadcastVote.Outcome, vote: BroadcastVote, counted: Int) {
        var vote = BroadcastVote(orderers: orderers, consenters: consenters ?? orderers)
        for (index, answer) in answers.enumerated() {
            let outcome = vote.count(answer) { .init(address: "orderer\(index)", mspID: "", message: $0) }
            if case .undecided = outcome { continue }
            return (outcome, vote, index + 1)
        }
        return (.undecided, vote, answers.count)
    }

    @Test(arguments: [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (10, 4)])
    func isTakenWhenOneMoreThanMayLieSaysSo(_ orderers: Int, _ needed: Int) {
        for successes in 1...orderers {
            let (outcome, _, counted) = self.decide(
                Array(repeating: Self.success, count: successes),
                of: orderers
            )
            if successes < needed {
                guard case .undecided = outcome else { Issue.record("\(successes) of \(orderers)"); continue }
            } else {
                guard case .taken = outcome else { Issue.record("\(successes) of \(orderers)"); continue }
                #expect(counted == needed)
            }
        }
    }

    @Test(arguments: [4, 7, 10])
    func liarsAloneDecideNothing(_ orderers: Int) {
        let faults = (orderers - 1) / 3
        for lie in [Self.success, Self.refused, Self.busy, Self.dead] {
            let lies = Array(repeating: lie, count: faults)
            guard case .undecided = self.decide(lies, of: orderers).outcome else {
                Issue.record("\(lie) decides")
                continue
            }
            let honest = orderers - faults
            let taken = lies + Array(repeating: Self.success, count: honest)
            guard case .taken = self.decide(taken, of: orderers).outcome else {
                Issue.record("\(lie) makes it fail")
                continue
            }
            let failed = lies + Array(repeating: Self.refused, count: honest)
            guard case .failed = self.decide(failed, of: orderers).outcome else {
                Issue.record("\(lie) makes it succeed")
                continue
            }
        }
    }

    @Test func whatOrderersHadBeforeCountsAsTaken() {
        for words in ["already exists", "already processed"] {
            let answers = [Self.dead, Self.known(words), Self.success]
            guard case .taken = self.decide(answers, of: 4).outcome else {
                Issue.record("\(words)")
                continue
            }
        }
        let others = [Self.known("too large"), Self.busy, Self.dead]
        guard case .failed = self.decide(others, of: 4).outcome else {
            Issue.record("another reason counts as taken")
            return
        }
    }

    @Test func itHelpsToWaitUnlessAnHonestOrdererRefuses() {
        #expect(self.decide([Self.busy, Self.busy, Self.dead], of: 4).vote.isWorthWaiting)
        #expect(self.decide([Self.refused, Self.busy, Self.busy], of: 4).vote.isWorthWaiting)
        #expect(!self.decide([Self.refused, Self.refused, Self.busy], of: 4).vote.isWorthWaiting)
        #expect(!self.decide([Self.refused, Self.refused, Self.refused], of: 4).vote.isWorthWaiting)
    }

    @Test func theFailureNamesEveryOrdererThatHasNotTakenIt() {
        let (_, vote, _) = self.decide([Self.refused, Self.success, Self.dead, Self.busy], of: 4)
        #expect(vote.failure.details.map(\.address) == ["orderer0", "orderer2", "orderer3"])
        #expect(vote.failure.code == .unavailable)
    }

    /// A peer may know fewer orderers than there are consenters.
    @Test func asManyAsAreKnownMustDo() {
        guard case .taken = self.decide([Self.success], of: 1, consenters: 4).outcome else {
            Issue.record("the only orderer's SUCCESS is not enough")
            return
        }
    }
}
