import ArgumentParser
import Channel
import FabricProtos
import Foundation
import Peer
import SwiftProtobuf
import WeftClient

/// `weft contract list`: the contracts that a channel has.
struct ContractListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the contracts whose definitions the channel has."
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let found = try await self.connection.withTarget { connection, target in
            let answer = try await connection.gateway(channel: target.channel, as: target.signer).evaluate(
                ContractDefinition.call(
                    "QueryChaincodeDefinitions",
                    Lifecycle_QueryChaincodeDefinitionsArgs()
                )
            )
            return try Lifecycle_QueryChaincodeDefinitionsResult(serializedBytes: answer).chaincodeDefinitions
        }.sorted { $0.name < $1.name }
        self.output.answer(
            .array(
                found.map { definition in
                    .object([
                        "name": .string(definition.name),
                        "version": .string(definition.version),
                        "sequence": .integer(definition.sequence),
                        "initRequired": .boolean(definition.initRequired),
                        "collections": .array(definition.collections.names.map { .string($0) }),
                    ])
                }
            ),
            found.isEmpty
                ? "the channel has no contracts; bring one there with: weft contract deploy"
                : found.map { definition in
                    let collections = definition.collections.names
                    return
                        "\(definition.name)  version \(definition.version)  sequence \(definition.sequence)"
                        + (collections.isEmpty ? "" : "  collections \(collections.joined(separator: ", "))")
                }.joined(separator: "\n")
        )
    }
}

/// `weft contract status`: one contract at the peers whose administrators are at hand.
struct ContractStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show a contract: its definition, who approved it, and what peers run for it."
    )

    @Argument(help: "The contract's name.")
    var name: String

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    private struct Place {
        var peer: String
        var package: String?
        var isInstalled: Bool
    }

    func run() async throws {
        let targets = try self.connection.administeredPeers()
        let (found, places) = try await ContractSeat.connecting(to: targets[...]) { seats in
            guard let first = seats.first,
                let found = try await ContractDefinition(name: self.name).committed(first.gateway)
            else {
                throw Failure("the channel has no contract \(self.name); see: weft contract list")
            }
            var places: [Place] = []
            for seat in seats {
                let package = try await seat.approvedPackage(self.name, sequence: found.sequence)
                let isInstalled = try await seat.installed().contains { $0.packageID == package }
                places.append(Place(peer: seat.name, package: package, isInstalled: isInstalled))
            }
            return (found, places)
        }
        let policy = try ContractDefinition(name: self.name, committed: found).policyText
        let approvals = found.approvals.sorted { $0.key < $1.key }
        var lines = [
            "contract \(self.name), version \(found.version), sequence \(found.sequence)",
            "  endorsement: \(policy)",
        ]
        if !found.collections.config.isEmpty {
            lines.append("  collections: \(found.collections.names.joined(separator: ", "))")
        }
        if found.initRequired { lines.append("  it must be initialized by a first call") }
        for (organization, isApproved) in approvals {
            lines.append("  \(organization): \(isApproved ? "approved" : "has not approved")")
        }
        for place in places { lines.append("  \(place.peer): \(Self.text(place))") }
        self.output.answer(
            .object([
                "name": .string(self.name),
                "version": .string(found.version),
                "sequence": .integer(found.sequence),
                "policy": .string(policy),
                "collections": .array(found.collections.names.map { .string($0) }),
                "initRequired": .boolean(found.initRequired),
                "approvals": .members(approvals.map { ($0.key, .boolean($0.value)) }),
                "peers": .array(
                    places.map { place in
                        .object([
                            "peer": .string(place.peer),
                            "package": place.package.map { .string($0) } ?? .null,
                            "installed": .boolean(place.isInstalled),
                        ])
                    }
                ),
            ]),
            lines.joined(separator: "\n")
        )
    }

    private static func text(_ place: Place) -> String {
        switch place.package {
        case nil: "its organization has not approved this definition"
        case ""?: "no package: it runs if it is built in"
        case let package?:
            place.isInstalled ? "runs \(package)" : "doesn't run it: \(package) is not installed"
        }
    }
}

extension Protos_CollectionConfigPackage {
    /// The names of the collections.
    fileprivate var names: [String] { self.config.map(\.staticCollectionConfig.name) }
}
