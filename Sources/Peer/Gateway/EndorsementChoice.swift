internal import Channel
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Ledger
internal import SwiftProtobuf

/// Whom the gateway asks for one proposal: the peers of its channel, and what the policies make of them.
struct EndorsementChoice: Sendable {
    let proposal: UnpackedProposal
    let channel: PeerChannel
    let configuration: ChannelConfiguration
    /// The peers of the channel, the best first.
    let candidates: [EndorserCandidate]
    let ownMSPID: MSPID
    let definition: @Sendable (String, PeerChannel) throws -> ChaincodeDefinition?
    let requirements: EndorsementRequirements

    /// The interest of a call of which nothing is known yet.
    var plainInterest: Protos_ChaincodeInterest {
        .with { $0.chaincodes = [.with { $0.name = self.proposal.chaincodeName }] }
    }

    /// What `interest` asks for.
    ///
    /// - Throws: ``GatewayFailure`` (FAILED_PRECONDITION) if a contract or collection is not defined.
    func criteria(for interest: Protos_ChaincodeInterest) throws -> EndorsementCriteria {
        do {
            return try EndorsementCriteria(of: interest, under: self.configuration) { name in
                try self.definition(name, self.channel)
            }
        } catch let failure as InvalidInterest {
            throw GatewayFailure(.failedPrecondition, failure.description)
        }
    }

    /// Which candidates have a contract, by their numbers.
    struct Holders: Sendable {
        /// Those that have it, or of which nothing is known.
        var certain: [Int] = []
        /// Those that may have it by now, but have not told so.
        var possible: [Int] = []
        /// Why candidates are not among the certain.
        var exclusions: [Int: String] = [:]

        /// The best that there are of those for which `isWanted`.
        func best(where isWanted: (Int) -> Bool = { _ in true }) -> [Int] {
            let certain = self.certain.filter(isWanted)
            return certain.isEmpty ? self.possible.filter(isWanted) : certain
        }
    }

    /// Which candidates can run the contract of the proposal.
    ///
    /// System contracts are part of every peer.
    func holdersOfContract() throws -> Holders {
        guard !ChaincodeName.system.contains(self.proposal.chaincodeName) else {
            return Holders(certain: Array(self.candidates.indices))
        }
        return self.holders(of: try self.criteria(for: self.plainInterest))
    }

    func holders(of criteria: EndorsementCriteria) -> Holders {
        var holders = Holders()
        var told: [Int: UInt64] = [:]
        for (number, candidate) in self.candidates.enumerated() {
            guard let exclusion = candidate.exclusion(by: criteria, self.configuration.directory) else {
                holders.certain.append(number)
                continue
            }
            holders.exclusions[number] = exclusion.reason
            told[number] = candidate.isSelf ? nil : exclusion.toldAt
        }
        guard !told.isEmpty else { return holders }
        let height = self.newsHeight(of: criteria)
        holders.possible = told.filter { $0.value < height }.keys.sorted()
        return holders
    }

    /// How many blocks after the commit of a definition peers are given to tell others that they have the contract.
    private static let newsDelay: UInt64 = 50

    /// The height from which on what peers tell of their contracts counts for certain.
    ///
    /// Gossip tells it some seconds late, and calls come right after the commit of a definition.
    private func newsHeight(of criteria: EndorsementCriteria) -> UInt64 {
        let snapshot = self.channel.ledger.snapshot()
        let blocks = criteria.chaincodes.compactMap { chaincode in
            try? snapshot.value(
                namespace: ChaincodeName.lifecycle,
                key: LifecycleState.sequenceKey(of: chaincode.name)
            )?.version.block
        }
        return (blocks.max() ?? 0) + Self.newsDelay
    }

    /// The selection for an interest, with the collections' members alone where the proposal has transient data.
    ///
    /// - Throws: ``GatewayFailure`` (FAILED_PRECONDITION) if no peers can satisfy the policies, with the reason.
    func selection(for interest: Protos_ChaincodeInterest) throws -> EndorserSelection {
        var guarded = interest
        if !self.proposal.transient.isEmpty {
            for index in guarded.chaincodes.indices { guarded.chaincodes[index].noPrivateReads = false }
        }
        let criteria = try self.criteria(for: guarded)
        let strict = try self.selection(by: criteria)
        guard strict.endorsers() == nil else { return strict }
        let lenient = try self.selection(by: criteria, trustingBehind: self.newsHeight(of: criteria))
        guard lenient.endorsers() == nil else { return lenient }

        var message =
            "no combination of peers can be derived which satisfy the endorsement policy: \(strict.shortage())"
        if guarded != interest, try self.selection(by: self.criteria(for: interest)).endorsers() != nil {
            message =
                "the policy needs endorsements of organizations that are no members of the private data collections, "
                + "to which transient data is not sent unasked: name the endorsing organizations in the request "
                + "if you trust them with it (\(strict.shortage()))"
        }
        throw GatewayFailure(.failedPrecondition, message)
    }

    private func selection(
        by criteria: EndorsementCriteria,
        trustingBehind height: UInt64? = nil
    ) throws -> EndorserSelection {
        do {
            return try EndorserSelection(
                criteria,
                among: self.candidates,
                under: self.configuration,
                requirements: self.requirements,
                trustingBehind: height
            )
        } catch let failure as InvalidPolicy {
            throw GatewayFailure(.failedPrecondition, "\(failure)")
        }
    }

    // MARK: Organizations that are named

    /// The organizations that the request names, or the nature of the call does; `nil` where policies decide.
    func namedOrganizations(_ requested: [String]) -> [String]? {
        guard requested.isEmpty else { return requested }
        // An approval writes to its own organization's collection only, which that organization endorses alone.
        let isApproval =
            self.proposal.chaincodeName == ChaincodeName.lifecycle
            && self.proposal.input.args.first == Data("ApproveChaincodeDefinitionForMyOrg".utf8)
        return isApproval ? [self.ownMSPID.description] : nil
    }

    /// One peer of each organization.
    ///
    /// - Throws: ``GatewayFailure`` (UNAVAILABLE) that names the organizations without a peer that can endorse.
    func selection(ofOrganizations names: [String]) throws -> EndorserSelection {
        let holders = try self.holdersOfContract()
        var usable: Set<Int> = []
        var missing: [String] = []
        for name in names {
            let best = holders.best { self.candidates[$0].mspID.description == name }
            usable.formUnion(best)
            guard best.isEmpty else { continue }
            let reasons = self.candidates.indices.compactMap { number in
                self.candidates[number].mspID.description == name
                    ? holders.exclusions[number].map { "\(self.candidates[number].endpoint): \($0)" } : nil
            }
            missing.append(reasons.isEmpty ? name : "\(name) (\(reasons.joined(separator: ", ")))")
        }
        guard missing.isEmpty else {
            throw GatewayFailure(
                .unavailable,
                "failed to find any endorsing peers for org(s): \(missing.joined(separator: ", "))"
            )
        }
        let policies = try Set(names).sorted().map { name in
            try Protos_ApplicationPolicy.signature(
                .with {
                    $0.rule.nOutOf.n = 1
                    $0.rule.nOutOf.rules = [.with { $0.signedBy = 0 }]
                    $0.identities = [try .role(.member, of: name)]
                }
            )
        }
        return try EndorserSelection(
            policies: policies,
            among: self.candidates,
            exclusions: self.candidates.indices.map {
                usable.contains($0) ? nil : holders.exclusions[$0] ?? ""
            },
            under: self.configuration,
            requirements: self.requirements
        )
    }
}
