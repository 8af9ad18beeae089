import Foundation
import Peer

extension PrivateDataReport.Channel {
    /// What the channel lacks, for people.
    func text(of peer: String) -> String {
        guard self.total > 0 else {
            return "\(peer), channel \(self.channel): nothing is missing (\(self.height) blocks)"
        }
        let sets = self.total == 1 ? "1 set of private writes is" : "\(self.total) sets of private writes are"
        var lines = ["\(peer), channel \(self.channel): \(sets) missing"]
        for missing in self.missing { lines += missing.lines }
        if self.total > self.missing.count {
            lines.append("  and \(self.total - self.missing.count) more of older blocks")
        }
        lines.append(
            self.idle.map { "  the peer asks nobody for it: \($0)" }
                ?? "  the peer asks every \(self.interval.formatted()) s; "
                + "for what the others turn out to lack, less and less often, up to an hour"
        )
        lines.append(
            "  reading a key fails while its value is missing; where every peer that had it is gone, write the key anew"
        )
        return lines.joined(separator: "\n")
    }

    var json: JSONValue {
        .object([
            "channel": .string(self.channel),
            "height": .unsigned(self.height),
            "total": .integer(Int64(self.total)),
            "idle": self.idle.map { .string($0) } ?? .null,
            "interval": .number(self.interval),
            "missing": .array(self.missing.map(\.json)),
        ])
    }
}

extension PrivateDataReport.Missing {
    fileprivate var lines: [String] {
        let time = self.time.map { ", proposed \(Self.text($0))" } ?? ""
        var lines = [
            "  since block \(self.block), transaction \(self.transaction) (\(self.transactionID)\(time)): "
                + "collection \(self.collection) of \(self.contract)"
        ]
        guard let lastTried else {
            let reason =
                self.reason.isEmpty ? "nobody was asked for it yet since the peer started" : self.reason
            return lines + ["    \(reason)"]
        }
        let next = self.nextTry.map { ", next try \(Self.text($0))" } ?? ""
        lines.append("    last tried \(Self.text(lastTried))\(next):")
        for attempt in self.attempts {
            let organization = attempt.organization.map { " of \($0)" } ?? ""
            lines.append("      \(attempt.peer)\(organization): \(attempt.reason)")
        }
        if !self.reason.isEmpty { lines.append("      \(self.reason)") }
        return lines
    }

    fileprivate var json: JSONValue {
        .object([
            "block": .unsigned(self.block),
            "transaction": .integer(Int64(self.transaction)),
            "transactionID": .string(self.transactionID),
            "time": self.time.map { .string(Self.text($0)) } ?? .null,
            "contract": .string(self.contract),
            "collection": .string(self.collection),
            "lastTried": self.lastTried.map { .string(Self.text($0)) } ?? .null,
            "nextTry": self.nextTry.map { .string(Self.text($0)) } ?? .null,
            "attempts": .array(
                self.attempts.map { attempt in
                    .object([
                        "peer": .string(attempt.peer),
                        "organization": attempt.organization.map { .string($0) } ?? .null,
                        "reason": .string(attempt.reason),
                    ])
                }
            ),
            "reason": .string(self.reason),
        ])
    }

    private static func text(_ time: Date) -> String { time.formatted(.iso8601) }
}
