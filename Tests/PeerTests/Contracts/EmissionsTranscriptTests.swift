import Channel
import Cryptography
import Emissions
import FabricProtos
import Foundation
import Ledger
import Testing

import enum WeftContract.JSONValue

@testable import Peer

/// What the contract `emissions` answers, announces, reads and writes, to the byte.
///
/// Channels hold what it has written, and peers of different versions endorse together: a byte that changes makes
/// their endorsements differ. So `emissions.transcript` changes only together with a new version of the contract.
@Suite struct EmissionsTranscriptTests {
    private struct Call {
        var organization = "AlphaMSP"
        var time = ContractBench.noon
        var arguments: [String]

        init(_ arguments: String..., as organization: String = "AlphaMSP", time: Int64 = ContractBench.noon) {
            self.arguments = arguments
            self.organization = organization
            self.time = time
        }
    }

    private static let january =
        #"{"utility":14328,"account":"A-1","periodStart":"2025-01-01","#
        + #""periodEnd":"2025-02-01","wattHours":10000000}"#
    private static let place = #""utility":14328,"account":"A-1","periodStart":"2025-01-01""#

    private static let calls: [Call] = [
        // Calls that are no calls of a function.
        Call(), Call(""), Call("Nope"), Call("Nope", "{"), Call("Nope", "{}", "{}"), Call("other:GetTotals"),
        Call("GetTotals", "{}", "{}"), Call("GetTotals", "{"), Call("GetTotals", "[]"),
        Call("GetTotals", "{\"a\":1.5}"),
        Call("GetTotals", "{\"a\":1}"), Call("ListFactorSets"), Call("ListFactorSets", ""),
        Call("ListAuditors"),
        Call("ListUtilities"), Call("GetTotals"), Call("QueryRecords"),
        // Factors.
        Call("GetFactors"), Call("GetFactors", "{\"dataset\":\"a\\u0000b\"}"),
        Call("GetFactors", "{\"dataset\":\"é\\udbff\\udfff\"}"), Call("GetFactors", "{\"dataset\":\"\"}"),
        Call("ApproveFactors", "{\"dataset\":\"none\",\"digest\":\"\"}"),
        Call("ProposeFactors", "{\"dataset\":\"own\"}"),
        Call("ProposeFactors", "{\"dataset\":\"own\",\"factors\":[]}"),
        Call(
            "ProposeFactors",
            "{\"dataset\":\"own\",\"factors\":[{\"region\":\"X\",\"milliPoundsPerMegawattHour\":1}]}"
        ),
        Call("ProposeFactors"),
        Call("SubmitRecords", "{\"records\":[\(january)]}"),
        Call("ApproveFactors", "{\"dataset\":\"eGRID2023-rev2\",\"digest\":\"DIGEST\"}"),
        Call("ApproveFactors", "{\"dataset\":\"eGRID2023-rev2\",\"digest\":\"00\"}", as: "BravoMSP"),
        Call("ApproveFactors", "{\"dataset\":\"eGRID2023-rev2\",\"digest\":\"DIGEST\"}", as: "BravoMSP"),
        Call("ApproveFactors", "{\"dataset\":\"eGRID2023-rev2\",\"digest\":\"DIGEST\"}", as: "BravoMSP"),
        Call("ProposeFactors", as: "CarolMSP"), Call("GetFactors"), Call("ListFactorSets"),
        Call(
            "ProposeFactors",
            "{\"dataset\":\"own\",\"source\":\"é\\n\",\"factors\":["
                + "{\"region\":\"X\",\"milliPoundsPerMegawattHour\":1},{\"region\":\"B\",\"milliPoundsPerMegawattHour\":0}]}"
        ),
        Call("GetFactors", "{\"dataset\":\"own\"}"), Call("ListFactorSets", "{}"),
        // Auditors and utilities.
        Call("AccreditAuditor", "{\"mspID\":\"AlphaMSP\"}"),
        Call("RevokeAuditor", "{\"mspID\":\"AlphaMSP\",\"reason\":\"x\"}"),
        Call("AccreditAuditor", "{\"mspID\":\"AlphaMSP\",\"basis\":\"ISO 14065\"}", as: "BravoMSP"),
        Call("AccreditAuditor", "{\"mspID\":\"AlphaMSP\"}", as: "CarolMSP"), Call("ListAuditors"),
        Call("SubmitRecords", "{\"records\":[\(january)]}"), Call("RegisterUtilities", as: "CarolMSP"),
        Call("RegisterUtilities", as: "BravoMSP"),
        Call(
            "RegisterUtilities",
            "{\"utilities\":[{\"number\":7,\"name\":\"Own\",\"state\":\"CA\",\"region\":\"CAMX\"}],\"operator\":\"AlphaMSP\"}"
        ),
        Call(
            "RegisterUtilities",
            "{\"utilities\":[{\"number\":8,\"name\":\"\",\"state\":\"CA\",\"region\":\"CAMX\"}]}"
        ),
        Call("GetUtility", "{\"number\":14328}"), Call("GetUtility", "{\"number\":9}"), Call("ListUtilities"),
        // Records.
        Call("SubmitRecords", "{\"records\":[\(january)]}", as: "CarolMSP"),
        Call("SubmitRecords", "{\"records\":[\(january),\(january)]}"),
        Call("SubmitRecords", "{\"records\":[\(january)]}", time: -1),
        Call("SubmitRecords", "{\"records\":[\(january)]}", time: 1_735_999_999),
        Call("SubmitRecords", "{\"records\":[\(january)]}"),
        Call("SubmitRecords", "{\"records\":[\(january)]}"),
        Call("SubmitRecords", "{\"records\":[\(january.replacingOccurrences(of: "14328", with: "7"))]}"),
        Call(
            "SubmitRecords",
            "{\"records\":[\(january.replacingOccurrences(of: "2025-0", with: "2024-0")),"
                + "\(january.replacingOccurrences(of: "A-1", with: "B").replacingOccurrences(of: "14328", with: "4226"))]}"
        ),
        Call("CorrectRecord", "{\(place),\"wattHours\":5000000}"),
        Call("CorrectRecord", "{\(place),\"wattHours\":5000000,\"reason\":\"meter \\\"read\\\" again\"}"),
        Call("GetRecord", "{\"id\":\"14328/A-1/2025-01-01/1\"}"),
        Call("GetRecord", "{\"id\":\"14328/A-1/2025-01-01/2\"}"),
        Call("GetRecord", "{\"id\":\"14328/A\\u0000/x/2\"}"),
        Call("GetRecord", "{\"id\":\"14328/A-1/2025-01-01/9\"}"),
        Call("GetRecord", "{\"id\":\"x\"}"), Call("GetRecordHistory", "{\(place)}"),
        Call("QueryRecords", "{\"pageSize\":2}"),
        Call("QueryRecords", "{\"utility\":14328,\"pageSize\":1}"),
        Call("QueryRecords", "{\"bookmark\":\"AHBlcmlvZAAwMDAxNDMyOABBLTEAMjAyNS0wMS0wMQA=\"}"),
        Call("QueryRecords", "{\"bookmark\":\"enp6\"}"), Call("QueryRecords", "{\"bookmark\":\"%\"}"),
        Call("QueryRecords", "{\"pageSize\":0}"), Call("GetTotals"),
        Call("GetTotals", "{\"utility\":14328,\"from\":\"2025-01-01\"}"),
        Call("WithdrawRecord", "{\(place),\"reason\":\"\"}"),
        Call("WithdrawRecord", "{\(place),\"reason\":\"wrong account\"}"),
        Call("WithdrawRecord", "{\(place),\"reason\":\"wrong account\"}"),
        Call("SubmitRecords", "{\"records\":[\(january)]}"), Call("GetRecordHistory", "{\(place)}"),
        Call("GetTotals"),
        Call("RevokeAuditor", "{\"mspID\":\"AlphaMSP\",\"reason\":\"end\"}", as: "CarolMSP"),
        Call("RevokeAuditor", "{\"mspID\":\"AlphaMSP\",\"reason\":\"end\"}"), Call("ListAuditors"),
        Call("SubmitRecords", "{\"records\":[\(january)]}"),
    ]

    @Test func answersEventsReadsAndWritesAreThoseThatChannelsHold() async throws {
        let bench = try ContractBench(EmissionsContract.name, LibraryContract(EmissionsContract()))
        var digest = ""
        var lines: [String] = []
        for call in Self.calls {
            let arguments = call.arguments.map {
                Data($0.replacingOccurrences(of: "DIGEST", with: digest).utf8)
            }
            let outcome = try await bench.simulate(arguments, as: call.organization, time: call.time)
            if outcome.response.status < 400 { _ = try bench.commit([outcome]) }
            if call.arguments == ["ProposeFactors"], case .object(let members)? = outcome.json,
                case .string(let text)? = members["digest"]
            {
                digest = text
            }
            lines.append(Self.line(call, outcome))
        }
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("emissions.transcript")
        if ProcessInfo.processInfo.environment["WRITE"] != nil {
            try lines.joined(separator: "\n").appending("\n").write(
                to: file,
                atomically: true,
                encoding: .utf8
            )
        }
        let expected = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(lines.count == expected.count)
        for (found, expected) in zip(lines, expected) { #expect(found == expected) }
    }

    /// The call, the answer's status and message, and the hashes of its payload, event and read-write set.
    private static func line(_ call: Call, _ outcome: ContractBench.Outcome) -> String {
        [
            call.arguments.first ?? "-", String(outcome.response.status), Self.hash(outcome.response.payload),
            outcome.event?.eventName ?? "-", Self.hash(outcome.event?.payload ?? Data()),
            Self.hash(outcome.results.publicBytes), outcome.response.message.debugDescription,
        ].joined(separator: " ")
    }

    /// With zeros for the identifiers of transactions, which are others in each run.
    private static func hash(_ bytes: Data) -> String {
        guard !bytes.isEmpty else { return "-" }
        var bytes = bytes
        let label = Data("\"transaction\":\"".utf8)
        var position = bytes.startIndex
        while let range = bytes.range(of: label, in: position..<bytes.endIndex) {
            position = range.upperBound + 64
            bytes.replaceSubrange(
                range.upperBound..<position,
                with: Data(repeating: UInt8(ascii: "0"), count: 64)
            )
        }
        return String(Digest.sha256(bytes).hexadecimal.prefix(16))
    }
}
