import Channel
import FabricProtos
import Foundation
import Ledger
import Peer

/// Finds out why a transaction was judged as it was, from the blocks of its channel.
struct TransactionExplainer {
    let source: any ChainSource
    /// How many blocks before the transaction's are searched.
    let depth: UInt64

    /// How many blocks after a transaction are searched for another one of the same identifier.
    private static let copyDepth: UInt64 = 16

    /// Explains the first transaction of an identifier, or that in a block that is named.
    ///
    /// - Parameters:
    ///   - identifier: The transaction's identifier.
    ///   - number: The block; `nil` for the one that the index names.
    /// - Returns: The explanation.
    /// - Throws: ``Failure`` if there is no such transaction, or what the source throws.
    func explain(_ identifier: String, in number: BlockNumber?) async throws -> TransactionExplanation {
        guard let first = try await self.source.block(transaction: identifier) else {
            throw Failure(
                """
                \(self.source.name) has no transaction \(identifier): it may be on its way still, on another channel \
                (--channel), or never have been ordered
                """
            )
        }
        let block: Common_Block
        if let number, number != first.header.number {
            block = try await self.source.block(number)
        } else {
            block = first
        }
        let found = block.positions(of: identifier)
        // Of several in the block that was named, the one that isn't the first.
        guard let index = number == nil ? found.first : found.last else {
            throw Failure("block \(block.header.number) holds no transaction \(identifier)")
        }
        guard let code = block.code(at: index) else {
            throw Failure(
                "\(self.source.name) holds no verdicts: it is an orderer's ledger; ask a peer, or its data folder"
            )
        }
        var explanation = TransactionExplanation(
            place: Version(block: block.header.number, transaction: UInt64(index)),
            code: code,
            picture: TransactionPicture(envelope: block.data.data[index], code: code)
        )
        if code == .duplicateTxid {
            explanation.add(duplicateOf: first, identifier)
        } else if number == nil {
            explanation.copies = try await self.copies(of: identifier, after: first, index)
        }
        try await self.addCauses(to: &explanation, block, index)
        return explanation
    }

    private func copies(
        of identifier: String,
        after block: Common_Block,
        _ index: Int
    ) async throws -> [TransactionExplanation.Copy] {
        let number = block.header.number
        let end = try await self.source.height()
        var blocks = [block]
        if end > number + 1 {
            blocks += try await self.source.blocks(number + 1...min(end - 1, number + Self.copyDepth))
        }
        return blocks.flatMap { block in
            block.positions(of: identifier)
                .filter { block.header.number != number || $0 > index }
                .compactMap { position in
                    block.code(at: position).map {
                        TransactionExplanation.Copy(
                            version: Version(block: block.header.number, transaction: UInt64(position)),
                            code: $0
                        )
                    }
                }
        }
    }

    private func addCauses(
        to explanation: inout TransactionExplanation,
        _ block: Common_Block,
        _ index: Int
    ) async throws {
        let decoded: DecodedTransaction
        do {
            decoded = try DecodedTransaction.decode(block.data.data[index])
        } catch {
            explanation.add(reason: error.reason)
            return
        }
        if case .failure(let failure) = decoded.body, explanation.code != .badCreatorSignature {
            explanation.add(reason: failure.invalid.reason)
            return
        }
        guard case .success(.endorser(let body)) = decoded.body else {
            if explanation.code == .badCreatorSignature {
                try await self.addCreator(to: &explanation, block, index)
            }
            return
        }
        switch explanation.code {
        case .valid:
            explanation.addEndorsers(body)
        case .mvccReadConflict, .phantomReadConflict:
            try await self.addConflict(to: &explanation, block, index, body)
        case .badCreatorSignature:
            try await self.addCreator(to: &explanation, block, index)
        case .endorsementPolicyFailure, .invalidChaincode:
            try await PolicyExplainer(source: self.source, depth: self.depth)
                .explain(&explanation, block, index, body)
        default:
            break
        }
    }

    private func addConflict(
        to explanation: inout TransactionExplanation,
        _ block: Common_Block,
        _ index: Int,
        _ body: EndorserTransaction
    ) async throws {
        var search = ConflictSearch(body.readWriteSet, code: explanation.code, place: explanation.place)
        let last = try await BlockWalk(source: self.source, depth: self.depth)
            .run(from: block, before: index) { search.take($0, $1) }
        for finding in search.findings.prefix(ConflictSearch.Finding.shown) {
            explanation.causes.append(
                .init(text: finding.text(in: block.header.number), json: finding.json)
            )
        }
        let others = search.findings.count - ConflictSearch.Finding.shown
        if others > 0 { explanation.notes.append("\(others) more keys that it read had changed") }
        guard search.findings.isEmpty else { return }
        explanation.notes.append(
            last == 0
                ? "no transaction of the chain changed what it read: have the ledger checked with `weft ledger verify`"
                : """
                what it read was not changed in blocks \(last) to \(block.header.number): search further back with \
                --depth \(self.depth * 10)
                """
        )
    }

    private func addCreator(
        to explanation: inout TransactionExplanation,
        _ block: Common_Block,
        _ index: Int
    ) async throws {
        let configuration = try await self.source.configuration(of: block)
        let prepared = PreparedTransaction(block.data.data[index], configuration: configuration)
        guard let refusal = prepared.creatorRefusal else {
            explanation.notes.append(
                "as the blocks are now, creator and signature are in order under configuration \(configuration.sequence)"
            )
            return
        }
        explanation.add(reason: refusal)
    }
}

extension ChainSource {
    /// The configuration that was in force when `block` was validated.
    func configuration(of block: Common_Block) async throws -> ChannelConfiguration {
        var last = try block.lastConfigNumber()
        if last == block.header.number, last > 0 {
            last = try await self.block(last - 1).lastConfigNumber()
        }
        let config = last == block.header.number ? block : try await self.block(last)
        return try ChannelConfiguration(configBlock: config)
    }
}

extension Common_Block {
    /// The positions of the transactions of an identifier.
    func positions(of identifier: String) -> [Int] {
        self.data.data.indices.filter {
            DecodedTransaction.indexedIdentifier(of: self.data.data[$0]) == identifier
        }
    }

    /// The verdict on the transaction at a position; `nil` in blocks of an orderer.
    func code(at index: Int) -> Protos_TxValidationCode? {
        let codes = BlockSummary(self).codes
        return codes.indices.contains(index) ? codes[index] : nil
    }
}

extension TransactionExplanation {
    /// Adds the reason of a check that needs nothing but the transaction.
    mutating func add(reason: String) {
        self.causes.append(Cause(text: reason, json: .object(["kind": "reason", "reason": .string(reason)])))
    }

    fileprivate mutating func add(duplicateOf block: Common_Block, _ identifier: String) {
        guard let index = block.positions(of: identifier).first else { return }
        let code = block.code(at: index) ?? .notValidated
        self.causes.append(
            Cause(
                text:
                    "the first one is in block \(block.header.number), position \(index), and was judged \(code.name)",
                json: .object([
                    "kind": "duplicate", "block": .unsigned(block.header.number),
                    "index": .integer(Int64(index)), "code": .string(code.name),
                ])
            )
        )
    }

    fileprivate mutating func addEndorsers(_ body: EndorserTransaction) {
        let endorsers = body.endorsements.map { TransactionPicture.name(of: $0.endorser) }
        self.causes.append(
            Cause(
                text: """
                    its endorsements satisfy the policies of what it writes, and when its turn came, all that it had read \
                    was as it had read it
                    """,
                details: endorsers.map { "endorsed by \($0)" },
                json: .object([
                    "kind": "endorsed", "endorsers": .array(endorsers.map { .string($0) }),
                ])
            )
        )
    }
}
