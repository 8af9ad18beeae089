internal import Channel
internal import Cryptography
internal import Foundation
internal import WeftContract

/// Emission factors: one organization proposes a data set, another approves the same bytes.
extension EmissionsLedger {
    /// The most regions in a data set.
    private static let maximumRegions = 1_000

    func proposeFactors(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(
            input,
            "ProposeFactors",
            allowed: ["dataset", "source", "warmingPotentials", "factors"]
        )
        let dataset = try Self.identifier(
            members.string("dataset", default: EmissionFactorTable.dataset),
            members,
            "dataset"
        )
        if let known = try await self.read("factors", [dataset]), known.string("status") == "approved" {
            throw ContractError(
                """
                factors \(dataset) are approved and can't change any more; propose them under another name
                """
            )
        }
        let rates: [JSONValue]
        var source = try members.string("source", default: "")
        var warmingPotentials = try members.string("warmingPotentials", default: "")
        if members.has("factors") {
            rates = try Self.rates(members)
            guard !source.isEmpty else {
                throw members.problem("source", "must say where the factors are from")
            }
        } else {
            guard dataset == EmissionFactorTable.dataset else {
                throw members.problem(
                    "factors",
                    "is missing; only \(EmissionFactorTable.dataset) is built in and needs none"
                )
            }
            rates = EmissionFactorTable.rows.map {
                Self.rate($0.region, $0.name, $0.milliPoundsPerMegawattHour)
            }
            source = EmissionFactorTable.source
            warmingPotentials = EmissionFactorTable.warmingPotentials
        }
        let content: [String: JSONValue] = [
            "dataset": .string(dataset),
            "source": .string(source),
            "warmingPotentials": .string(warmingPotentials),
            "factors": .array(rates),
        ]
        let digest = Digest.sha256(JSONValue.object(content).encoded).hexadecimal
        for rate in rates {
            guard case .object(let members) = rate else { continue }
            try await self.write(members, "factor", [dataset, digest, members.string("region")])
        }
        let header: [String: JSONValue] = [
            "dataset": .string(dataset),
            "source": .string(source),
            "warmingPotentials": .string(warmingPotentials),
            "digest": .string(digest),
            "regions": .integer(Int64(rates.count)),
            "status": .string("proposed"),
            "proposedBy": self.actor(),
            "approvals": .array([]),
        ]
        try await self.write(header, "factors", [dataset])
        try self.emit("factorsProposed", ["dataset": .string(dataset), "digest": .string(digest)])
        return .object(header)
    }

    func approveFactors(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(input, "ApproveFactors", allowed: ["dataset", "digest"])
        let dataset = try members.string("dataset")
        guard var header = try await self.read("factors", [dataset]) else {
            throw ContractError.notFound("factors \(dataset) have not been proposed")
        }
        guard header.string("status") == "proposed" else {
            throw ContractError("factors \(dataset) are approved already")
        }
        let digest = try members.string("digest")
        guard header.string("digest") == digest else {
            throw members.problem(
                "digest",
                """
                is \(digest), but the proposed factors have \(header.string("digest")): \
                look at them with GetFactors and approve what is there
                """
            )
        }
        guard case .object(let proposer)? = header["proposedBy"],
            proposer.string("mspID") != self.organization
        else {
            throw ContractError(
                """
                \(self.organization) proposed factors \(dataset) itself; another organization must approve them
                """
            )
        }
        header["status"] = .string("approved")
        header["approvals"] = .array([self.actor()])
        try await self.write(header, "factors", [dataset])
        try self.emit("factorsApproved", ["dataset": .string(dataset), "digest": .string(digest)])
        return .object(header)
    }

    func factors(_ input: JSONValue) async throws -> JSONValue {
        let members = try JSONMembers(input, "GetFactors", allowed: ["dataset"])
        let dataset = try members.string("dataset", default: EmissionFactorTable.dataset)
        guard var header = try await self.read("factors", [dataset]) else {
            throw ContractError.notFound("factors \(dataset) have not been proposed")
        }
        let rates = try await self.documents("factor", [dataset, header.string("digest")])
        header["factors"] = .array(rates.map(JSONValue.object))
        return .object(header)
    }

    func listFactorSets(_ input: JSONValue) async throws -> JSONValue {
        _ = try JSONMembers(input, "ListFactorSets", allowed: [])
        return .array(try await self.documents("factors", []).map(JSONValue.object))
    }

    /// An approved rate, and what records say about where it is from.
    struct Factor {
        var dataset: String
        var digest: String
        var warmingPotentials: String
        var region: String
        var milliPoundsPerMegawattHour: Int64
    }

    /// The approved data set called `dataset`.
    func approvedFactors(_ dataset: String) async throws -> [String: JSONValue] {
        guard let header = try await self.read("factors", [dataset]) else {
            throw ContractError("factors \(dataset) have not been proposed; use ProposeFactors")
        }
        guard header.string("status") == "approved" else {
            throw ContractError(
                "factors \(dataset) are proposed, but no second organization has approved them yet"
            )
        }
        return header
    }

    func factor(_ header: [String: JSONValue], region: String) async throws -> Factor {
        let dataset = header.string("dataset")
        let digest = header.string("digest")
        guard let rate = try await self.read("factor", [dataset, digest, region]) else {
            throw ContractError("factors \(dataset) have no region \(region)")
        }
        return Factor(
            dataset: dataset,
            digest: digest,
            warmingPotentials: header.string("warmingPotentials"),
            region: region,
            milliPoundsPerMegawattHour: rate.integer("milliPoundsPerMegawattHour")
        )
    }

    private static func rate(_ region: String, _ name: String, _ rate: Int64) -> JSONValue {
        .object([
            "region": .string(region),
            "name": .string(name),
            "milliPoundsPerMegawattHour": .integer(rate),
        ])
    }

    private static func rates(_ members: JSONMembers) throws -> [JSONValue] {
        let items = try members.array("factors")
        guard (1...Self.maximumRegions).contains(items.count) else {
            throw members.problem("factors", "has \(items.count) items; expected 1 to \(Self.maximumRegions)")
        }
        var regions: Set<String> = []
        var rates: [(region: String, rate: JSONValue)] = []
        for (index, item) in items.enumerated() {
            let place = "factor \(index)"
            let factor = try JSONMembers(
                item,
                place,
                allowed: ["region", "name", "milliPoundsPerMegawattHour"]
            )
            let region = try Self.identifier(factor.string("region"), factor, "region")
            guard regions.insert(region).inserted else {
                throw factor.problem("region", "\(region) is given twice")
            }
            let rate = try factor.integer(
                "milliPoundsPerMegawattHour",
                in: 0...10_000_000,
                unit: "lb/1000/MWh"
            )
            rates.append((region, Self.rate(region, try factor.string("name", default: region), rate)))
        }
        return rates.sorted { $0.region.utf8.lexicographicallyPrecedes($1.region.utf8) }.map(\.rate)
    }
}
