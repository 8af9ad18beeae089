package import Channel
package import FabricProtos
internal import Synchronization

/// What sets of policies ask for under the configuration in force of each channel, and the layouts that come of it.
///
/// Nearly all proposals ask for the same few policies, and the peers change seldom.
package final class EndorsementRequirements: Sendable {
    private struct Entry {
        var requirement: EndorsementRequirement
        /// By how many candidates there are for each principal.
        var layouts: [[Int]: [EndorsementLayout]] = [:]
    }

    private struct Known {
        var configuration: ChannelConfiguration
        var entries: [[Protos_ApplicationPolicy]: Entry] = [:]
    }

    /// The most sets of policies kept for one channel; when there are more, all are forgotten.
    private static let limit = 1_000
    /// The most computations kept for one set of policies.
    private static let layoutsLimit = 32

    private let channels = Mutex<[ChannelID: Known]>([:])

    package init() {}

    /// What `policies` ask for under `configuration`.
    ///
    /// - Throws: `InvalidPolicy` for a policy that can't be evaluated.
    package func requirement(
        of policies: [Protos_ApplicationPolicy],
        under configuration: ChannelConfiguration
    ) throws -> EndorsementRequirement {
        if let entry = self.entry(policies, configuration) { return entry.requirement }
        let compiled = try policies.map { try configuration.policies.policy(for: $0, name: "endorsement") }
        let requirement = EndorsementRequirement(compiled)
        self.keep(Entry(requirement: requirement), policies, configuration)
        return requirement
    }

    /// The layouts for which there are enough candidates.
    ///
    /// - Parameters:
    ///   - requirement: what ``requirement(of:under:)`` gave for the policies and the configuration.
    ///   - policies: the same policies.
    ///   - configuration: the same configuration.
    ///   - capacity: how many candidates there are for each of its principals.
    /// - Returns: the layouts, the smallest first.
    func layouts(
        of requirement: EndorsementRequirement,
        for policies: [Protos_ApplicationPolicy],
        under configuration: ChannelConfiguration,
        capacity: [Int]
    ) -> [EndorsementLayout] {
        if let known = self.entry(policies, configuration)?.layouts[capacity] { return known }
        let layouts = requirement.layouts(capacity: capacity).list
        var entry = self.entry(policies, configuration) ?? Entry(requirement: requirement)
        if entry.layouts.count >= Self.layoutsLimit { entry.layouts = [:] }
        entry.layouts[capacity] = layouts
        self.keep(entry, policies, configuration)
        return layouts
    }

    private func entry(_ policies: [Protos_ApplicationPolicy], _ configuration: ChannelConfiguration)
        -> Entry?
    {
        self.channels.withLock { channels in
            guard let known = channels[configuration.channelID], known.configuration === configuration else {
                return nil
            }
            return known.entries[policies]
        }
    }

    private func keep(
        _ entry: Entry,
        _ policies: [Protos_ApplicationPolicy],
        _ configuration: ChannelConfiguration
    ) {
        self.channels.withLock { channels in
            var known = channels[configuration.channelID] ?? Known(configuration: configuration)
            if known.configuration !== configuration || known.entries.count >= Self.limit {
                known = Known(configuration: configuration)
            }
            known.entries[policies] = entry
            channels[configuration.channelID] = known
        }
    }
}
