internal import Channel
package import FabricProtos
internal import Foundation
package import Ledger

/// Judges the blocks of a stored ledger again, from its first one, as if they had just been received.
///
/// This is what `weft ledger verify` uses: it trusts the genesis block and nothing else, so a signature,
/// configuration or verdict that was altered later doesn't go unnoticed. Not thread safe: blocks come in order.
package final class LedgerJudge {
    private let threads: VerificationThreads
    private var configuration: ChannelConfiguration?
    private var rules = NamespaceRulesCache()

    package init(threads: VerificationThreads = VerificationThreads()) {
        self.threads = threads
    }

    /// Checks the signatures of the next block and of its transactions, and decides again which are valid.
    ///
    /// - Parameters:
    ///   - block: the next block.
    ///   - snapshot: the state after the block before it.
    /// - Returns: each transaction with the verdict that doesn't depend on the values it read.
    /// - Throws: an error that names the block and what is wrong with it.
    package func judge(_ block: Common_Block, _ snapshot: StateSnapshot) throws -> [TransactionToCommit] {
        guard let current = self.configuration else {
            self.configuration = try ChannelConfiguration(configBlock: block)
            return block.data.data.map { TransactionToCommit(code: .valid, envelope: $0) }
        }
        let prepared = PreparedBlock(block, configuration: current, threads: self.threads)
        let transactions = try prepared.waitForTransactions()
        let verdicts = try BlockValidator.verdicts(
            on: transactions,
            configuration: current,
            state: CommittedState(snapshot),
            rules: &self.rules
        )
        if let next = try BlockCommitter.nextConfiguration(transactions, verdicts, current) {
            self.configuration = next
        }
        // Whether these become valid is not known here; forgetting too often only costs time.
        if BlockCommitter.changesDefinitions(transactions, verdicts.map(\.code)) { self.rules.forget() }
        return zip(transactions, verdicts).map { TransactionToCommit($0, verdict: $1) }
    }
}
