internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger

extension PreparedTransaction {
    /// The identifier under which the ledger finds the transaction; `nil` if its headers can't be read.
    var indexedIdentifier: String? {
        guard case .success(let decoded) = self.decoded else { return nil }
        return decoded.headers.indexedIdentifier
    }

    /// What an endorser transaction read and wrote.
    var readWriteSet: TransactionReadWriteSet? {
        guard case .success(let decoded) = self.decoded,
            case .success(.endorser(let transaction)) = decoded.body
        else { return nil }
        return transaction.readWriteSet
    }

    /// The `ConfigEnvelope` of a configuration transaction, as it was received.
    var configEnvelope: Data? {
        guard case .success(let decoded) = self.decoded, case .success(.config) = decoded.body else {
            return nil
        }
        return decoded.headers.payload.data
    }
}

extension TransactionToCommit {
    /// A transaction for the ledger: what was decoded of it, and the verdict so far.
    init(_ transaction: PreparedTransaction, verdict: TransactionVerdict) {
        let config = transaction.configEnvelope
        self.init(
            code: verdict.code,
            id: transaction.indexedIdentifier,
            readWriteSet: transaction.readWriteSet,
            config: config,
            // To be judged valid, an endorser transaction was looked for in the ledger; a configuration was not.
            isNew: verdict.isValid && config == nil
        )
    }
}
