internal import Channel
internal import Cryptography
internal import Foundation
package import WeftContract

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
    package static var name: String { "emissions" }

    package init() {}

    package var transactions: [Transaction] {
        Submit("ProposeFactors", untyped: Self.answer { try await $0.proposeFactors($1) })
        Submit("ApproveFactors", untyped: Self.answer { try await $0.approveFactors($1) })
        Evaluate("GetFactors", untyped: Self.answer { try await $0.factors($1) })
        Evaluate("ListFactorSets", untyped: Self.answer { try await $0.listFactorSets($1) })
        Submit("AccreditAuditor", untyped: Self.answer { try await $0.accreditAuditor($1) })
        Submit("RevokeAuditor", untyped: Self.answer { try await $0.revokeAuditor($1) })
        Evaluate("ListAuditors", untyped: Self.answer { try await $0.listAuditors($1) })
        Submit("RegisterUtilities", untyped: Self.answer { try await $0.registerUtilities($1) })
        Evaluate("GetUtility", untyped: Self.answer { try await $0.utility($1) })
        Evaluate("ListUtilities", untyped: Self.answer { try await $0.listUtilities($1) })
        Submit("SubmitRecords", untyped: Self.answer { try await $0.submitRecords($1) })
        Submit("CorrectRecord", untyped: Self.answer { try await $0.correctRecord($1) })
        Submit("WithdrawRecord", untyped: Self.answer { try await $0.withdrawRecord($1) })
        Evaluate("GetRecord", untyped: Self.answer { try await $0.record($1) })
        Evaluate("GetRecordHistory", untyped: Self.answer { try await $0.recordHistory($1) })
        Evaluate("QueryRecords", untyped: Self.answer { try await $0.queryRecords($1) })
        Evaluate("GetTotals", untyped: Self.answer { try await $0.totals($1) })
    }

    /// Refuses unknown functions, once their argument is one that functions can have.
    package var otherwise: UntypedMethod? {
        let known = self.transactions.map(\.name).joined(separator: ", ")
        return Self.answer { ledger, _ in
            throw ContractError("unknown function \"\(ledger.function)\"; known: \(known)")
        }
    }

    /// A function that takes a JSON object, or nothing for an empty one, and answers with JSON.
    private static func answer(
        _ function: @escaping @Sendable (EmissionsLedger, JSONValue) async throws -> JSONValue
    ) -> UntypedMethod {
        { context, arguments in
            let ledger = EmissionsLedger(context: context)
            guard arguments.count <= 1 else {
                throw ContractError(
                    "\(ledger.function) takes one JSON object; \(arguments.count) arguments were given"
                )
            }
            let argument = arguments.first ?? Data()
            let input = argument.isEmpty ? .object([:]) : try JSONValue(parsing: argument)
            return try await function(ledger, input).encoded
        }
    }
}

extension ContractError {
    /// What was asked for by name doesn't exist.
    static func notFound(_ description: String) -> Self { Self(description, status: 404) }
}

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
    let context: TransactionContext

    /// The name that was called.
    var function: String { String(decoding: self.context.call.first ?? Data(), as: UTF8.self) }

    var organization: String { self.context.creator.mspID }

    /// Who did something, and in which transaction: part of every document.
    func actor() -> JSONValue {
        .object([
            "mspID": .string(self.organization),
            "certificateSHA256": .string(Digest.sha256(self.context.creator.x509.der).hexadecimal),
            "subject": .string("\(self.context.creator.x509.subject)"),
            "transaction": .string(self.context.transactionID),
            "time": .string(self.time),
        ])
    }

    /// The transaction's time as its creator gave it, in whole seconds: `2026-01-31T12:00:00Z`.
    var time: String {
        let seconds = self.context.unixTime
        let day = self.today
        let rest = seconds - day.number * 86_400
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(day)T\(two(rest / 3_600)):\(two(rest / 60 % 60)):\(two(rest % 60))Z"
    }

    /// The day of the transaction's time, in UTC.
    var today: CalendarDay {
        let seconds = self.context.unixTime
        // Rounded down, also before 1970.
        return CalendarDay(number: seconds / 86_400 - (seconds % 86_400 < 0 ? 1 : 0))
    }

    func read(_ objectType: String, _ attributes: [String]) async throws -> [String: JSONValue]? {
        guard let bytes = try await self.context.state.get(CompositeKey(objectType, attributes).text) else {
            return nil
        }
        return try Self.object(bytes)
    }

    func write(
        _ document: [String: JSONValue],
        _ objectType: String,
        _ attributes: [String]
    ) async throws {
        try await self.context.state.put(
            CompositeKey(objectType, attributes).text,
            JSONValue.object(document).encoded
        )
    }

    /// Peers cut longer ranges off here without a word, so one of this length may be incomplete.
    ///
    /// - Source: Fabric v3.1, `ledger.state.totalQueryLimit`.
    private static let mostRows = 100_000

    /// All documents whose key begins with `objectType` and `attributes`, in the order of their keys.
    func documents(_ objectType: String, _ attributes: [String]) async throws -> [[String: JSONValue]] {
        var documents: [[String: JSONValue]] = []
        for try await row in self.context.state.rows(try CompositeKey(objectType, attributes)) {
            documents.append(try Self.object(row.value))
        }
        guard documents.count < Self.mostRows else {
            throw ContractError("more than \(Self.mostRows) documents match; ask for fewer")
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
        try self.context.emit("emissions.\(event)", JSONValue.object(members).encoded)
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
