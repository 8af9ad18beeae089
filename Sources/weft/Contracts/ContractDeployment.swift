import Channel
import FabricProtos
import Foundation
import Peer
import WeftClient

/// Brings a contract onto a channel as far as the administrators at hand can: installed, approved, committed.
///
/// Each step finds out whether it is done, so that a deployment that stopped half-way, or waited for other
/// organizations, goes on when it is run again.
struct ContractDeployment: Sendable {
    /// What became of it.
    struct Outcome: Sendable {
        var definition: ContractDefinition
        /// The package that the first organization at hand runs; empty if it runs none.
        var package: String
        var approvals: [String: Bool]
        var isCommitted: Bool
        /// Whether nothing had to be done.
        var wasThere = false

        /// The organizations that have yet to approve, by name.
        var missing: [String] { self.approvals.filter { !$0.value }.keys.sorted() }
    }

    let seats: [ContractSeat]
    /// The channel's configuration, which says who must approve.
    let configuration: ChannelConfiguration
    /// The package and its identifier; `nil` for what the organizations run already: their packages, or a contract that is
    /// built into the peers.
    let package: (bytes: Data, id: String)?
    /// Takes a line about each step.
    let tell: @Sendable (String) -> Void

    /// Deploys.
    ///
    /// - Parameter wanted: Makes the definition, from the one that the channel has; its sequence is found out.
    /// - Returns: How far it came.
    /// - Throws: What a peer or the ordering service refuses with.
    func run(
        _ wanted: (_ committed: Lifecycle_QueryChaincodeDefinitionResult?) throws -> ContractDefinition
    ) async throws -> Outcome {
        guard let first = self.seats.first else { throw Failure("no administrator of any peer is at hand") }
        var definition = try wanted(nil)
        let committed = try await definition.committed(first.gateway)
        definition = try wanted(committed)
        if self.package == nil, committed == nil { try await self.requireBuiltIn(definition.name, at: first) }
        try await self.install()
        definition.sequence = try await self.sequence(of: definition, committed)
        let isOnChannel = committed.map { $0.sequence == definition.sequence } ?? false

        var last: UInt64 = 0
        var wasThere = isOnChannel
        var firstPackage: String?
        for seat in self.seats {
            let package: String
            if let given = self.package?.id {
                package = given
            } else {
                package = try await seat.newestPackage(definition.name, through: definition.sequence)
            }
            firstPackage = firstPackage ?? package
            if isOnChannel,
                try await seat.approvedPackage(definition.name, sequence: definition.sequence) == package
            {
                continue
            }
            let block = try await definition.approve(
                seat.gateway,
                organization: seat.mspID,
                packageID: package
            )
            guard let block else { continue }
            wasThere = false
            last = max(last, block)
            self.tell("approved by \(seat.mspID), sequence \(definition.sequence)")
        }
        if last > 0 { for seat in self.seats { try await seat.waitForBlock(last) } }
        var outcome = Outcome(
            definition: definition,
            package: firstPackage ?? "",
            approvals: committed?.approvals ?? [:],
            isCommitted: isOnChannel,
            wasThere: wasThere
        )
        if !isOnChannel { try await self.commit(&outcome, first) }
        return outcome
    }

    /// Refuses a first definition of what no peer could run.
    private func requireBuiltIn(_ name: String, at seat: ContractSeat) async throws {
        guard try await seat.installed().contains(where: { $0.packageID == "\(name):builtin" }) else {
            throw Failure(
                """
                the channel has no contract \(name), and \(seat.name) has none of that name built in: name the contract's \
                folder, program or package, or with --address where it runs as a service
                """,
                code: .usage
            )
        }
    }

    private func install() async throws {
        guard let package else { return }
        for seat in self.seats {
            let isNew = try await seat.install(package.bytes)
            self.tell("\(isNew ? "installed" : "is installed already") at \(seat.name): \(package.id)")
        }
    }

    /// The channel's own sequence where its definition is the one that is wanted and the organizations at hand run this
    /// package, or none yet; else the next one.
    private func sequence(
        of definition: ContractDefinition,
        _ committed: Lifecycle_QueryChaincodeDefinitionResult?
    ) async throws -> Int64 {
        guard let committed else { return 1 }
        guard try definition.hasContent(of: committed) else { return committed.sequence + 1 }
        guard let package else { return committed.sequence }
        for seat in self.seats {
            let approved = try await seat.approvedPackage(definition.name, sequence: committed.sequence) ?? ""
            if !approved.isEmpty, approved != package.id { return committed.sequence + 1 }
        }
        return committed.sequence
    }

    private func commit(_ outcome: inout Outcome, _ first: ContractSeat) async throws {
        outcome.approvals = try await outcome.definition.approvals(first.gateway)
        let approved = outcome.approvals.filter(\.value).keys.sorted()
        guard
            let endorsers = self.endorsers(of: approved, preferring: Set(self.seats.map(\.mspID)))
        else { return }
        let block = try await outcome.definition.commit(first.gateway, organizations: endorsers)
        self.tell("committed in block \(block), endorsed by \(endorsers.joined(separator: ", "))")
        for seat in self.seats { try await seat.waitForBlock(block) }
        outcome.isCommitted = true
    }

    /// The fewest of the organizations that approved whose peers satisfy the policy for definitions; `nil` if all of them
    /// don't.
    func endorsers(of approved: [String], preferring own: Set<String>) -> [String]? {
        let path = "/Channel/Application/LifecycleEndorsement"
        guard let policy = self.configuration.policies.policy(at: path) else {
            let organizations = self.configuration.application?.organizations.count ?? 0
            return approved.count > organizations / 2 ? approved : nil
        }
        let sets = policy.requirement.combinations().list.compactMap { combination -> [String]? in
            var organizations: Set<String> = []
            for principal in combination.counts.keys {
                guard let organization = approved.first(where: { principal.hasPrefix("'\($0).") }) else {
                    return nil
                }
                organizations.insert(organization)
            }
            return organizations.sorted()
        }
        return sets.min { left, right in
            let foreign = { (set: [String]) in set.count { !own.contains($0) } }
            return (foreign(left), left.count) < (foreign(right), right.count)
        }
    }
}
