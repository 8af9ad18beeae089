internal import Foundation
internal import WeftContract

/// Audited records: how much electricity an account used in a period, and the CO2e that it caused.
extension EmissionsLedger {
    /// The most records in one transaction.
    private static let maximumRecords = 1_000
    /// The longest period; it bounds how far back an overlap has to be looked for.
    static let maximumPeriodDays: Int64 = 366
    /// The most energy in one record: 10 TWh, more than any account uses in a year.
    private static let maximumWattHours: Int64 = 10_000_000_000_000

    /// The account and the days of a record: from `start` up to, not including, `end`.
    struct Period {
        var utility: Int64
        var account: String
        var start: CalendarDay
        var end: CalendarDay

        var text: String { "\(self.utility)/\(self.account), \(self.start) to \(self.end)" }
    }

    /// What an auditor states about a period.
    private struct Statement {
        var period: Period
        var wattHours: Int64
        var dataset: String
        /// Empty: the utility's.
        var region: String
    }

    // MARK: Submitting

    func submitRecords(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(input, "SubmitRecords", allowed: ["records"])
        let items = try members.array("records")
        guard (1...Self.maximumRecords).contains(items.count) else {
            throw members.problem("records", "has \(items.count) items; expected 1 to \(Self.maximumRecords)")
        }
        try await self.requireAuditor()
        var statements: [Statement] = []
        for (index, item) in items.enumerated() {
            statements.append(try self.statement(item, "record \(index)"))
        }
        let known = try await self.refuseOverlaps(statements.map(\.period))
        var source = FactorSource(ledger: self)
        var identifiers: [JSONValue] = []
        for statement in statements {
            let revision = 1 + (known[Self.periodKey(statement.period)] ?? 0)
            let record = try await self.assess(
                statement,
                revision: revision,
                supersedes: "",
                reason: "",
                &source
            )
            try await self.store(record)
            identifiers.append(.string(record.string("id")))
        }
        try self.emit("recorded", ["records": .array(identifiers)])
        return .object(["records": .array(identifiers)])
    }

    func correctRecord(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(
            input,
            "CorrectRecord",
            allowed: ["utility", "account", "periodStart", "wattHours", "dataset", "region", "reason"]
        )
        try await self.requireAuditor()
        let current = try await self.currentPeriod(members)
        let reason = try Self.reason(members)
        let statement = Statement(
            period: current.period,
            wattHours: try Self.wattHours(members),
            dataset: try members.string("dataset", default: EmissionFactorTable.dataset),
            region: try members.string("region", default: current.region)
        )
        var source = FactorSource(ledger: self)
        let record = try await self.assess(
            statement,
            revision: current.revision + 1,
            supersedes: Self.identifier(of: current.period, revision: current.revision),
            reason: reason,
            &source
        )
        try await self.store(record)
        try self.emit(
            "corrected",
            ["record": .string(record.string("id")), "supersedes": .string(record.string("supersedes"))]
        )
        return .object(record)
    }

    /// Takes a record back: a last revision that says why, after which the period is free again.
    func withdrawRecord(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(
            input,
            "WithdrawRecord",
            allowed: ["utility", "account", "periodStart", "reason"]
        )
        try await self.requireAuditor()
        let current = try await self.currentPeriod(members)
        try await self.requireIndependence(from: try await self.utility(number: current.period.utility))
        let revision = current.revision + 1
        let record: [String: JSONValue] = [
            "id": .string(Self.identifier(of: current.period, revision: revision)),
            "utility": .integer(current.period.utility),
            "account": .string(current.period.account),
            "periodStart": .string(current.period.start.description),
            "periodEnd": .string(current.period.end.description),
            "revision": .integer(revision),
            "status": .string("withdrawn"),
            "supersedes": .string(Self.identifier(of: current.period, revision: current.revision)),
            "reason": .string(try Self.reason(members)),
            "auditor": self.actor(),
        ]
        try await self.store(record)
        try self.emit("withdrawn", ["record": .string(record.string("id"))])
        return .object(record)
    }

    // MARK: One record

    /// The factors of one transaction, each read once.
    private struct FactorSource {
        let ledger: EmissionsLedger
        var headers: [String: [String: JSONValue]] = [:]
        var factors: [String: Factor] = [:]
        var utilities: [Int64: [String: JSONValue]] = [:]

        init(ledger: EmissionsLedger) { self.ledger = ledger }

        mutating func utility(_ number: Int64) async throws -> [String: JSONValue] {
            if let known = self.utilities[number] { return known }
            let utility = try await self.ledger.utility(number: number)
            try await self.ledger.requireIndependence(from: utility)
            self.utilities[number] = utility
            return utility
        }

        mutating func factor(_ dataset: String, _ region: String) async throws -> Factor {
            if let known = self.factors["\(dataset)/\(region)"] { return known }
            let header: [String: JSONValue]
            if let known = self.headers[dataset] {
                header = known
            } else {
                header = try await self.ledger.approvedFactors(dataset)
                self.headers[dataset] = header
            }
            let factor = try await self.ledger.factor(header, region: region)
            self.factors["\(dataset)/\(region)"] = factor
            return factor
        }
    }

    /// Calculates the emissions of a statement and makes the record of it.
    private func assess(
        _ statement: Statement,
        revision: Int64,
        supersedes: String,
        reason: String,
        _ source: inout FactorSource
    ) async throws -> [String: JSONValue] {
        let period = statement.period
        let utility = try await source.utility(period.utility)
        let region = statement.region.isEmpty ? utility.string("region") : statement.region
        let factor = try await source.factor(statement.dataset, region)
        guard
            let milligrams = EmissionsCalculation.milligrams(
                wattHours: statement.wattHours,
                milliPoundsPerMegawattHour: factor.milliPoundsPerMegawattHour
            )
        else { throw ContractError("\(period.text): the emissions are too large for one record") }
        var record: [String: JSONValue] = [
            "id": .string(Self.identifier(of: period, revision: revision)),
            "utility": .integer(period.utility),
            "account": .string(period.account),
            "periodStart": .string(period.start.description),
            "periodEnd": .string(period.end.description),
            "wattHours": .integer(statement.wattHours),
            "region": .string(region),
            "dataset": .string(factor.dataset),
            "factorDigest": .string(factor.digest),
            "milliPoundsPerMegawattHour": .integer(factor.milliPoundsPerMegawattHour),
            "warmingPotentials": .string(factor.warmingPotentials),
            "milligramsCO2e": .integer(milligrams),
            "kilogramsCO2e": .string(EmissionsCalculation.kilograms(milligrams: milligrams)),
            "revision": .integer(revision),
            "status": .string("audited"),
            "auditor": self.actor(),
        ]
        if !supersedes.isEmpty {
            record["supersedes"] = .string(supersedes)
            record["reason"] = .string(reason)
        }
        return record
    }

    /// Writes a revision, and makes it the period's current one.
    private func store(_ record: [String: JSONValue]) async throws {
        let utility = Self.utilityKey(record.integer("utility"))
        let place = [utility, record.string("account"), record.string("periodStart")]
        try await self.write(record, "record", place + [Self.revisionKey(record.integer("revision"))])
        let names = [
            "utility", "account", "periodStart", "periodEnd", "revision", "status", "region", "wattHours",
            "milligramsCO2e",
        ]
        try await self.write(record.filter { names.contains($0.key) }, "period", place)
    }

    // MARK: Rules

    /// Refuses periods that overlap one another or a period that is recorded already.
    ///
    /// The range that is read includes every period that could overlap, so a concurrent transaction that adds
    /// one makes this one invalid.
    ///
    /// - Returns: the last revision of each withdrawn period, by key: its number isn't used again.
    private func refuseOverlaps(_ periods: [Period]) async throws -> [String: Int64] {
        var withdrawn: [String: Int64] = [:]
        let groups = Dictionary(grouping: periods) { Self.utilityKey($0.utility) + "/" + $0.account }
        for key in groups.keys.sorted() {
            guard let group = groups[key]?.sorted(by: { $0.start < $1.start }), let first = group.first,
                let end = group.map(\.end).max()
            else { continue }
            for (earlier, later) in zip(group, group.dropFirst()) where later.start < earlier.end {
                throw ContractError("periods overlap in this transaction: \(earlier.text) and \(later.text)")
            }
            let place = [Self.utilityKey(first.utility), first.account]
            let earliest = CalendarDay(number: first.start.number - Self.maximumPeriodDays)
            let rows = self.context.state.rows(
                from: try CompositeKey("period", place + [earliest.description]),
                to: try CompositeKey("period", place + [end.description])
            )
            for try await row in rows {
                let stored = try Self.object(row.value)
                let known = try Self.period(stored)
                if stored.string("status") == "withdrawn" {
                    withdrawn[Self.periodKey(known)] = stored.integer("revision")
                    continue
                }
                if let new = group.first(where: { $0.start < known.end && known.start < $0.end }) {
                    let identifier = Self.identifier(of: known, revision: stored.integer("revision"))
                    throw ContractError(
                        """
                        \(new.text) overlaps the recorded period \(known.start) to \(known.end) of record \
                        \(identifier); use CorrectRecord or WithdrawRecord to change what is recorded
                        """
                    )
                }
            }
        }
        return withdrawn
    }

    private func requireIndependence(from utility: [String: JSONValue]) async throws {
        guard utility.string("operator") != self.organization else {
            throw ContractError(
                """
                \(self.organization) operates utility \(utility.integer("number")) and can't audit it; \
                another auditor must
                """
            )
        }
    }

    private func statement(_ item: JSONValue, _ place: String) throws -> Statement {
        let members = try JSONMembers(
            item,
            place,
            allowed: ["utility", "account", "periodStart", "periodEnd", "wattHours", "dataset", "region"]
        )
        let (utility, account, start) = try Self.place(members)
        let end = try Self.day(members, "periodEnd")
        let period = Period(utility: utility, account: account, start: start, end: end)
        guard start < end, end.number - start.number <= Self.maximumPeriodDays else {
            throw members.problem(
                "periodEnd",
                "is \(end); expected a day after \(start), at most \(Self.maximumPeriodDays) days later"
            )
        }
        // The last day of the period is the one before `end`: it must be over where the day begins last.
        guard end.number <= self.today.number + 1 else {
            throw members.problem("periodEnd", "is \(end), which is in the future; today is \(self.today)")
        }
        return Statement(
            period: period,
            wattHours: try Self.wattHours(members),
            dataset: try members.string("dataset", default: EmissionFactorTable.dataset),
            region: try members.string("region", default: "")
        )
    }

    private static func wattHours(_ members: JSONMembers) throws -> Int64 {
        try members.integer("wattHours", in: 0...self.maximumWattHours, unit: "Wh")
    }

    private static func reason(_ members: JSONMembers) throws -> String {
        let reason = try members.string("reason")
        guard (1...1_000).contains(reason.utf8.count) else {
            throw members.problem("reason", "must have 1 to 1000 bytes")
        }
        return reason
    }

    static func day(_ members: JSONMembers, _ name: String) throws -> CalendarDay {
        let text = try members.string(name)
        guard let day = CalendarDay(text) else {
            throw members.problem(name, "is \"\(text.prefix(40))\"; expected a day such as 2025-01-31")
        }
        return day
    }

    static func place(
        _ members: JSONMembers
    ) throws -> (utility: Int64, account: String, start: CalendarDay) {
        (
            try members.integer("utility", in: 1...99_999_999, unit: "(an EIA utility number)"),
            try self.identifier(members.string("account"), members, "account"),
            try self.day(members, "periodStart")
        )
    }

    /// The period that begins where `members` say, and the revision of its current record.
    private func currentPeriod(
        _ members: JSONMembers
    ) async throws -> (period: Period, revision: Int64, region: String) {
        let (utility, account, start) = try Self.place(members)
        let place = [Self.utilityKey(utility), account, start.description]
        guard let stored = try await self.read("period", place), stored.string("status") != "withdrawn" else {
            throw ContractError.notFound(
                "utility \(utility), account \(account): no record begins on \(start)"
            )
        }
        return (try Self.period(stored), stored.integer("revision"), stored.string("region"))
    }

    static func period(_ stored: [String: JSONValue]) throws -> Period {
        guard let start = CalendarDay(stored.string("periodStart")),
            let end = CalendarDay(stored.string("periodEnd"))
        else { throw ContractError("the contract's state holds a period without days") }
        return Period(
            utility: stored.integer("utility"),
            account: stored.string("account"),
            start: start,
            end: end
        )
    }

    // MARK: Names

    private static func periodKey(_ period: Period) -> String {
        "\(period.utility)/\(period.account)/\(period.start)"
    }

    /// What people and other contracts call a record: utility, account, first day and revision.
    static func identifier(of period: Period, revision: Int64) -> String {
        "\(self.periodKey(period))/\(revision)"
    }

    static func revisionKey(_ revision: Int64) -> String {
        let digits = String(revision)
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
}
