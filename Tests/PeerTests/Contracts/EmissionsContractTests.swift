import Emissions
import FabricProtos
import Foundation
import Testing

import enum WeftContract.JSONValue

@testable import Peer

/// The rules of the contract `emissions`, each shown by calls on a channel of three organizations.
@Suite struct EmissionsContractTests {
    /// A channel with approved factors, AlphaMSP as auditor, and utilities.
    private func channel() async throws -> ContractBench {
        let bench = try ContractBench(EmissionsContract.name, LibraryContract(EmissionsContract()))
        let proposed = try await bench.call("ProposeFactors", as: "AlphaMSP")
        let digest = try #require(proposed.json?["digest"]?.text)
        let approved = try await bench.call("ApproveFactors", Self.approval(digest), as: "BravoMSP")
        try #require(approved.response.status == 200, "\(approved.response.message)")
        try #require(try await bench.call("AccreditAuditor", #"{"mspID":"AlphaMSP"}"#, as: "BravoMSP").isDone)
        try #require(try await bench.call("RegisterUtilities", as: "CarolMSP").isDone)
        return bench
    }

    private static func approval(_ digest: String) -> String {
        #"{"dataset":"eGRID2023-rev2","digest":"\#(digest)"}"#
    }

    private static func records(_ periods: (String, String)..., wattHours: Int64 = 10_000_000) -> String {
        let items = periods.map {
            #"{"utility":14328,"account":"A-1","periodStart":"\#($0.0)","periodEnd":"\#($0.1)","#
                + #""wattHours":\#(wattHours)}"#
        }
        return #"{"records":[\#(items.joined(separator: ","))]}"#
    }

    @Test func tenMegawattHoursInCaliforniaCauseThePublishedMass() async throws {
        let bench = try await self.channel()
        let submitted = try await bench.call("SubmitRecords", Self.records(("2025-01-01", "2025-02-01")))
        #expect(
            submitted.json?["records"]?[0]?.text == "14328/A-1/2025-01-01/1",
            "\(submitted.response.message)"
        )
        #expect(submitted.event?.eventName == "emissions.recorded")

        let record = try await bench.call("GetRecord", #"{"id":"14328/A-1/2025-01-01/1"}"#)
        #expect(record.json?["milligramsCO2e"]?.number == 1_950_370_080)
        #expect(record.json?["kilogramsCO2e"]?.text == "1950.370080")
        #expect(record.json?["region"]?.text == "CAMX")
        #expect(record.json?["auditor"]?["mspID"]?.text == "AlphaMSP")
        #expect(record.json?["auditor"]?["time"]?.text == "2026-01-15T12:00:00Z")
        #expect(record.json?["superseded"] == .boolean(false))
    }

    @Test func factorsNeedTwoOrganizationsThatAgreeOnTheSameBytes() async throws {
        let bench = try ContractBench(EmissionsContract.name, LibraryContract(EmissionsContract()))
        let proposed = try await bench.call("ProposeFactors", as: "AlphaMSP")
        let digest = try #require(proposed.json?["digest"]?.text)

        let own = try await bench.call("ApproveFactors", Self.approval(digest), as: "AlphaMSP")
        #expect(own.response.message.contains("another organization must approve"))
        let blind = try await bench.call("ApproveFactors", Self.approval("00"), as: "BravoMSP")
        #expect(blind.response.message.contains("look at them with GetFactors"))
        #expect(try await bench.call("ApproveFactors", Self.approval(digest), as: "BravoMSP").isDone)
        let again = try await bench.call("ProposeFactors", as: "CarolMSP")
        #expect(again.response.message.contains("can't change any more"))

        let factors = try await bench.call("GetFactors")
        #expect(factors.json?["factors"]?.items.count == 28)
        #expect(factors.json?["status"]?.text == "approved")
        #expect(factors.json?["approvals"]?[0]?["mspID"]?.text == "BravoMSP")
    }

    @Test func recordsWithoutApprovedFactorsAreRefused() async throws {
        let bench = try ContractBench(EmissionsContract.name, LibraryContract(EmissionsContract()))
        try await bench.call("AccreditAuditor", #"{"mspID":"AlphaMSP"}"#, as: "BravoMSP")
        try await bench.call("RegisterUtilities")
        try await bench.call("ProposeFactors", as: "AlphaMSP")
        let refused = try await bench.call("SubmitRecords", Self.records(("2025-01-01", "2025-02-01")))
        #expect(refused.response.message.contains("no second organization has approved"))
    }

    @Test func onlyAnIndependentAccreditedAuditorWritesRecords() async throws {
        let bench = try await self.channel()
        let january = Self.records(("2025-01-01", "2025-02-01"))
        let stranger = try await bench.call("SubmitRecords", january, as: "CarolMSP")
        #expect(stranger.response.message.contains("CarolMSP is not an accredited auditor"))
        let own = try await bench.call("AccreditAuditor", #"{"mspID":"CarolMSP"}"#, as: "CarolMSP")
        #expect(own.response.message.contains("can't accredit itself"))

        let utilities =
            #"{"utilities":[{"number":7,"name":"Own","state":"CA","region":"CAMX"}],"operator":"AlphaMSP"}"#
        #expect(try await bench.call("RegisterUtilities", utilities).isDone)
        let dependent = january.replacingOccurrences(of: "14328", with: "7")
        let refused = try await bench.call("SubmitRecords", dependent)
        #expect(refused.response.message.contains("operates utility 7 and can't audit it"))

        let revocation = #"{"mspID":"AlphaMSP","reason":"test"}"#
        #expect(try await !bench.call("RevokeAuditor", revocation, as: "CarolMSP").isDone)
        #expect(try await bench.call("RevokeAuditor", revocation, as: "BravoMSP").isDone)
        #expect(try await !bench.call("SubmitRecords", january).isDone)
    }

    @Test(arguments: [
        ("2025-01-01", "2025-02-01"), ("2025-01-31", "2025-02-01"), ("2024-12-01", "2025-01-02"),
        ("2024-06-01", "2025-06-01"), ("2025-01-10", "2025-01-11"),
    ])
    func periodsOfOneAccountNeverOverlap(start: String, end: String) async throws {
        let bench = try await self.channel()
        try #require(try await bench.call("SubmitRecords", Self.records(("2025-01-01", "2025-02-01"))).isDone)
        let refused = try await bench.call("SubmitRecords", Self.records((start, end)))
        #expect(refused.response.message.contains("overlaps the recorded period 2025-01-01 to 2025-02-01"))
        let together = try await bench.call(
            "SubmitRecords",
            Self.records(("2025-03-01", "2025-04-01"), ("2025-03-31", "2025-05-01"))
        )
        #expect(together.response.message.contains("periods overlap in this transaction"))
        let adjacent = Self.records(("2025-02-01", "2025-03-01"), ("2024-12-01", "2025-01-01"))
        #expect(try await bench.call("SubmitRecords", adjacent).isDone)
    }

    @Test func ofTwoConcurrentTransactionsThatOverlapOneBecomesInvalid() async throws {
        let bench = try await self.channel()
        let first = [Data("SubmitRecords".utf8), Data(Self.records(("2025-01-01", "2025-02-01")).utf8)]
        let second = [Data("SubmitRecords".utf8), Data(Self.records(("2025-01-15", "2025-02-15")).utf8)]
        let outcomes = [try await bench.simulate(first), try await bench.simulate(second)]
        #expect(outcomes.allSatisfy { $0.response.status == 200 })
        #expect(try bench.commit(outcomes) == [.valid, .phantomReadConflict])
    }

    @Test func correctionsSupersedeAndNothingIsOverwritten() async throws {
        let bench = try await self.channel()
        try await bench.call("SubmitRecords", Self.records(("2025-01-01", "2025-02-01")))
        let place = #""utility":14328,"account":"A-1","periodStart":"2025-01-01""#
        let unexplained = try await bench.call("CorrectRecord", "{\(place),\"wattHours\":5000000}")
        #expect(unexplained.response.message.contains("\"reason\" is missing"))
        let corrected = try await bench.call(
            "CorrectRecord",
            "{\(place),\"wattHours\":5000000,\"reason\":\"meter read again\"}"
        )
        #expect(
            corrected.json?["supersedes"]?.text == "14328/A-1/2025-01-01/1",
            "\(corrected.response.message)"
        )

        let old = try await bench.call("GetRecord", #"{"id":"14328/A-1/2025-01-01/1"}"#)
        #expect(old.json?["wattHours"]?.number == 10_000_000)
        #expect(old.json?["superseded"] == .boolean(true))
        #expect(try await bench.call("GetTotals").json?["wattHours"]?.number == 5_000_000)

        #expect(try await bench.call("WithdrawRecord", "{\(place),\"reason\":\"wrong account\"}").isDone)
        #expect(try await bench.call("GetTotals").json?["records"]?.number == 0)
        let again = try await bench.call("SubmitRecords", Self.records(("2025-01-01", "2025-02-01")))
        #expect(again.json?["records"]?[0]?.text == "14328/A-1/2025-01-01/4")
        let history = try await bench.call("GetRecordHistory", "{\(place)}")
        let statuses = history.json?.items.map { $0["status"]?.text ?? "" }
        #expect(statuses == ["audited", "audited", "withdrawn", "audited"])
    }

    @Test func queriesSelectByUtilityAccountAndDays() async throws {
        let bench = try await self.channel()
        try await bench.call(
            "SubmitRecords",
            Self.records(
                ("2025-01-01", "2025-02-01"),
                ("2025-02-01", "2025-03-01"),
                ("2025-03-01", "2025-04-01")
            )
        )
        let other = Self.records(("2025-01-01", "2025-02-01")).replacingOccurrences(of: "14328", with: "4226")
        try await bench.call("SubmitRecords", other)

        let totals = try await bench.call("GetTotals")
        #expect(totals.json?["records"]?.number == 4)
        #expect(totals.json?["byUtility"]?.items.map { $0["utility"]?.number } == [4226, 14328])
        #expect(totals.json?["byRegion"]?.items.map { $0["region"]?.text } == ["CAMX", "NYCW"])
        let winter = #"{"utility":14328,"account":"A-1","from":"2025-01-15","to":"2025-04-01"}"#
        #expect(try await bench.call("GetTotals", winter).json?["records"]?.number == 2)

        var query = #"{"utility":14328,"pageSize":2}"#
        let page = try await bench.simulate([Data("QueryRecords".utf8), Data(query.utf8)])
        #expect(page.json?["records"]?.items.count == 2, "\(page.response.message)")
        let bookmark = try #require(page.json?["bookmark"]?.text)
        query = #"{"utility":14328,"pageSize":2,"bookmark":"\#(bookmark)"}"#
        let last = try await bench.simulate([Data("QueryRecords".utf8), Data(query.utf8)])
        #expect(last.json?["records"]?[0]?["periodStart"]?.text == "2025-03-01")
        #expect(last.json?["bookmark"]?.text == "")
    }

    @Test(arguments: [
        (#"{"records":[]}"#, "has 0 items"),
        (#"{"record":[]}"#, "unknown member \"record\""),
        (#"{"records":[{"utility":14328}]}"#, "\"account\" is missing"),
        (records(("2025-02-30", "2025-03-01")), "expected a day"),
        (records(("2025-02-01", "2025-02-01")), "expected a day after"),
        (records(("2024-01-01", "2025-02-01")), "at most 366 days"),
        (records(("2026-01-01", "2026-02-01")), "is in the future"),
        (records(("2025-01-01", "2025-02-01"), wattHours: -1), "expected 0 to"),
        (
            records(("2025-01-01", "2025-02-01")).replacingOccurrences(of: "10000000", with: "1.5"),
            "whole number"
        ),
        (records(("2025-01-01", "2025-02-01")).replacingOccurrences(of: "A-1", with: "Jane Doe"), "letters"),
        (
            records(("2025-01-01", "2025-02-01")).replacingOccurrences(of: "14328", with: "99"),
            "not registered"
        ),
    ])
    func badInputIsRefusedWithTheReason(argument: String, reason: String) async throws {
        let bench = try await self.channel()
        let refused = try await bench.call("SubmitRecords", argument)
        #expect(refused.response.status >= 400)
        #expect(refused.response.message.contains(reason), "\(refused.response.message)")
    }

    @Test func unknownFunctionsAreNamedWithThoseThatExist() async throws {
        let bench = try ContractBench(EmissionsContract.name, LibraryContract(EmissionsContract()))
        let refused = try await bench.call("Nope")
        #expect(refused.response.message.hasPrefix("unknown function \"Nope\"; known: ProposeFactors"))
    }
}

extension ContractBench.Outcome {
    fileprivate var isDone: Bool { self.response.status == 200 }
}

extension JSONValue {
    fileprivate subscript(_ name: String) -> JSONValue? {
        if case .object(let members) = self { members[name] } else { nil }
    }

    fileprivate subscript(_ index: Int) -> JSONValue? {
        self.items.indices.contains(index) ? self.items[index] : nil
    }

    fileprivate var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }
    fileprivate var text: String? { if case .string(let text) = self { text } else { nil } }
    fileprivate var number: Int64? { if case .integer(let number) = self { number } else { nil } }
}
