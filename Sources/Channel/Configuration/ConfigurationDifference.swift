package import FabricProtos
import FoundationEssentials

/// What differs between two configurations, in words.
package struct ConfigurationDifference: Equatable, Sendable {
    /// One fact that is new, gone, or another.
    package struct Change: Equatable, Sendable {
        package enum Kind: String, Sendable { case added, removed, changed }

        package var kind: Kind
        package var element: String
        package var name: String
        /// `nil` for what was added.
        package var before: String?
        /// `nil` for what was removed.
        package var after: String?
    }

    /// In the order of elements.
    package let changes: [Change]

    package init(from old: Common_ConfigGroup, to new: Common_ConfigGroup) {
        let before = Self.numbered(old.facts)
        let after = Self.numbered(new.facts)
        let texts = Dictionary(before.map { ($0.key, $0.text) }) { first, _ in first }
        let later = Dictionary(after.map { ($0.key, $0.text) }) { first, _ in first }
        var changes: [(order: Int, change: Change)] = []
        for (key, text) in before {
            guard let now = later[key] else {
                changes.append(
                    (0, Change(kind: .removed, element: key.element, name: key.name, before: text))
                )
                continue
            }
            guard now != text else { continue }
            changes.append(
                (1, Change(kind: .changed, element: key.element, name: key.name, before: text, after: now))
            )
        }
        for (key, text) in after where texts[key] == nil {
            changes.append((2, Change(kind: .added, element: key.element, name: key.name, after: text)))
        }
        let told = Set(changes.map(\.change.element))
        let oldContents = old.contents(at: PolicyTree.root)
        for (element, bytes) in new.contents(at: PolicyTree.root) where !told.contains(element) {
            guard let original = oldContents[element], original != bytes else { continue }
            let change = Change(
                kind: .changed,
                element: element,
                name: "content",
                before: "\(original.count) bytes",
                after: "\(bytes.count) bytes that say the same in another order or encoding"
            )
            changes.append((1, change))
        }
        self.changes =
            changes.sorted { left, right in
                (left.change.element, left.order, left.change.name)
                    < (right.change.element, right.order, right.change.name)
            }.map(\.change)
    }

    package var isEmpty: Bool { self.changes.isEmpty }

    /// The difference for people: each element once, below it what is new (+), gone (-) or another (~).
    package var lines: [String] {
        var lines: [String] = []
        var element = ""
        for change in self.changes {
            if change.element != element {
                element = change.element
                lines.append(element)
            }
            switch change.kind {
            case .added: lines.append("  + \(Self.line(change.name, change.after))")
            case .removed: lines.append("  - \(Self.line(change.name, change.before))")
            case .changed: lines.append("  ~ \(change.name): \(change.before ?? "") -> \(change.after ?? "")")
            }
        }
        return lines
    }

    private static func line(_ name: String, _ text: String?) -> String {
        guard let text, !text.isEmpty else { return name }
        return "\(name): \(text)"
    }

    /// What a fact is about; the same thing said twice gets numbers.
    private struct Key: Hashable {
        var element: String
        var name: String
        var occurrence: Int
    }

    private static func numbered(_ facts: [ConfigurationFact]) -> [(key: Key, text: String)] {
        var counts: [Key: Int] = [:]
        return facts.map { fact in
            let first = Key(element: fact.element, name: fact.name, occurrence: 0)
            let count = counts[first, default: 0]
            counts[first] = count + 1
            return (Key(element: fact.element, name: fact.name, occurrence: count), fact.text)
        }
    }
}

extension Common_ConfigGroup {
    /// The bytes of every value and policy, by path.
    fileprivate func contents(at path: String) -> [String: Data] {
        var contents: [String: Data] = [:]
        for (name, value) in self.values { contents["\(path)/\(name)"] = value.value }
        for (name, policy) in self.policies { contents["\(path)/\(name)"] = policy.policy.value }
        for (name, group) in self.groups {
            contents.merge(group.contents(at: "\(path)/\(name)")) { $1 }
        }
        return contents
    }
}
