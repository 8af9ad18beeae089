internal import Foundation
internal import WeftContract

/// Auditors and utilities.
extension EmissionsLedger {
    // MARK: Auditors

    /// An organization vouches for another one as an auditor; none can vouch for itself.
    func accreditAuditor(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(input, "AccreditAuditor", allowed: ["mspID", "name", "basis"])
        let auditor = try Self.identifier(members.string("mspID"), members, "mspID")
        guard auditor != self.organization else {
            throw ContractError("\(auditor) can't accredit itself; another organization must")
        }
        if let known = try await self.read("auditor", [auditor]), known.string("status") == "active" {
            throw ContractError("\(auditor) is accredited already")
        }
        let document: [String: JSONValue] = [
            "mspID": .string(auditor),
            "name": .string(try members.string("name", default: auditor)),
            "basis": .string(try members.string("basis", default: "")),
            "status": .string("active"),
            "accreditedBy": self.actor(),
        ]
        try await self.write(document, "auditor", [auditor])
        try self.emit("auditorAccredited", ["mspID": .string(auditor)])
        return .object(document)
    }

    /// Ends an accreditation; records written under it stay.
    ///
    /// The auditor itself may end it too.
    func revokeAuditor(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(input, "RevokeAuditor", allowed: ["mspID", "reason"])
        let auditor = try members.string("mspID")
        guard var document = try await self.read("auditor", [auditor]) else {
            throw ContractError.notFound("\(auditor) has not been accredited")
        }
        guard document.string("status") == "active" else {
            throw ContractError("the accreditation of \(auditor) has ended already")
        }
        guard case .object(let accreditor)? = document["accreditedBy"],
            [accreditor.string("mspID"), auditor].contains(self.organization)
        else {
            throw ContractError(
                "only \(auditor) and the organization that accredited it can end the accreditation"
            )
        }
        document["status"] = .string("revoked")
        document["reason"] = .string(try members.string("reason"))
        document["revokedBy"] = self.actor()
        try await self.write(document, "auditor", [auditor])
        try self.emit("auditorRevoked", ["mspID": .string(auditor)])
        return .object(document)
    }

    func listAuditors(_ input: JSONValue) async throws -> JSONValue {
        _ = try JSONMembers(input, "ListAuditors", allowed: [])
        return .array(try await self.documents("auditor", []).map(JSONValue.object))
    }

    /// Refuses anybody who isn't an accredited auditor.
    func requireAuditor() async throws {
        guard let document = try await self.read("auditor", [self.organization]),
            document.string("status") == "active"
        else {
            throw ContractError(
                """
                \(self.organization) is not an accredited auditor; another organization can accredit it with \
                AccreditAuditor
                """
            )
        }
    }

    // MARK: Utilities

    /// The most utilities in one transaction.
    private static let maximumUtilities = 1_000

    func registerUtilities(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(input, "RegisterUtilities", allowed: ["utilities", "operator"])
        let operatedBy = try members.string("operator", default: "")
        if !operatedBy.isEmpty { _ = try Self.identifier(operatedBy, members, "operator") }
        var documents: [[String: JSONValue]] = []
        if members.has("utilities") {
            let items = try members.array("utilities")
            guard (1...Self.maximumUtilities).contains(items.count) else {
                throw members.problem(
                    "utilities",
                    "has \(items.count) items; expected 1 to \(Self.maximumUtilities)"
                )
            }
            for (index, item) in items.enumerated() {
                documents.append(try self.utilityDocument(item, "utility \(index)", operatedBy))
            }
        } else {
            documents = UtilityTable.rows.map {
                self.utilityDocument($0.number, $0.name, $0.state, $0.region, operatedBy)
            }
        }
        var numbers: Set<Int64> = []
        for document in documents {
            let number = document.integer("number")
            guard numbers.insert(number).inserted else {
                throw ContractError("utility \(number) is given twice")
            }
            guard try await self.read("utility", [Self.utilityKey(number)]) == nil else {
                throw ContractError("utility \(number) is registered already")
            }
            try await self.write(document, "utility", [Self.utilityKey(number)])
        }
        try self.emit("utilitiesRegistered", ["count": .integer(Int64(documents.count))])
        return .object(["registered": .integer(Int64(documents.count))])
    }

    private func utilityDocument(
        _ item: JSONValue,
        _ place: String,
        _ operatedBy: String
    ) throws -> [String: JSONValue] {
        let members = try JSONMembers(
            item,
            place,
            allowed: ["number", "name", "state", "region", "operator"]
        )
        let state = try members.string("state")
        guard state.utf8.count == 2, state.utf8.allSatisfy({ (0x41...0x5A).contains($0) }) else {
            throw members.problem("state", "is \"\(state)\"; expected a postal code of two capital letters")
        }
        let name = try members.string("name")
        guard (1...200).contains(name.utf8.count) else {
            throw members.problem("name", "must have 1 to 200 bytes")
        }
        let own = try members.string("operator", default: operatedBy)
        if !own.isEmpty { _ = try Self.identifier(own, members, "operator") }
        return self.utilityDocument(
            try members.integer("number", in: 1...99_999_999, unit: "(an EIA utility number)"),
            name,
            state,
            try Self.identifier(members.string("region"), members, "region"),
            own
        )
    }

    private func utilityDocument(
        _ number: Int64,
        _ name: String,
        _ state: String,
        _ region: String,
        _ operatedBy: String
    ) -> [String: JSONValue] {
        [
            "number": .integer(number),
            "name": .string(name),
            "state": .string(state),
            "region": .string(region),
            // The organization of the channel that operates the utility, empty if it isn't a member.
            "operator": .string(operatedBy),
            "registeredBy": self.actor(),
        ]
    }

    func utility(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(input, "GetUtility", allowed: ["number"])
        return .object(try await self.utility(number: members.integer("number")))
    }

    func utility(number: Int64) async throws -> [String: JSONValue] {
        guard number > 0, let document = try await self.read("utility", [Self.utilityKey(number)]) else {
            throw ContractError.notFound("utility \(number) is not registered; use RegisterUtilities")
        }
        return document
    }

    func listUtilities(_ input: JSONValue) async throws -> JSONValue {
        _ = try JSONMembers(input, "ListUtilities", allowed: [])
        return .array(try await self.documents("utility", []).map(JSONValue.object))
    }

    /// The utility's number with leading zeros, so that keys are in the order of numbers.
    static func utilityKey(_ number: Int64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }
}
