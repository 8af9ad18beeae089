import FabricProtos
import Foundation
import Peer
import SwiftProtobuf

/// `peer lifecycle chaincode`: packages of contracts.
///
/// - Source: Fabric v3.1 documentation, "peer lifecycle chaincode"; texts compared with the program's source.
enum PeerPackageCommands {
    static let all = [make, install, calculate, installed, package]

    private static let make = ToolCommand(
        "package",
        operands: "[outputfile]",
        "Package a chaincode and write the package to a file.",
        flags: [
            ToolFlag("label", nil, "what the package is called; its identifier begins with it"),
            ToolFlag(
                "lang",
                "l",
                .text,
                standard: "golang",
                "the type: golang, node, java, ccaas, python, executable, …"
            ),
            ToolFlag("path", "p", "the folder with the chaincode"),
        ] + PeerSelection.flags
    ) { call in
        guard call.operands.count == 1 else {
            throw ToolFailure("invalid number of args. expected only the output file")
        }
        for (flag, name) in [
            ("path", "chaincode path"), ("lang", "chaincode language"), ("label", "package label"),
        ]
        where call.flags.text(flag).isEmpty {
            throw ToolFailure("\(name) must be specified")
        }
        let bytes = try ChaincodePackaging.package(
            path: call.flags.text("path"),
            type: call.flags.text("lang"),
            label: call.flags.text("label")
        )
        do {
            try bytes.write(to: URL(fileURLWithPath: call.operands[0]), options: .atomic)
        } catch {
            throw ToolFailure(
                "error writing chaincode package to \(call.operands[0]): \(error.localizedDescription)"
            )
        }
    }

    private static let install = ToolCommand(
        "install",
        operands: "[packageFile]",
        "Install a chaincode on a peer.",
        flags: PeerSelection.flags
    ) { call in
        let client = try PeerClient(call)
        let session = try LifecycleSession(client, call, command: "install")
        guard let file = call.operands.first, !file.isEmpty else {
            throw ToolFailure("chaincode install package must be provided")
        }
        var arguments = Lifecycle_InstallChaincodeArgs()
        arguments.chaincodeInstallPackage = try Self.read(file)
        let answer = try await session.ask(
            "InstallChaincode",
            arguments,
            otherwise: "chaincode install failed"
        )
        let result = try Lifecycle_InstallChaincodeResult(serializedBytes: answer)
        client.log.info(.lifecycle, "submitInstallProposal", "Installed remotely: \(result.label)")
        client.log.info(
            .lifecycle,
            "submitInstallProposal",
            "Chaincode code package identifier: \(result.packageID)"
        )
    }

    private static let calculate = ToolCommand(
        "calculatepackageid",
        operands: "[packageFile]",
        "Calculate the package ID for a packaged chaincode.",
        flags: PeerSelection.flags + [PeerLifecycleCommands.outputFlag]
    ) { call in
        guard call.operands.count == 1 else {
            throw ToolFailure("invalid number of args. expected only the packaged chaincode file")
        }
        let package: ChaincodePackage
        do {
            package = try ChaincodePackage(try Self.read(call.operands[0]))
        } catch let error as ContractError {
            throw ToolFailure("could not parse as a chaincode install package: \(error)")
        }
        guard call.flags.text("output").lowercased() == "json" else { return print(package.id) }
        print(GoJSON().text("package_id", package.id).value.tabbed())
    }

    private static let installed = ToolCommand(
        "queryinstalled",
        "Query the installed chaincodes on a peer.",
        flags: PeerSelection.flags + [PeerLifecycleCommands.outputFlag]
    ) { call in
        let client = try PeerClient(call)
        let session = try LifecycleSession(client, call, command: "queryinstalled")
        let answer = try await session.ask(
            "QueryInstalledChaincodes",
            Lifecycle_QueryInstalledChaincodesArgs()
        )
        let result = try Lifecycle_QueryInstalledChaincodesResult(serializedBytes: answer)
        if call.flags.text("output").lowercased() == "json" { return print(result.goJSON.tabbed()) }
        print("Installed chaincodes on peer:")
        for chaincode in result.installedChaincodes {
            print("Package ID: \(chaincode.packageID), Label: \(chaincode.label)")
        }
    }

    private static let package = ToolCommand(
        "getinstalledpackage",
        "Get an installed chaincode package from a peer.",
        flags: PeerSelection.flags + [
            ToolFlag("package-id", nil, "the identifier of the installed package"),
            ToolFlag("output-directory", nil, "the folder to write the package to; else the present one"),
        ]
    ) { call in
        let identifier = call.flags.text("package-id")
        guard !identifier.isEmpty else {
            throw ToolFailure.usage(
                "The required parameter 'package-id' is empty. Rerun the command with --package-id flag"
            )
        }
        let client = try PeerClient(call)
        let session = try LifecycleSession(client, call, command: "getinstalledpackage")
        let answer = try await session.ask(
            "GetInstalledChaincodePackage",
            Lifecycle_GetInstalledChaincodePackageArgs.with { $0.packageID = identifier },
            otherwise: "proposal failed"
        )
        let result = try Lifecycle_GetInstalledChaincodePackageResult(serializedBytes: answer)
        let folder = call.flags.text("output-directory")
        let file = "\(folder.isEmpty ? "." : folder)/\(identifier).tar.gz"
        do {
            try result.chaincodeInstallPackage.write(to: URL(fileURLWithPath: file))
        } catch {
            throw ToolFailure("failed to write chaincode package to \(file): \(error.localizedDescription)")
        }
    }

    private static func read(_ file: String) throws(ToolFailure) -> Data {
        do {
            return try Data(contentsOf: URL(fileURLWithPath: file))
        } catch {
            throw ToolFailure(
                "failed to read chaincode package at '\(file)': \(error.localizedDescription)"
            )
        }
    }
}

extension Lifecycle_QueryInstalledChaincodesResult {
    fileprivate var goJSON: JSONValue {
        GoJSON().list(
            "installed_chaincodes",
            self.installedChaincodes.map { chaincode in
                GoJSON().text("package_id", chaincode.packageID).text("label", chaincode.label)
                    .map("references", chaincode.references.mapValues(\.goJSON)).value
            }
        ).value
    }
}

extension Lifecycle_QueryInstalledChaincodesResult.References {
    fileprivate var goJSON: JSONValue {
        GoJSON().list(
            "chaincodes",
            self.chaincodes.map { GoJSON().text("name", $0.name).text("version", $0.version).value }
        ).value
    }
}
