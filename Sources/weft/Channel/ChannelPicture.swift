import Channel
import FabricProtos
import Foundation

/// A channel's configuration for people: what matters to an operator, in a few screens.
struct ChannelPicture {
    private let configuration: ChannelConfiguration
    private let facts: [ConfigurationFact]

    init(_ configuration: ChannelConfiguration) {
        self.configuration = configuration
        self.facts = configuration.config.channelGroup.facts
    }

    var text: String {
        let channel = self.configuration
        var lines = ["channel \(channel.channelID), configuration \(channel.sequence)"]
        lines += self.capabilities
        if let orderer = channel.orderer {
            lines += [
                "", "ordering: \(orderer.consensusType)\(orderer.isMaintenance ? ", in maintenance" : "")",
            ]
            lines.append(
                "  a block is full with \(orderer.batch.maxMessageCount) transactions or "
                    + "\(orderer.batch.preferredMaxBytes) bytes (one transaction: \(orderer.batch.absoluteMaxBytes) "
                    + "at most), and waits \(GoDuration.text(orderer.batchTimeout))"
            )
            lines += self.consenters.map { "  \($0)" }
            for organization in orderer.organizations {
                lines.append("  organization \(organization.name) (\(organization.mspID))")
                lines += organization.endpoints.map { "    endpoint \($0)" }
                lines += self.membership("/Channel/Orderer/\(organization.name)/MSP")
            }
        }
        if let application = channel.application {
            lines += ["", "application:"]
            for organization in application.organizations {
                lines.append("  organization \(organization.name) (\(organization.mspID))")
                lines += organization.anchorPeers.map { "    anchor peer \($0.host):\($0.port)" }
                lines += self.membership("/Channel/Application/\(organization.name)/MSP")
            }
            if !application.acls.isEmpty {
                lines.append("  access other than the default:")
                lines += application.acls.sorted { $0.key < $1.key }.map { "    \($0.key): \($0.value)" }
            }
        }
        return (lines + ["", "policies:"] + self.policies).joined(separator: "\n")
    }

    private var capabilities: [String] {
        let found = self.configuration.capabilities
        return [("channel", found.channel), ("orderer", found.orderer), ("application", found.application)]
            .filter { !$0.1.isEmpty }
            .map { "capabilities of \($0.0): \($0.1.sorted().joined(separator: ", "))" }
    }

    private var consenters: [String] {
        self.facts.filter { $0.name.hasPrefix("consenter ") }.map { "\($0.name): \($0.text)" }
    }

    private func membership(_ element: String) -> [String] {
        self.facts.filter { fact in
            fact.element == element
                && ["root certificate", "intermediate", "administrator", "TLS", "revocation"]
                    .contains { fact.name.hasPrefix($0) }
        }.map { "    \($0.name)" }
    }

    private var policies: [String] {
        let rules = self.facts.filter { $0.name == "policy" }
        let width = rules.map(\.element.count).max() ?? 0
        let guards = self.facts.filter { $0.isModificationPolicy && $0.text != "Admins" }
        return rules.map {
            "  \($0.element.padding(toLength: width, withPad: " ", startingAt: 0))  \($0.text)"
        }
            + (guards.isEmpty ? [] : ["", "changed by others than Admins of the element's group:"])
            + guards.map { "  \($0.element): \($0.text.isEmpty ? "(nobody: mod_policy is empty)" : $0.text)" }
    }
}

extension ConfigurationDifference {
    var json: JSONValue {
        .array(
            self.changes.map { change in
                .object([
                    "change": .string(change.kind.rawValue), "element": .string(change.element),
                    "name": .string(change.name), "before": change.before.map { .string($0) } ?? .null,
                    "after": change.after.map { .string($0) } ?? .null,
                ])
            }
        )
    }
}

extension PolicyRequirement {
    /// The smallest sets of signatures, as a sentence.
    var alternatives: String {
        let (list, isComplete) = self.combinations()
        guard !list.isEmpty else { return "no signatures can satisfy it" }
        let shown = list.prefix(8).map(\.description)
        let rest = list.count - shown.count
        let more = rest > 0 || !isComplete ? [isComplete ? "or \(rest) other ways" : "or other ways"] : []
        return (shown + more).joined(separator: "; or ")
            .replacingOccurrences(of: "; or or ", with: "; or ")
    }
}

extension ConfigUpdateReview {
    /// What the update changes, who has to sign, and what is there.
    func text(signers: [String]) -> String {
        var lines = ["what changes:"] + self.difference.lines.map { "  \($0)" }
        lines += ["", "signatures needed:"]
        for need in self.needs {
            lines.append("  policy \(need.policy)\(need.failure == nil ? "  (satisfied)" : "")")
            lines.append("    for \(Self.list(need.elements))")
            lines.append("    by \(need.requirement.alternatives)")
        }
        if self.needs.count > 1 { lines.append("  all together: \(self.requirement.alternatives)") }
        lines += ["", signers.isEmpty ? "nobody has signed yet" : "signed by:"]
        lines += signers.map { "  \($0)" }
        if !self.isAuthorized, !signers.isEmpty {
            lines.append("still missing: \(self.missing.alternatives)")
            for need in self.needs { if let failure = need.failure { lines.append("  \(failure)") } }
        }
        lines += self.warnings.map { "warning: \($0)" }
        return lines.joined(separator: "\n")
    }

    private static func list(_ elements: [String]) -> String {
        let shown = elements.prefix(5).joined(separator: ", ")
        return elements.count > 5 ? "\(shown) and \(elements.count - 5) more" : shown
    }

    func json(signers: [String]) -> JSONValue {
        .object([
            "channel": .string(self.result.channelID.description),
            "sequence": .unsigned(self.result.sequence),
            "difference": self.difference.json,
            "needs": .array(
                self.needs.map { need in
                    .object([
                        "policy": .string(need.policy),
                        "elements": .array(need.elements.map { .string($0) }),
                        "satisfied": .boolean(need.failure == nil),
                        "alternatives": need.requirement.json,
                        "reason": need.failure.map { .string("\($0)") } ?? .null,
                    ])
                }
            ),
            "authorized": .boolean(self.isAuthorized),
            "missing": self.missing.json,
            "signers": .array(signers.map { .string($0) }),
            "warnings": .array(self.warnings.map { .string($0) }),
        ])
    }
}

extension PolicyRequirement {
    /// The smallest sets of signatures: a list of lists of principals, each as often as it has to sign.
    var json: JSONValue {
        .array(
            self.combinations().list.map { combination in
                .array(
                    combination.counts.sorted { $0.key < $1.key }.flatMap { name, count in
                        Array(repeating: JSONValue.string(name), count: count)
                    }
                )
            }
        )
    }
}
