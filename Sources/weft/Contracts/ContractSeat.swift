import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import WeftClient

/// A peer that a command administers: the connection to it, and an administrator of its organization.
struct ContractSeat: Sendable {
    let connection: Connection
    let identity: ClientIdentity
    let channel: String

    var mspID: String { self.identity.mspID }
    var name: String { "\(self.mspID) at \(self.connection.endpoint)" }
    var gateway: Gateway { self.connection.gateway(channel: self.channel, as: self.identity) }

    /// How long a peer may take to build a package.
    private static let installTimeout: Duration = .seconds(600)
    /// How long a peer may take to get a block that another one has.
    private static let blockTimeout: Duration = .seconds(60)

    /// Installs a package; one that is installed already is fine.
    ///
    /// - Returns: Whether it was new.
    func install(_ package: Data) async throws -> Bool {
        var arguments = Lifecycle_InstallChaincodeArgs()
        arguments.chaincodeInstallPackage = package
        var peer = self.connection.peer(channel: "", as: self.identity)
        peer.timeout = Self.installTimeout
        do {
            _ = try await peer.query(ContractDefinition.call("InstallChaincode", arguments))
            return true
        } catch let error as ClientError where error.message.contains("already successfully installed") {
            return false
        }
    }

    /// Removes a package from the peer.
    ///
    /// - Throws: ``Failure`` if the peer can't do that, as Fabric's; what the peer says.
    func uninstall(_ packageID: String) async throws {
        var arguments = Lifecycle_GetInstalledChaincodePackageArgs()
        arguments.packageID = packageID
        do {
            _ = try await self.connection.peer(channel: "", as: self.identity).query(
                ContractDefinition.call("UninstallChaincode", arguments)
            )
        } catch let error as ClientError where Self.isUnknownFunction(error.message) {
            throw Failure(
                """
                \(self.name) has no way to remove a package, as Fabric's peers have none: stop it, remove \
                lifecycle/chaincodes/\(packageID.replacing(":", with: ".")).tar.gz in its data folder \
                (peer.fileSystemPath), and start it again
                """
            )
        }
    }

    /// Whether a peer's words mean that it knows no such function; Fabric's doesn't know who may call it, either.
    private static func isUnknownFunction(_ message: String) -> Bool {
        ["UninstallChaincode is unknown", "has no function UninstallChaincode", "Unmapped policy"]
            .contains(where: message.contains)
    }

    /// The packages that the peer has.
    func installed() async throws -> [Lifecycle_QueryInstalledChaincodesResult.InstalledChaincode] {
        let answer = try await self.connection.peer(channel: "", as: self.identity).query(
            ContractDefinition.call(
                "QueryInstalledChaincodes",
                Lifecycle_QueryInstalledChaincodesArgs()
            )
        )
        return try Lifecycle_QueryInstalledChaincodesResult(serializedBytes: answer).installedChaincodes
    }

    /// The package that the organization approved with a definition: empty if it approved none; `nil` if it didn't
    /// approve the definition.
    func approvedPackage(_ contract: String, sequence: Int64) async throws -> String? {
        var query = Lifecycle_QueryApprovedChaincodeDefinitionArgs()
        query.name = contract
        query.sequence = sequence
        do {
            let answer = try await self.connection.peer(channel: self.channel, as: self.identity).query(
                ContractDefinition.call("QueryApprovedChaincodeDefinition", query)
            )
            return try Lifecycle_QueryApprovedChaincodeDefinitionResult(serializedBytes: answer)
                .source.localPackage.packageID
        } catch let error as ClientError where error.message.contains("could not fetch approved") {
            return nil
        }
    }

    /// The package that the organization approved with this definition or, failing that, with the newest one before it;
    /// empty if it approved none.
    func newestPackage(_ contract: String, through sequence: Int64) async throws -> String {
        for number in Self.definitions(through: sequence).reversed() {
            if let package = try await self.approvedPackage(contract, sequence: number) { return package }
        }
        return ""
    }

    /// The sequences of the definitions whose packages are asked for: a hundred at the most.
    static func definitions(through last: Int64) -> ClosedRange<Int64> { max(1, last - 99)...last }

    /// Waits until the peer has a block.
    func waitForBlock(_ number: UInt64) async throws {
        let peer = self.connection.peer(channel: self.channel, as: self.identity)
        try await withTimeout(Self.blockTimeout) {
            while true {
                do {
                    return try await peer.blocks(from: number, through: number) { _ in false }
                } catch let error as ClientError where error.code == .notFound {
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        }
    }

    /// Calls `body` with connections to all targets, in their order.
    static func connecting<Value: Sendable>(
        to targets: ArraySlice<ConnectionOptions.Target>,
        _ seats: [ContractSeat] = [],
        _ body: ([ContractSeat]) async throws -> Value
    ) async throws -> Value {
        guard let target = targets.first else { return try await body(seats) }
        return try await withConnection(to: target.endpoint, security: target.security) { connection in
            let seat = ContractSeat(connection: connection, identity: target.signer, channel: target.channel)
            return try await Self.connecting(to: targets.dropFirst(), seats + [seat], body)
        }
    }
}

extension ConnectionOptions {
    /// The channel's configuration, as the first of the administered peers has it.
    func administeredChannel() async throws -> ChannelConfiguration {
        guard let first = try self.administeredPeers().first else {
            throw Failure("the network has no peer", code: .configuration)
        }
        return try await withConnection(to: first.endpoint, security: first.security) { connection in
            let peer = connection.peer(channel: first.channel, as: first.signer)
            let bytes = try await peer.query(Invocation("cscc", "GetConfigBlock", [first.channel]))
            return try ChannelConfiguration(configBlock: Common_Block(serializedBytes: bytes))
        }
    }

    /// The peers whose administrators are at hand: the one that the flags name, else all of the network's folder.
    func administeredPeers() throws -> [Target] {
        guard self.identity == nil, self.identityName == nil, self.peer == nil else {
            return [try self.resolve()]
        }
        let description = try NetworkDescription(folder: self.network)
        return try description.peers.map { node in
            let identity = try description.identity("admin", of: node)
            return Target(
                endpoint: try Endpoint(node.endpoint),
                security: try description.security(of: node, as: identity),
                signer: try description.signer(identity),
                channel: self.channel ?? description.channel
            )
        }
    }
}
