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
    private let installed: InstalledContracts?
    private let channels: any EndorsingChannels

    package init(
        access: AccessGate,
        ownOrganization: MSPID,
        builtIn: [String],
        installed: InstalledContracts? = nil,
        channels: any EndorsingChannels
    ) {
        self.access = access
        self.ownOrganization = ownOrganization
        self.builtIn = builtIn.sorted()
        self.installed = installed
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
            let result = try await self.perform(stub.function, stub.arguments[1], stub)
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
    ) async throws -> any Message {
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
        case "InstallChaincode":
            return try await self.packages.install(decoded(Lifecycle_InstallChaincodeArgs.self))
        case "UninstallChaincode":
            // Not Fabric's; it names the package as Fabric's queries do, with an identifier in field 1.
            return try await self.packages.uninstall(
                decoded(Lifecycle_GetInstalledChaincodePackageArgs.self)
            )
        case "QueryInstalledChaincodes":
            return try self.packages.all()
        case "QueryInstalledChaincode":
            return try self.packages.one(decoded(Lifecycle_QueryInstalledChaincodeArgs.self))
        case "GetInstalledChaincodePackage":
            return try self.packages.file(decoded(Lifecycle_GetInstalledChaincodePackageArgs.self))
        default:
            throw ContractError("_lifecycle has no function \(function)")
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

    private var packages: LifecyclePackages {
        LifecyclePackages(
            builtIn: self.builtIn,
            installed: self.installed,
            channels: self.channels.channels,
            ownOrganization: self.ownOrganization
        )
    }
}
