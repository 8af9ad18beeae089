package import FabricProtos
import SwiftProtobuf

extension Common_ConfigUpdate {
    /// The smallest update that leads from one configuration to another.
    ///
    /// Groups whose members or policy change list all their members and get the next version; elsewhere only
    /// what changed is listed.
    ///
    /// - Throws: ``ConfigUpdateError`` if nothing differs.
    /// - Source: Fabric v3.1, command `configtxlator compute_update`.
    package static func computing(
        from original: Common_ConfigGroup,
        to updated: Common_ConfigGroup,
        channelID: ChannelID?
    ) throws(ConfigUpdateError) -> Common_ConfigUpdate {
        let difference = GroupDifference(from: original, to: updated)
        guard difference.isChanged else {
            throw ConfigUpdateError(reason: "the two configurations do not differ")
        }
        return .with {
            $0.channelID = channelID?.description ?? ""
            $0.readSet = difference.readSet
            $0.writeSet = difference.writeSet
        }
    }
}

/// What differs between two versions of a group.
private struct GroupDifference {
    var readSet = Common_ConfigGroup()
    var writeSet = Common_ConfigGroup()
    /// Anything in the group or below it differs.
    var isChanged: Bool

    init(from old: Common_ConfigGroup, to new: Common_ConfigGroup) {
        let values = MemberDifference(from: old.values, to: new.values)
        let policies = MemberDifference(from: old.policies, to: new.policies)
        var groups: [String: GroupDifference] = [:]
        for (name, before) in old.groups {
            guard let after = new.groups[name] else { continue }
            groups[name] = GroupDifference(from: before, to: after)
        }
        let changesMembers =
            old.modPolicy != new.modPolicy || values.changesMembership || policies.changesMembership
            || Set(old.groups.keys) != Set(new.groups.keys)
        let changesContent =
            !values.changed.isEmpty || !policies.changed.isEmpty
            || groups.values.contains(where: \.isChanged)
        self.isChanged = changesMembers || changesContent
        self.readSet.version = old.version
        self.writeSet.version = old.version
        guard self.isChanged else { return }

        self.writeSet.values = values.changed
        self.writeSet.policies = policies.changed
        for (name, difference) in groups where difference.isChanged {
            self.readSet.groups[name] = difference.readSet
            self.writeSet.groups[name] = difference.writeSet
        }
        guard changesMembers else { return }
        self.writeSet.version = old.version &+ 1
        self.writeSet.modPolicy = new.modPolicy
        self.listMembers(new, unchangedValues: values, unchangedPolicies: policies, groups)
    }

    /// Lists the members that stay as they are, by version, and those that are new, in full.
    private mutating func listMembers(
        _ new: Common_ConfigGroup,
        unchangedValues values: MemberDifference<Common_ConfigValue>,
        unchangedPolicies policies: MemberDifference<Common_ConfigPolicy>,
        _ groups: [String: GroupDifference]
    ) {
        self.readSet.values = values.unchanged
        self.readSet.policies = policies.unchanged
        self.writeSet.values.merge(values.unchanged) { changed, _ in changed }
        self.writeSet.values.merge(values.added) { changed, _ in changed }
        self.writeSet.policies.merge(policies.unchanged) { changed, _ in changed }
        self.writeSet.policies.merge(policies.added) { changed, _ in changed }
        for (name, group) in new.groups {
            if let difference = groups[name] {
                guard !difference.isChanged else { continue }
                self.readSet.groups[name] = difference.readSet
                self.writeSet.groups[name] = difference.writeSet
            } else {
                self.writeSet.groups[name] = group.asNew
            }
        }
    }
}

/// What differs between the values or policies of two versions of a group.
private struct MemberDifference<Member: ConfigurationMember> {
    /// Changed members with their new content and next version.
    var changed: [String: Member] = [:]
    /// Members that stay, by version only.
    var unchanged: [String: Member] = [:]
    /// New members at version 0.
    var added: [String: Member] = [:]
    var changesMembership: Bool

    init(from old: [String: Member], to new: [String: Member]) {
        self.changesMembership = Set(old.keys) != Set(new.keys)
        for (name, after) in new {
            guard let before = old[name] else {
                self.added[name] = after.with(version: 0)
                continue
            }
            if before.hasContent(of: after) {
                self.unchanged[name] = .only(version: before.version)
            } else {
                self.changed[name] = after.with(version: before.version &+ 1)
            }
        }
    }
}

private protocol ConfigurationMember {
    var version: UInt64 { get set }
    init()
    /// Whether content and policy are the same, whatever the version.
    func hasContent(of other: Self) -> Bool
}

extension ConfigurationMember {
    fileprivate func with(version: UInt64) -> Self {
        var copy = self
        copy.version = version
        return copy
    }

    fileprivate static func only(version: UInt64) -> Self { Self().with(version: version) }
}

extension Common_ConfigValue: ConfigurationMember {
    fileprivate func hasContent(of other: Self) -> Bool {
        self.value == other.value && self.modPolicy == other.modPolicy
    }
}

extension Common_ConfigPolicy: ConfigurationMember {
    fileprivate func hasContent(of other: Self) -> Bool {
        self.hasPolicy == other.hasPolicy && self.policy == other.policy && self.modPolicy == other.modPolicy
    }
}

extension Common_ConfigGroup {
    /// The group with everything in it at version 0.
    fileprivate var asNew: Common_ConfigGroup {
        var group = self
        group.version = 0
        group.values = group.values.mapValues { $0.with(version: 0) }
        group.policies = group.policies.mapValues { $0.with(version: 0) }
        group.groups = group.groups.mapValues(\.asNew)
        return group
    }
}
