import Channel
import FabricProtos
import Foundation
import Peer

/// Finds the policies that a transaction's endorsers don't satisfy.
struct PolicyExplainer {
    let source: any ChainSource
    /// How many blocks before the transaction's are searched.
    let depth: UInt64

    /// The most alternatives of missing signatures that are told.
    private static let shownAlternatives = 5
    /// The most keys of a policy that are told.
    private static let shownKeys = 5

    func explain(
        _ explanation: inout TransactionExplanation,
        _ block: Common_Block,
        _ index: Int,
        _ body: EndorserTransaction
    ) async throws {
        let configuration = try await self.source.configuration(of: block)
        let prepared = PreparedTransaction(block.data.data[index], configuration: configuration)
        let (rules, changed) = try await self.rules(&explanation, block, index, body)
        for change in changed {
            explanation.causes.append(
                .init(
                    text: """
                        \(change.writer.text), earlier in the same block, writes the endorsement policy of the key \
                        \(change.key.text) of \(change.key.place): nobody else may write that key in this block
                        """,
                    json: .members(
                        [("kind", .string("policy-changed-in-block"))] + change.key.json
                            + [("changedBy", change.writer.json)]
                    )
                )
            )
        }
        let review = try EndorsementReview(prepared, body, configuration: configuration, state: rules)
        let unmet = review.parts.filter { !$0.isMet }
        explanation.causes += unmet.map { self.cause($0, review) }
        if explanation.causes.isEmpty {
            explanation.notes.append(
                """
                by what was found, every policy is satisfied: a key may have got a policy of its own in an earlier block; \
                search further back with --depth \(self.depth * 10)
                """
            )
        }
    }

    // MARK: - What was in force

    private func rules(
        _ explanation: inout TransactionExplanation,
        _ block: Common_Block,
        _ index: Int,
        _ body: EndorserTransaction
    ) async throws -> (FoundRules, [PolicySearch.ChangedKey]) {
        let written = EndorsementReview.writtenKeys(of: body)
        var names = [body.chaincode]
        for name in written.map(\.namespace) where !names.contains(name) { names.append(name) }
        names.removeAll { $0 == ChaincodeName.lifecycle }
        var rules = FoundRules()
        var uncertain: [String] = []
        for name in names {
            let current = try await self.source.definition(of: name)
            let read = try await self.committedDefinition(body.definitionVersion(of: name), name)
            rules.definitions[name] = read ?? current
            // The present definition is the one that the endorsers read: it was in force in between.
            if read == nil || read?.sequence != current?.sequence { uncertain.append(name) }
        }
        var search = PolicySearch(
            keys: Set(written.map { StateKey($0.key, in: $0.namespace) }),
            chaincodes: uncertain
        )
        search.takeOwnBlock(
            block.writes(before: index, judged: [.valid, .mvccReadConflict, .phantomReadConflict])
        )
        // Policies are those of the state before the block.
        let last = try await BlockWalk(source: self.source, depth: self.depth)
            .run(from: block, before: 0) { _, transactions in search.take(transactions) }
        for (name, committed) in search.committed {
            rules.definitions[name] = ChaincodeDefinition(committed)
        }
        rules.policies = search.policies
        let open = uncertain.filter { search.committed[$0] == nil && rules.definitions[$0] != nil }
        if last > 0, !open.isEmpty {
            explanation.notes.append(
                """
                the definition of \(open.joined(separator: ", ")) is taken from the present or from when the transaction \
                was endorsed: blocks before \(last) were not searched; --depth searches more
                """
            )
        }
        return (rules, search.changedKeys)
    }

    /// The definition that the transaction at `version` committed.
    private func committedDefinition(_ version: Version?, _ name: String) async throws -> ChaincodeDefinition?
    {
        guard let version, version.block < (try await self.source.height()) else { return nil }
        let block = try await self.source.block(version.block)
        let transaction = block.writes().first { $0.place.version == version }
        guard let committed = transaction?.definition, committed.name == name else {
            return nil
        }
        return ChaincodeDefinition(committed)
    }

    // MARK: - Words

    private func cause(
        _ part: EndorsementReview.Part,
        _ review: EndorsementReview
    ) -> TransactionExplanation.Cause {
        let keys = part.keys.map { StateKey($0, in: part.namespace) }
        let what = self.subject(part, keys)
        guard let policy = part.policy else {
            let reason = part.refusal ?? "there is no such policy"
            return .init(
                text: "\(what): \(reason)",
                json: .object([
                    "kind": "policy", "subject": .string(what), "reason": .string(reason),
                ])
            )
        }
        let explained = policy.explanation(review.endorsers, rejected: review.rejected)
        let missing = policy.missing(from: review.endorsers).prefix(Self.shownAlternatives)
        var details = explained.signatures.map { "had     \($0)" }
        if explained.signatures.isEmpty { details.append("had     no endorsement") }
        if !missing.isEmpty {
            details.append("lacked  \(missing.map(\.description).joined(separator: "; or "))")
        }
        return .init(
            text: "\(what) is not satisfied: \(explained.reason)",
            details: details,
            json: .object([
                "kind": "policy",
                "subject": .string(what),
                "policy": .string(policy.name),
                "requirement": .array(policy.requirement.lines().map { .string($0) }),
                "reason": .string(explained.reason),
                "keys": .array(keys.map { .members($0.json) }),
                "signatures": .array(
                    explained.signatures.map {
                        .object(["signer": .string($0.signer), "outcome": .string($0.outcome)])
                    }
                ),
                "missing": .array(missing.map { .string($0.description) }),
            ])
        )
    }

    private func subject(_ part: EndorsementReview.Part, _ keys: [StateKey]) -> String {
        guard EndorsementReview.isKeyPolicy(part) else { return "the endorsement policy of \(part.subject)" }
        let shown = keys.prefix(Self.shownKeys).map(\.text).joined(separator: ", ")
        return "the policy of its own that the key \(shown) of \(keys.first?.place ?? part.namespace) has"
    }
}
