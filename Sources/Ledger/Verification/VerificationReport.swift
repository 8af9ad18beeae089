package import Channel
package import Foundation

/// What is wrong with a ledger on disk, and how much of it was checked.
package struct VerificationReport: Sendable {
    /// One thing that is not as it must be.
    package struct Finding: Sendable, Equatable, CustomStringConvertible {
        /// The block at fault, if it is known.
        package var block: BlockNumber?
        /// The place of the transaction at fault in its block, if it is known.
        package var transaction: Int?
        /// The damaged file, such as `log/000012.ldb`.
        package var file: String?
        /// What was found and what was expected.
        package var message: String

        package init(
            block: BlockNumber? = nil,
            transaction: Int? = nil,
            file: String? = nil,
            message: String
        ) {
            self.block = block
            self.transaction = transaction
            self.file = file
            self.message = message
        }

        package var description: String {
            var places: [String] = []
            if let file = self.file { places.append("file \(file)") }
            if let block = self.block { places.append("block \(block)") }
            if let transaction = self.transaction { places.append("transaction \(transaction)") }
            return places.isEmpty ? self.message : "\(places.joined(separator: ", ")): \(self.message)"
        }
    }

    /// The blocks that the log says it has; 0 if it can't be opened.
    package var height: BlockNumber = 0
    /// The blocks, from the first on, that were found right in every respect.
    package var verifiedBlocks: BlockNumber = 0
    /// The commit hash of the last of them.
    package var commitHash = Data()
    /// The first thing wrong comes first.
    package var findings: [Finding] = []

    package var isIntact: Bool { self.findings.isEmpty }
}
