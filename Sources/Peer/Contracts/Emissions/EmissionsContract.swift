internal import Channel
internal import Cryptography
package import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// The built-in contract `emissions`: emission factors that organizations agree on, and audited records of
/// the CO2e that the use of electricity caused.
///
/// Every function takes at most one argument besides its name: a JSON object. Answers are JSON with sorted
/// names. Numbers are whole: watt-hours, milligrams of CO2e, thousandths of a pound per megawatt-hour.
/// The functions, their members and the rules are described in `docs/contracts/emissions.md`.
///
/// Rules of the contract:
/// - factors count once two organizations have agreed on the same bytes;
/// - only organizations that another one has accredited as auditors write records, and none audits the
///   utility that it operates;
/// - periods of one account never overlap;
/// - a correction or withdrawal is a new revision: no record is ever overwritten.
package struct EmissionsContract: Contract {
    package static let name = "emissions"

    package init() {}

    package func invoke(_ stub: ContractStub) async -> Protos_Response {
        do {
            return .success(try await self.dispatch(stub).encoded)
        } catch let missing as EmissionsNotFound {
            return .failure(missing.description, status: 404)
        } catch {
            return .failure(String(describing: error))
        }
    }

    private func dispatch(_ stub: ContractStub) async throws -> JSONValue {
        guard stub.arguments.count <= 2 else {
            throw ContractError(
                "\(stub.function) takes one JSON object; \(stub.arguments.count - 1) arguments were given"
            )
        }
        let argument = stub.arguments.count == 2 ? stub.arguments[1] : Data()
        let input = argument.isEmpty ? .object([:]) : try JSONValue(parsing: argument)
        let ledger = EmissionsLedger(stub: stub)
        switch stub.function {
        case "ProposeFactors": return try await ledger.proposeFactors(input)
        case "ApproveFactors": return try await ledger.approveFactors(input)
        case "GetFactors": return try await ledger.factors(input)
        case "ListFactorSets": return try await ledger.listFactorSets(input)
        case "AccreditAuditor": return try await ledger.accreditAuditor(input)
        case "RevokeAuditor": return try await ledger.revokeAuditor(input)
        case "ListAuditors": return try await ledger.listAuditors(input)
        case "RegisterUtilities": return try await ledger.registerUtilities(input)
        case "GetUtility": return try await ledger.utility(input)
        case "ListUtilities": return try await ledger.listUtilities(input)
        case "SubmitRecords": return try await ledger.submitRecords(input)
        case "CorrectRecord": return try await ledger.correctRecord(input)
        case "WithdrawRecord": return try await ledger.withdrawRecord(input)
        case "GetRecord": return try await ledger.record(input)
        case "GetRecordHistory": return try await ledger.recordHistory(input)
        case "QueryRecords": return try await ledger.queryRecords(input)
        case "GetTotals": return try await ledger.totals(input)
        case let function:
            throw ContractError(
                "unknown function \"\(function)\"; known: \(Self.functions.joined(separator: ", "))"
            )
        }
    }

    /// The names of all functions.
    package static let functions = [
        "ProposeFactors", "ApproveFactors", "GetFactors", "ListFactorSets",
        "AccreditAuditor", "RevokeAuditor", "ListAuditors",
        "RegisterUtilities", "GetUtility", "ListUtilities",
        "SubmitRecords", "CorrectRecord", "WithdrawRecord",
        "GetRecord", "GetRecordHistory", "QueryRecords", "GetTotals",
    ]
}

/// What was asked for by name doesn't exist: status 404.
struct EmissionsNotFound: Error, CustomStringConvertible { var description: String }

/// The contract's state during one transaction.
///
/// Keys are composite: an object type and attributes.
///
/// | object type | attributes | holds |
/// |---|---|---|
/// | `factors` | dataset | who proposed and approved it, and the digest of its rates |
/// | `factor` | dataset, digest, region | one rate |
/// | `auditor` | MSP identifier | an accreditation |
/// | `utility` | number, 8 digits | a utility |
/// | `period` | utility, account, start | the current revision of the record of one period |
/// | `record` | utility, account, start, revision of 6 digits | one revision of a record |
struct EmissionsLedger {
    let stub: ContractStub

    var organization: String { self.stub.creator.mspID.description }

    /// Who did something, and in which transaction: part of every document.
    func actor() -> JSONValue {
        .object([
            "mspID": .string(self.organization),
            "certificateSHA256": .string(Digest.sha256(self.stub.creator.certificate.der).hexadecimal),
            "subject": .string("\(self.stub.creator.certificate.subject)"),
            "transaction": .string(self.stub.transactionID),
            "time": .string(self.time),
        ])
    }

    /// The transaction's time as its creator gave it, in whole seconds: `2026-01-31T12:00:00Z`.
    var time: String {
        let seconds = self.stub.timestamp.seconds
        let day = self.today
        let rest = seconds - day.number * 86_400
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(day)T\(two(rest / 3_600)):\(two(rest / 60 % 60)):\(two(rest % 60))Z"
    }

    /// The day of the transaction's time, in UTC.
    var today: CalendarDay {
        let seconds = self.stub.timestamp.seconds
        // Rounded down, also before 1970.
        return CalendarDay(number: seconds / 86_400 - (seconds % 86_400 < 0 ? 1 : 0))
    }

    func read(_ objectType: String, _ attributes: [String]) async throws -> [String: JSONValue]? {
        guard let bytes = try await self.stub.get(CompositeKey.make(objectType, attributes)) else {
            return nil
        }
        return try Self.object(bytes)
    }

    func write(
        _ document: [String: JSONValue],
        _ objectType: String,
        _ attributes: [String]
    ) async throws {
        try await self.stub.put(CompositeKey.make(objectType, attributes), JSONValue.object(document).encoded)
    }

    /// All documents whose key begins with `objectType` and `attributes`, in the order of their keys.
    func documents(_ objectType: String, _ attributes: [String]) async throws -> [[String: JSONValue]] {
        let rows = try await self.stub.range(objectType, attributes)
        var documents: [[String: JSONValue]] = []
        while let row = try await rows.next() { documents.append(try Self.object(row.value)) }
        guard !rows.isCutOff else {
            throw ContractError("more than \(StateRows.totalLimit) documents match; ask for fewer")
        }
        return documents
    }

    static func object(_ bytes: Data) throws -> [String: JSONValue] {
        guard case .object(let members) = try JSONValue(parsing: bytes) else {
            throw ContractError("the contract's state holds something that is not an object")
        }
        return members
    }

    func emit(_ event: String, _ members: [String: JSONValue]) throws {
        try self.stub.setEvent("emissions.\(event)", JSONValue.object(members).encoded)
    }

    /// A name that is safe in keys, file names and addresses: 1 to 64 of letters, digits, '.', '_', '-'.
    static func identifier(_ text: String, _ members: JSONMembers, _ name: String) throws -> String {
        let allowed = text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
        }
        guard allowed, (1...64).contains(text.utf8.count) else {
            throw members.problem(
                name,
                "is \"\(text.prefix(80))\"; expected 1 to 64 letters, digits, '.', '_' or '-'"
            )
        }
        return text
    }
}

extension [String: JSONValue] {
    /// The member's text, empty if it has none.
    func string(_ name: String) -> String {
        if case .string(let text)? = self[name] { text } else { "" }
    }

    /// The member's number, 0 if it has none.
    func integer(_ name: String) -> Int64 {
        if case .integer(let number)? = self[name] { number } else { 0 }
    }
}
