import FabricProtos
import Foundation
import Synchronization
import Testing
import WeftClient

@testable import weft

/// What `weft tx submit --retry` makes anew, and what not.
@Suite struct RetriedSubmissionTests {
    /// Runs a submission whose transactions get these codes one after the other; more end with an unknown outcome.
    private func run(
        retries: Int,
        _ codes: [Protos_TxValidationCode]
    ) async -> (outcome: Result<[String], any Error>, proposals: Int, told: Int) {
        let told = Mutex(0)
        let submission = RetriedSubmission(retries: retries) { _ in told.withLock { $0 += 1 } }
        var proposals = 0
        do {
            let done = try await submission.run(
                endorse: {
                    proposals += 1
                    return proposals - 1
                },
                submit: { _ in },
                status: { number in
                    guard codes.indices.contains(number) else { throw Unknown() }
                    return CommitStatus(
                        transactionID: "\(number)",
                        block: UInt64(number),
                        code: codes[number]
                    )
                },
                result: { Data("\($0)".utf8) }
            )
            return (.success(done.attempts.map(\.codeName)), proposals, told.withLock { $0 })
        } catch {
            return (.failure(error), proposals, told.withLock { $0 })
        }
    }

    private struct Unknown: Error {}

    @Test func conflictsAreMadeAnewUntilOneIsValid() async throws {
        let run = await self.run(retries: 5, [.mvccReadConflict, .phantomReadConflict, .valid])
        #expect(try run.outcome.get() == ["MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT", "VALID"])
        #expect(run.proposals == 3)
        #expect(run.told == 2)
    }

    @Test func nothingIsMadeAnewUnlessAskedFor() async {
        let run = await self.run(retries: 0, [.mvccReadConflict, .valid])
        #expect(run.proposals == 1)
        #expect(throws: Failure.self) { try run.outcome.get() }
    }

    @Test func theLastFailureTellsHowOftenItWasTried() async {
        let run = await self.run(retries: 1, [.mvccReadConflict, .mvccReadConflict, .valid])
        #expect(run.proposals == 2)
        let failure = #expect(throws: Failure.self) { try run.outcome.get() }
        #expect(failure?.description.contains("the last of 2 attempts") == true)
        #expect(failure?.description.contains("weft tx explain 1") == true)
    }

    @Test func otherVerdictsEndIt() async {
        let run = await self.run(retries: 5, [.endorsementPolicyFailure, .valid])
        #expect(run.proposals == 1)
        #expect(throws: Failure.self) { try run.outcome.get() }
    }

    /// A second proposal could take effect beside the first.
    @Test func anUnknownOutcomeIsNeverMadeAnew() async {
        let run = await self.run(retries: 5, [.mvccReadConflict])
        #expect(run.proposals == 2)
        #expect(throws: Unknown.self) { try run.outcome.get() }
    }
}
