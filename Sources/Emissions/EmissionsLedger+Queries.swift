internal import Foundation
internal import WeftContract

/// Questions about records.
extension EmissionsLedger {
    private static let defaultPageSize: Int64 = 100
    private static let maximumPageSize: Int64 = 1_000

    /// One revision of a record by its identifier.
    func record(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(input, "GetRecord", allowed: ["id"])
        let identifier = try members.string("id")
        let parts = identifier.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, let utility = Int64(parts[0]), (1...99_999_999).contains(utility),
            let revision = Int64(parts[3]), revision > 0
        else {
            throw members.problem(
                "id",
                "is \"\(identifier.prefix(120))\"; expected utility/account/first day/revision"
            )
        }
        let place = [Self.utilityKey(utility), parts[1], parts[2]]
        guard var record = try await self.read("record", place + [Self.revisionKey(revision)]) else {
            throw ContractError.notFound("there is no record \(identifier)")
        }
        let current = try await self.read("period", place)?.integer("revision") ?? revision
        record["superseded"] = .boolean(current != revision)
        return .object(record)
    }

    /// All revisions of the record of one period, oldest first.
    func recordHistory(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(
            input,
            "GetRecordHistory",
            allowed: ["utility", "account", "periodStart"]
        )
        let (utility, account, start) = try Self.place(members)
        let records = try await self.documents(
            "record",
            [Self.utilityKey(utility), account, start.description]
        )
        guard !records.isEmpty else {
            throw ContractError.notFound(
                "utility \(utility), account \(account): no record begins on \(start)"
            )
        }
        return .array(records.map(JSONValue.object))
    }

    /// Current records, a page at a time, in the order of utility, account and first day.
    func queryRecords(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(
            input,
            "QueryRecords",
            allowed: ["utility", "account", "from", "to", "pageSize", "bookmark"]
        )
        let filter = try RecordFilter(members)
        var size = Self.defaultPageSize
        if members.has("pageSize") {
            size = try members.integer("pageSize", in: 1...Self.maximumPageSize, unit: "records")
        }
        var bookmark = try members.string("bookmark", default: "")
        if !bookmark.isEmpty {
            guard let bytes = Data(base64Encoded: bookmark),
                let text = String(validating: bytes, as: UTF8.self)
            else { throw members.problem("bookmark", "is not one that this query has answered") }
            bookmark = text
        }
        let page = try await self.context.state.page(
            CompositeKey("period", filter.place),
            size: Int(size),
            bookmark: bookmark
        )
        var records: [JSONValue] = []
        for row in page.rows {
            let stored = try Self.object(row.value)
            guard try filter.includes(stored) else { continue }
            let period = try Self.period(stored)
            let place = [Self.utilityKey(period.utility), period.account, period.start.description]
            let revision = Self.revisionKey(stored.integer("revision"))
            if let record = try await self.read("record", place + [revision]) {
                records.append(.object(record))
            }
        }
        return .object([
            "records": .array(records),
            "bookmark": .string(Data(page.bookmark.utf8).base64EncodedString()),
        ])
    }

    /// Sums over current records: all together, by region and by utility.
    func totals(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(input, "GetTotals", allowed: ["utility", "account", "from", "to"])
        let filter = try RecordFilter(members)
        var all = Sum()
        var regions: [String: Sum] = [:]
        var utilities: [Int64: Sum] = [:]
        for stored in try await self.documents("period", filter.place) where try filter.includes(stored) {
            try all.add(stored)
            try regions[stored.string("region"), default: Sum()].add(stored)
            try utilities[stored.integer("utility"), default: Sum()].add(stored)
        }
        var result = all.members
        result["byRegion"] = .array(
            regions.keys.sorted().map { region in
                .object((regions[region] ?? Sum()).members.merging(["region": .string(region)]) { $1 })
            }
        )
        result["byUtility"] = .array(
            utilities.keys.sorted().map { number in
                .object((utilities[number] ?? Sum()).members.merging(["utility": .integer(number)]) { $1 })
            }
        )
        return .object(result)
    }

    /// Sums of some records.
    private struct Sum {
        var records: Int64 = 0
        var wattHours: Int64 = 0
        var milligrams: Int64 = 0

        mutating func add(_ stored: [String: JSONValue]) throws {
            let (wattHours, first) = self.wattHours.addingReportingOverflow(stored.integer("wattHours"))
            let (milligrams, second) = self.milligrams.addingReportingOverflow(
                stored.integer("milligramsCO2e")
            )
            guard !first, !second else {
                throw ContractError("the total is too large; ask for fewer records")
            }
            self.records += 1
            self.wattHours = wattHours
            self.milligrams = milligrams
        }

        var members: [String: JSONValue] {
            [
                "records": .integer(self.records),
                "wattHours": .integer(self.wattHours),
                "milligramsCO2e": .integer(self.milligrams),
                "kilogramsCO2e": .string(EmissionsCalculation.kilograms(milligrams: self.milligrams)),
            ]
        }
    }
}

/// Which current records a query is about: those of a utility or account whose periods lie wholly within
/// a range of days.
private struct RecordFilter {
    /// The leading attributes of the records' keys.
    var place: [String] = []
    private var from: CalendarDay?
    private var to: CalendarDay?

    init(_ members: JSONMembers) throws {
        if members.has("utility") {
            let number = try members.integer("utility", in: 1...99_999_999, unit: "(an EIA utility number)")
            self.place = [EmissionsLedger.utilityKey(number)]
        }
        if members.has("account") {
            guard !self.place.isEmpty else { throw members.problem("account", "needs the utility too") }
            self.place.append(
                try EmissionsLedger.identifier(members.string("account"), members, "account")
            )
        }
        self.from = members.has("from") ? try EmissionsLedger.day(members, "from") : nil
        self.to = members.has("to") ? try EmissionsLedger.day(members, "to") : nil
    }

    func includes(_ stored: [String: JSONValue]) throws -> Bool {
        guard stored.string("status") != "withdrawn" else { return false }
        let period = try EmissionsLedger.period(stored)
        if let from, period.start < from { return false }
        if let to, period.end > to { return false }
        return true
    }
}
