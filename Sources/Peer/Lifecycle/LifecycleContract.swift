package import Channel
package import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// The system contract `_lifecycle`: organizations approve definitions of chaincodes and commit what enough
/// of them have approved.
///
/// Called with a function's name and a serialized `lifecycle.<Function>Args`; answers with a serialized
/// `lifecycle.<Function>Result`.
///
/// - Source: Fabric v3.1, `core/chaincode/lifecycle/scc.go`.
package struct LifecycleContract: Contract {
    private let access: AccessGate
    private let ownOrganization: MSPID
    /// Names of the contracts built into this peer, which count as installed.
    private let builtIn: [String]
    private let channels: any EndorsingChannels

    package init(
        access: AccessGate,
        ownOrganization: MSPID,
        builtIn: [String],
        channels: any EndorsingChannels
    ) {
        self.access = access
        self.ownOrganization = ownOrganization
        self.builtIn = builtIn.sorted()
        self.channels = channels
    }

    package func invoke(_ stub: ContractStub) async -> Protos_Response {
        guard stub.arguments.count == 2 else {
            return .failure(
                """
                lifecycle scc must be invoked with exactly two arguments, a function and its serialized \
                arguments, but received \(stub.arguments.count)
                """
            )
        }
        do {
            try self.access.authorize(
                AccessRequest(
                    resource: "\(ChaincodeName.lifecycle)/\(stub.function)",
                    channel: stub.simulation.channel?.id,
                    requester: .verified(stub.creator)
                )
            )
        } catch {
            return .failure(
                "Failed to authorize invocation due to failed ACL check: \(error.reason)"
            )
        }
        do {
            let result = try self.perform(stub.function, stub.arguments[1], stub)
            return .success(try result.serializedData())
        } catch let missing as NotDefined {
            return .failure(missing.description, status: 404)
        } catch {
            return .failure("failed to invoke backing implementation of '\(stub.function)': \(error)")
        }
    }

    /// Something that a query asked for by name doesn't exist: status 404.
    struct NotDefined: Error, CustomStringConvertible { var description: String }

    private func perform(
        _ function: String,
        _ argument: Data,
        _ stub: ContractStub
    ) throws -> any Message {
        func decoded<Arguments: Message>(_: Arguments.Type) throws -> Arguments {
            do {
                return try Arguments(serializedBytes: argument)
            } catch {
                throw ContractError("failed to decode input arg proto: \(error)")
            }
        }
        switch function {
        case "ApproveChaincodeDefinitionForMyOrg":
            return try self.ledger(stub).approve(
                decoded(Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs.self)
            )
        case "CommitChaincodeDefinition":
            return try self.ledger(stub).commit(decoded(Lifecycle_CommitChaincodeDefinitionArgs.self))
        case "CheckCommitReadiness":
            return try self.ledger(stub).readiness(decoded(Lifecycle_CheckCommitReadinessArgs.self))
        case "QueryApprovedChaincodeDefinition":
            return try self.ledger(stub).approved(
                decoded(Lifecycle_QueryApprovedChaincodeDefinitionArgs.self)
            )
        case "QueryApprovedChaincodeDefinitions":
            return try self.ledger(stub).allApproved()
        case "QueryChaincodeDefinition":
            return try self.ledger(stub).definition(decoded(Lifecycle_QueryChaincodeDefinitionArgs.self))
        case "QueryChaincodeDefinitions":
            return try self.ledger(stub).allDefinitions()
        case "QueryInstalledChaincodes":
            return try self.installed()
        case "QueryInstalledChaincode":
            return try self.installed(decoded(Lifecycle_QueryInstalledChaincodeArgs.self).packageID)
        case "GetInstalledChaincodePackage":
            let identifier = try decoded(Lifecycle_GetInstalledChaincodePackageArgs.self).packageID
            throw NotDefined(description: "chaincode install package '\(identifier)' not found")
        default:
            throw ContractError(
                """
                this peer runs the contracts that are built into it (\(self.builtIn.joined(separator: ", "))) \
                and can't run packages; approve and commit the definition of one of those instead
                """
            )
        }
    }

    private func ledger(_ stub: ContractStub) throws -> LifecycleLedger {
        guard let configuration = stub.simulation.configuration else {
            throw ContractError("the function needs a channel; name one in the proposal")
        }
        return LifecycleLedger(
            state: try stub.simulation.state(),
            configuration: configuration,
            ownOrganization: self.ownOrganization
        )
    }

    // MARK: Built-in contracts as installed packages

    private func packageID(of name: String) -> String { "\(name):builtin" }

    private func installed() throws -> Lifecycle_QueryInstalledChaincodesResult {
        var result = Lifecycle_QueryInstalledChaincodesResult()
        for name in self.builtIn {
            var entry = Lifecycle_QueryInstalledChaincodesResult.InstalledChaincode()
            entry.packageID = self.packageID(of: name)
            entry.label = name
            for (channel, version) in try self.references(to: name) {
                entry.references[channel, default: .init()].chaincodes.append(
                    .with {
                        $0.name = name
                        $0.version = version
                    }
                )
            }
            result.installedChaincodes.append(entry)
        }
        return result
    }

    private func installed(_ identifier: String) throws -> Lifecycle_QueryInstalledChaincodeResult {
        guard let name = self.builtIn.first(where: { self.packageID(of: $0) == identifier }) else {
            throw NotDefined(description: "chaincode install package '\(identifier)' not found")
        }
        var result = Lifecycle_QueryInstalledChaincodeResult()
        result.packageID = identifier
        result.label = name
        for (channel, version) in try self.references(to: name) {
            result.references[channel, default: .init()].chaincodes.append(
                .with {
                    $0.name = name
                    $0.version = version
                }
            )
        }
        return result
    }

    /// The channels on which the built-in contract is defined and approved, and its version there.
    private func references(to name: String) throws -> [(channel: String, version: String)] {
        try self.channels.channels.compactMap { channel in
            let snapshot = channel.ledger.snapshot()
            guard let definition = try LifecycleState.definition(of: name, in: snapshot),
                try definition.isApproved(of: name, by: self.ownOrganization, in: snapshot)
            else { return nil }
            return (channel.id.description, definition.version)
        }
    }
}
