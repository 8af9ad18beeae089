package import Channel
package import FabricProtos
internal import Foundation
internal import Synchronization

/// A block whose signatures are being checked on all cores.
///
/// The work starts when the value is made and goes on while earlier blocks commit; ``transactions()`` waits
/// for it. Since it uses the configuration in force for this block, a block after a configuration block must
/// not be prepared before that one has been applied.
package final class PreparedBlock: Sendable {
    package let block: Common_Block
    /// The configuration that the signatures are checked under.
    package let configuration: ChannelConfiguration
    /// The bytes of its transactions.
    package let byteCount: Int

    private let results: Results
    private let work: VerificationThreads.Batch

    /// Starts to check `block`: the orderers' signatures, unless `trusted`, and those of every transaction, apart from
    /// endorsements in `own`.
    package init(
        _ block: Common_Block,
        configuration: ChannelConfiguration,
        trusted: Bool = false,
        own: OwnEndorsements? = nil,
        threads: VerificationThreads
    ) {
        let envelopes = block.data.data
        let results = Results(count: envelopes.count)
        self.block = block
        self.byteCount = envelopes.reduce(0) { $0 + $1.count }
        self.configuration = configuration
        self.results = results
        // The block's own signatures come last: they are the least work, so that threads end together.
        self.work = threads.start(count: envelopes.count + 1) { index in
            if index < envelopes.count {
                let transaction = PreparedTransaction(
                    envelopes[index],
                    configuration: configuration,
                    own: own
                )
                results.set(transaction, at: index)
            } else if !trusted {
                do {
                    try block.verifySignatures(under: configuration)
                } catch {
                    results.refuse(error, number: block.header.number)
                }
            }
        }
    }

    /// Whether ``transactions()`` would not wait.
    package var isChecked: Bool { self.work.isFinished }

    /// The transactions, once all are checked.
    ///
    /// - Throws: ``UnsignedBlock`` if the block is not signed as the channel's BlockValidation policy requires.
    package func transactions() async throws(UnsignedBlock) -> [PreparedTransaction] {
        await self.work.finished()
        return try self.results.take()
    }

    /// The same, blocking the calling thread: for tools.
    package func waitForTransactions() throws(UnsignedBlock) -> [PreparedTransaction] {
        self.work.wait()
        return try self.results.take()
    }
}

/// A block that the channel's orderers have not signed as its BlockValidation policy requires.
package struct UnsignedBlock: Error, Sendable, CustomStringConvertible {
    package var number: BlockNumber
    package var cause: any Error

    package var description: String { "the signatures of block \(self.number) don't do: \(self.cause)" }
}

/// The slots that the threads fill.
private final class Results: Sendable {
    private struct State {
        var transactions: [PreparedTransaction?]
        var refusal: UnsignedBlock?
    }

    private let state: Mutex<State>

    init(count: Int) {
        self.state = Mutex(State(transactions: Array(repeating: nil, count: count)))
    }

    func set(_ transaction: PreparedTransaction, at index: Int) {
        self.state.withLock { $0.transactions[index] = transaction }
    }

    func refuse(_ failure: any Error, number: BlockNumber) {
        self.state.withLock { $0.refusal = UnsignedBlock(number: number, cause: failure) }
    }

    func take() throws(UnsignedBlock) -> [PreparedTransaction] {
        let (refusal, transactions) = self.state.withLock { ($0.refusal, $0.transactions) }
        if let refusal { throw refusal }
        return transactions.compactMap(\.self)
    }
}
