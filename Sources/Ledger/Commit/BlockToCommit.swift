package import Channel
package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// A block that passed every check but the ledger's own, and what was decoded from it on the way.
package struct BlockToCommit: Sendable {
    package var block: Common_Block
    /// One for each transaction of the block, in order.
    package var transactions: [TransactionToCommit]
    /// The private data that this peer has for the block's transactions.
    package var privateWriteSets: [PrivateWriteSet]
    /// The private data that this peer should have, or may come to want, and does not have.
    package var missingPrivateData: [MissingPrivateData]

    package init(
        block: Common_Block,
        transactions: [TransactionToCommit],
        privateWriteSets: [PrivateWriteSet] = [],
        missingPrivateData: [MissingPrivateData] = []
    ) {
        self.block = block
        self.transactions = transactions
        self.privateWriteSets = privateWriteSets
        self.missingPrivateData = missingPrivateData
    }
}

/// One transaction as the ledger needs it.
package struct TransactionToCommit: Sendable {
    /// The verdict so far; the ledger changes it only if it is VALID.
    package var code: Protos_TxValidationCode
    /// The identifier under which the transaction is indexed, valid or not; `nil` if its header can't be read.
    package var id: String?
    /// What it read and wrote; needed if it is valid and no configuration.
    package var readWriteSet: TransactionReadWriteSet?
    /// For a configuration: the bytes of the `common.ConfigEnvelope`.
    package var config: Data?
    /// Whether the caller has found that the ledger, as it is before this block, has no transaction of this identifier;
    /// if not, the ledger looks itself.
    package var isNew: Bool

    package init(
        code: Protos_TxValidationCode,
        id: String?,
        readWriteSet: TransactionReadWriteSet? = nil,
        config: Data? = nil,
        isNew: Bool = false
    ) {
        self.code = code
        self.id = id
        self.readWriteSet = readWriteSet
        self.config = config
        self.isNew = isNew
    }

    /// Decodes a transaction of a stored block, for which the code is known.
    ///
    /// Unlike the checks of a block that comes in, this takes the genesis block, whose configuration nobody signed.
    package init(code: Protos_TxValidationCode, envelope: Data) {
        self.init(code: code, id: nil)
        guard let decoded = try? Common_Envelope(serializedBytes: envelope),
            let headers = try? EnvelopeHeaders(decoded)
        else { return }
        self.id = headers.indexedIdentifier
        switch headers.channel.type {
        case Int32(Common_HeaderType.config.rawValue):
            self.config = headers.payload.data
        case Int32(Common_HeaderType.endorserTransaction.rawValue):
            self.readWriteSet = try? EndorserTransaction.decode(headers).get().readWriteSet
        default:
            break
        }
    }
}

/// The private writes of one transaction to one collection.
package struct PrivateWriteSet: Sendable, Equatable {
    /// The transaction's place in its block, from 0.
    package var transaction: Int
    package var namespace: String
    package var collection: String
    /// A `kvrwset.KVRWSet` with plain keys and values, as endorsed.
    package var bytes: Data

    package init(transaction: Int, namespace: String, collection: String, bytes: Data) {
        self.transaction = transaction
        self.namespace = namespace
        self.collection = collection
        self.bytes = bytes
    }
}

/// A note that the private writes of one transaction to one collection are not here.
package struct MissingPrivateData: Sendable, Equatable {
    /// The transaction's place in its block, from 0.
    package var transaction: Int
    package var namespace: String
    package var collection: String
    /// Whether this peer's organization belongs to the collection, so that the data should be fetched.
    package var isEligible: Bool

    package init(transaction: Int, namespace: String, collection: String, isEligible: Bool) {
        self.transaction = transaction
        self.namespace = namespace
        self.collection = collection
        self.isEligible = isEligible
    }
}

/// A block that is part of the ledger.
package struct CommittedBlock: Sendable {
    /// The block with flags and commit hash in its metadata.
    package var block: Common_Block
    /// The final verdict on each transaction.
    package var codes: [Protos_TxValidationCode]
    /// 32 bytes; empty for the genesis block.
    package var commitHash: Data
    /// How long its parts took to write.
    package var durations: Durations

    /// How long a commit took.
    package struct Durations: Sendable {
        /// Writing private data.
        package var privateData = Duration.zero
        /// Writing the block to the block log.
        package var log = Duration.zero
        /// Writing state, history and indexes.
        package var state = Duration.zero

        package init(
            privateData: Duration = .zero,
            log: Duration = .zero,
            state: Duration = .zero
        ) {
            self.privateData = privateData
            self.log = log
            self.state = state
        }
    }

    package init(
        block: Common_Block,
        codes: [Protos_TxValidationCode],
        commitHash: Data,
        durations: Durations = Durations()
    ) {
        self.block = block
        self.codes = codes
        self.commitHash = commitHash
        self.durations = durations
    }
}
