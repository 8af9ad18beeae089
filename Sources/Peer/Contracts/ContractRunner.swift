package import Channel
package import FabricProtos
package import Foundation
internal import Ledger
internal import Synchronization

/// Finds the contract that a name stands for on a channel, and runs it.
package struct ContractRunner: Sendable {
    private let catalog: ContractCatalog
    private let channels: any EndorsingChannels
    private let access: AccessGate
    /// The organization whose approval counts: the peer's own.
    private let ownOrganization: MSPID
    private let definitions = DefinitionCache()

    package init(
        catalog: ContractCatalog,
        channels: any EndorsingChannels,
        access: AccessGate,
        ownOrganization: MSPID
    ) {
        self.catalog = catalog
        self.channels = channels
        self.access = access
        self.ownOrganization = ownOrganization
    }

    /// A contract that is ready to run.
    package struct Callee: Sendable {
        package var name: String
        package var contract: any Contract
        /// `nil` for system contracts.
        package var definition: ChaincodeDefinition?

        /// The version that responses carry.
        package var version: String { self.definition?.version ?? ChaincodeName.systemVersion }
    }

    package func isSystem(_ name: String) -> Bool { ChaincodeName.system.contains(name) }

    /// The contract called `name` on the simulation's channel.
    ///
    /// Of a defined contract the definition's sequence is read through the simulator, as Fabric's peers do,
    /// and with it the transaction conflicts with a new definition. The rest of the definition comes from a
    /// cache that the sequence's version keeps right.
    ///
    /// - Throws: ``ContractError`` if there is none, or the peer's organization hasn't approved it, or this
    ///   peer can't run it.
    package func callee(named name: String, in simulation: Simulation) throws -> Callee {
        if self.isSystem(name) {
            guard let contract = self.catalog.system[name] else {
                throw ContractError("system chaincode \(name) is reserved but can't be called")
            }
            return Callee(name: name, contract: contract, definition: nil)
        }
        guard let channel = simulation.channel, let snapshot = simulation.snapshot else {
            throw ContractError("chaincode \(name) runs on a channel, but the call names none")
        }
        let state = try simulation.state()
        let sequenceKey = LifecycleState.sequenceKey(of: name)
        guard try state.value(namespace: ChaincodeName.lifecycle, key: sequenceKey) != nil else {
            _ = try state.value(namespace: ChaincodeName.legacyLifecycle, key: name)
            throw ContractError("chaincode \(name) not found")
        }
        let definition = try self.definitions.definition(
            of: name,
            on: channel.id,
            approvedBy: self.ownOrganization,
            in: snapshot
        )
        guard let contract = try self.contract(of: name, definition, channel.id, snapshot) else {
            throw ContractError("chaincode definition for '\(name)' exists, but chaincode is not installed")
        }
        return Callee(name: name, contract: contract, definition: definition)
    }

    /// The package that the organization approved, if it is installed; else the built-in contract of that name.
    private func contract(
        of name: String,
        _ definition: ChaincodeDefinition,
        _ channel: ChannelID,
        _ snapshot: StateSnapshot
    ) throws -> (any Contract)? {
        if let installed = self.catalog.installed, !installed.isEmpty,
            let packageID = try definition.packageID(
                of: name,
                approvedBy: self.ownOrganization,
                in: snapshot
            ),
            let contract = installed.contract(
                packageID: packageID,
                for: .init(channel: channel.description, name: name)
            )
        {
            return contract
        }
        return self.catalog.builtIn[name]
    }

    /// Executes `callee`, with Fabric's rules for chaincodes that require initialization.
    ///
    /// - Returns: what the contract answered, and its last event.
    /// - Throws: ``ContractError`` if the call may not reach the contract.
    package func run(
        _ callee: Callee,
        arguments: [Data],
        isInit: Bool,
        in simulation: Simulation
    ) async throws -> (response: Protos_Response, event: Protos_ChaincodeEvent?) {
        try self.checkInitialization(of: callee, isInit: isInit, in: simulation)
        guard simulation.executing.insert(callee.name).inserted else {
            throw AlreadyExecuting(transaction: simulation.transactionID, channel: simulation.channelName)
        }
        defer { simulation.executing.remove(callee.name) }
        let stub = ContractStub(
            chaincodeName: callee.name,
            arguments: arguments,
            isInit: isInit,
            decorations: [:],
            simulation: simulation,
            runner: self
        )
        let response = try await callee.contract.invoke(stub)
        return (response, stub.event)
    }

    /// The key under which a chaincode that requires initialization keeps the version it was initialized
    /// for.
    ///
    /// - Source: Fabric v3.1, `core/chaincode/chaincode_support.go`, `InitializedKeyName`.
    package static let initializedKey = "\u{0}\u{10FFFF}initialized"

    private func checkInitialization(of callee: Callee, isInit: Bool, in simulation: Simulation) throws {
        guard let definition = callee.definition else { return }
        guard definition.initRequired else {
            guard !isInit else {
                throw ContractError(
                    """
                    invalid invocation: chaincode '\(callee.name)' does not require initialization \
                    but called as init
                    """
                )
            }
            return
        }
        let state = try simulation.state()
        let version = Data(definition.version.utf8)
        let initialized = try state.value(namespace: callee.name, key: Self.initializedKey) == version
        switch (isInit, initialized) {
        case (true, true):
            throw ContractError(
                "invalid invocation: chaincode '\(callee.name)' is already initialized but called as init"
            )
        case (false, false):
            throw ContractError(
                """
                invalid invocation: chaincode '\(callee.name)' has not been initialized for this version, \
                must call as init first
                """
            )
        case (true, false):
            try state.setValue(version, namespace: callee.name, key: Self.initializedKey)
        case (false, true):
            break
        }
    }

    /// One contract calls another.
    ///
    /// - Source: Fabric v3.1, `core/chaincode/handler.go`, `HandleInvokeChaincode`.
    func call(
        _ target: String,
        _ arguments: [Data],
        channel: String,
        from caller: ContractStub
    ) async throws -> Protos_Response {
        let simulation = caller.simulation
        let (name, targetChannel) = Self.split(target, channel, own: simulation.channelName)
        let inner: Simulation
        if targetChannel == simulation.channelName {
            inner = simulation
        } else {
            guard let other = self.channels.channel(named: targetChannel) else {
                throw ContractError("Failed to get policy manager for channel [\(targetChannel)]")
            }
            // Its results are never taken: on another channel a call only reads.
            inner = Simulation(
                proposal: simulation.proposal,
                creator: simulation.creator,
                channel: other,
                recording: true
            )
        }
        if !self.isSystem(name) {
            try self.access.authorize(
                AccessRequest(
                    resource: "peer/ChaincodeToChaincode",
                    channel: inner.channel?.id,
                    requester: .verified(simulation.creator),
                    subject: name
                )
            )
        }
        let callee: Callee
        do {
            callee = try self.callee(named: name, in: inner)
        } catch {
            throw ContractError(
                """
                execute failed: invalid invocation: [channel \(targetChannel)] \
                failed to get chaincode container info for \(name): \(error)
                """
            )
        }
        do {
            return try await self.run(callee, arguments: arguments, isInit: false, in: inner).response
        } catch let failure as TransactionFailure {
            throw failure
        } catch {
            throw ContractError("execute failed: \(error)")
        }
    }

    /// Takes `name[:version][/channel]` apart; the version means nothing.
    private static func split(
        _ target: String,
        _ channel: String,
        own: String
    ) -> (name: String, channel: String) {
        let parts = target.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let name = parts.first?.split(separator: ":", maxSplits: 1).first.map(String.init) ?? ""
        let named = parts.count > 1 ? String(parts[1]) : channel
        return (name, named.isEmpty ? own : named)
    }
}

/// A chaincode was called that is executing already in this transaction.
private struct AlreadyExecuting: Error, CustomStringConvertible {
    var transaction: String
    var channel: String

    var description: String {
        "error sending: txid: \(self.transaction)(\(self.channel)) exists"
    }
}

/// Definitions that were found committed and approved by the peer's organization.
///
/// A definition changes only together with its sequence number, so an entry holds as long as the version
/// of that key does. An organization's approval of a committed definition can't be withdrawn.
private final class DefinitionCache: Sendable {
    private struct Key: Hashable {
        var channel: ChannelID
        var chaincode: String
    }

    private struct Entry {
        var version: Version
        var definition: ChaincodeDefinition
        /// The state in which the version was last seen, so that it is read once a block.
        var height: BlockNumber
    }

    private let entries = Mutex<[Key: Entry]>([:])

    func definition(
        of name: String,
        on channel: ChannelID,
        approvedBy organization: MSPID,
        in snapshot: StateSnapshot
    ) throws -> ChaincodeDefinition {
        let key = Key(channel: channel, chaincode: name)
        let known = self.entries.withLock { $0[key] }
        if let known, known.height == snapshot.height { return known.definition }
        let version = try snapshot.value(
            namespace: ChaincodeName.lifecycle,
            key: LifecycleState.sequenceKey(of: name)
        )?.version
        if let known, known.version == version {
            self.entries.withLock { $0[key]?.height = snapshot.height }
            return known.definition
        }
        guard let version, let definition = try LifecycleState.definition(of: name, in: snapshot) else {
            throw ContractError("chaincode \(name) not found")
        }
        guard try definition.isApproved(of: name, by: organization, in: snapshot) else {
            throw ContractError(
                """
                chaincode definition for '\(name)' at sequence \(definition.sequence) on channel \
                '\(channel)' has not yet been approved by this org
                """
            )
        }
        self.entries.withLock {
            $0[key] = Entry(version: version, definition: definition, height: snapshot.height)
        }
        return definition
    }
}
