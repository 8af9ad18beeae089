internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// What the lifecycle says of packages: those installed on this peer, and the built-in contracts, which count as
/// installed.
///
/// - Source: Fabric v3.1, `core/chaincode/lifecycle/scc.go`.
struct LifecyclePackages {
    /// Names of the built-in contracts, in ascending order.
    let builtIn: [String]
    let installed: InstalledContracts?
    let channels: [any EndorsingChannel]
    let ownOrganization: MSPID

    /// A definition that a package is used for.
    private struct Use {
        var channel: String
        var name: String
        var version: String
    }

    func install(_ arguments: Lifecycle_InstallChaincodeArgs) async throws -> Lifecycle_InstallChaincodeResult
    {
        guard let installed else { throw ContractError("this peer takes no packages") }
        let package = try await installed.install(arguments.chaincodeInstallPackage)
        return .with {
            $0.packageID = package.id
            $0.label = package.label
        }
    }

    /// Removes a package from this peer; definitions that name it stay, and so does the state of their chaincodes.
    func uninstall(
        _ arguments: Lifecycle_GetInstalledChaincodePackageArgs
    ) async throws -> Lifecycle_InstallChaincodeResult {
        guard self.packages.contains(where: { $0.id == arguments.packageID }) else {
            throw self.missing(arguments.packageID)
        }
        guard let removed = try await self.installed?.remove(arguments.packageID) else {
            throw ContractError(
                "package \(arguments.packageID) is built into this peer, so it can't be removed"
            )
        }
        return .with {
            $0.packageID = removed.id
            $0.label = removed.label
        }
    }

    func all() throws -> Lifecycle_QueryInstalledChaincodesResult {
        let uses = try self.uses()
        return .with { result in
            for package in self.packages {
                var entry = Lifecycle_QueryInstalledChaincodesResult.InstalledChaincode()
                entry.packageID = package.id
                entry.label = package.label
                for use in uses[package.id] ?? [] {
                    entry.references[use.channel, default: .init()].chaincodes.append(
                        .with {
                            $0.name = use.name
                            $0.version = use.version
                        }
                    )
                }
                result.installedChaincodes.append(entry)
            }
        }
    }

    func one(
        _ arguments: Lifecycle_QueryInstalledChaincodeArgs
    ) throws -> Lifecycle_QueryInstalledChaincodeResult {
        guard let package = self.packages.first(where: { $0.id == arguments.packageID }) else {
            throw self.missing(arguments.packageID)
        }
        var result = Lifecycle_QueryInstalledChaincodeResult()
        result.packageID = package.id
        result.label = package.label
        for use in try self.uses()[package.id] ?? [] {
            result.references[use.channel, default: .init()].chaincodes.append(
                .with {
                    $0.name = use.name
                    $0.version = use.version
                }
            )
        }
        return result
    }

    func file(
        _ arguments: Lifecycle_GetInstalledChaincodePackageArgs
    ) throws -> Lifecycle_GetInstalledChaincodePackageResult {
        guard let bytes = try self.installed?.bytes(packageID: arguments.packageID) else {
            throw self.missing(arguments.packageID)
        }
        return .with { $0.chaincodeInstallPackage = bytes }
    }

    private func missing(_ identifier: String) -> LifecycleContract.NotDefined {
        LifecycleContract.NotDefined(description: "chaincode install package '\(identifier)' not found")
    }

    private var packages: [InstalledContracts.Package] {
        self.builtIn.map { .init(id: self.identifier(ofBuiltIn: $0), label: $0) }
            + (self.installed?.packages ?? [])
    }

    private func identifier(ofBuiltIn name: String) -> String { "\(name):builtin" }

    /// What each package is used for, by its identifier.
    private func uses() throws -> [String: [Use]] {
        let known = Set(self.packages.map(\.id))
        var uses: [String: [Use]] = [:]
        for channel in self.channels {
            let snapshot = channel.ledger.snapshot()
            for name in try LifecycleState.definedChaincodes(in: snapshot) {
                guard let definition = try LifecycleState.definition(of: name, in: snapshot),
                    try definition.isApproved(of: name, by: self.ownOrganization, in: snapshot)
                else { continue }
                var packageID = try definition.packageID(
                    of: name,
                    approvedBy: self.ownOrganization,
                    in: snapshot
                )
                if packageID.map(known.contains) != true, self.builtIn.contains(name) {
                    packageID = self.identifier(ofBuiltIn: name)
                }
                guard let packageID else { continue }
                uses[packageID, default: []].append(
                    Use(channel: channel.id.description, name: name, version: definition.version)
                )
            }
        }
        return uses
    }
}
