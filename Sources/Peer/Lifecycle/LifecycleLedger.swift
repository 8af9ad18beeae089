internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// The lifecycle's functions on one channel's state.
///
/// Each endorser must read and write exactly what Fabric's does, or the endorsements of a transaction don't
/// match: what is read here, and how often, follows from the order in which Fabric looks things up.
///
/// - Source: Fabric v3.1, `core/chaincode/lifecycle/lifecycle.go` and `scc.go`.
struct LifecycleLedger {
    let state: TransactionSimulator
    let configuration: ChannelConfiguration
    let ownOrganization: MSPID

    private static let namespace = ChaincodeName.lifecycle
    private var ownCollection: String {
        LifecycleState.implicitCollection(of: self.ownOrganization.description)
    }
    private var channel: String { self.configuration.channelID.description }

    // MARK: Approve

    /// Records, in the own organization's collection, that it agrees to a definition.
    func approve(
        _ arguments: Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs
    ) throws -> Lifecycle_ApproveChaincodeDefinitionForMyOrgResult {
        let proposed = ProposedDefinition(arguments)
        try self.checkForm(of: proposed)
        let current = try self.currentSequence(of: proposed.name)
        let requested = proposed.sequence
        guard requested != 0 else {
            throw ContractError("requested sequence is 0, but first definable sequence number is 1")
        }
        guard requested >= current else {
            throw ContractError(
                "currently defined sequence \(current) is larger than requested sequence \(requested)"
            )
        }
        guard requested <= current &+ 1 else {
            throw ContractError(
                """
                requested sequence \(requested) is larger than the next available sequence number \
                \(current &+ 1)
                """
            )
        }
        let parameters = try self.withDefaults(proposed)
        let package = try LifecycleRecord(packageID: arguments.source.localPackage.packageID)
        let approval = LifecycleState.approvalName(proposed.name, sequence: requested)
        if requested == current { try self.checkRedefinition(of: proposed.name, current, parameters) }
        try self.checkSomethingChanges(proposed.name, approval, parameters, package, current: current)
        try self.writeOwn(try LifecycleRecord(parameters), LifecycleState.definitions, approval)
        try self.writeOwn(package, LifecycleState.sources, approval)
        return .init()
    }

    private func checkRedefinition(
        of name: String,
        _ sequence: Int64,
        _ parameters: ChaincodeParameters
    ) throws {
        guard let committed = try self.committed(name) else {
            throw ContractError("missing metadata for currently committed sequence number (\(sequence))")
        }
        if let difference = committed.parameters.difference(from: parameters) {
            throw ContractError(
                """
                attempted to redefine the current committed sequence (\(sequence)) for namespace \(name) \
                with different parameters: \(difference)
                """
            )
        }
    }

    private func checkSomethingChanges(
        _ name: String,
        _ approval: String,
        _ parameters: ChaincodeParameters,
        _ package: LifecycleRecord,
        current: Int64
    ) throws {
        guard let known = try self.ownRecord(LifecycleState.definitions, approval),
            known == (try LifecycleRecord(parameters)),
            try self.ownRecord(LifecycleState.sources, approval) == package
        else { return }
        let sequence = approval.split(separator: "#").last.map(String.init) ?? ""
        let kind = sequence == String(current) ? "the current committed sequence" : "uncommitted sequence"
        throw ContractError(
            "attempted to redefine \(kind) (\(sequence)) for namespace \(name) with unchanged content"
        )
    }

    // MARK: Commit

    /// Writes a definition to public state; the policy `LifecycleEndorsement` of the transaction decides
    /// whether enough organizations agree.
    func commit(
        _ arguments: Lifecycle_CommitChaincodeDefinitionArgs
    ) throws -> Lifecycle_CommitChaincodeDefinitionResult {
        let proposed = ProposedDefinition(arguments)
        try self.checkForm(of: proposed)
        let own = self.ownOrganization.description
        guard self.organizations.contains(own) else {
            throw ContractError(
                "this peer's organization \(own) is not a member of channel \(self.channel); ask another's peer"
            )
        }
        let (definition, mismatches) = try self.agreement(on: proposed)
        try self.writePublic(try LifecycleRecord(definition), proposed.name)
        guard mismatches[own]?.isEmpty == true else {
            throw ContractError("chaincode definition not agreed to by this org (\(own))")
        }
        return .init()
    }

    /// Which organizations have approved the definition, and in what the others' approvals differ.
    func readiness(
        _ arguments: Lifecycle_CheckCommitReadinessArgs
    ) throws -> Lifecycle_CheckCommitReadinessResult {
        let (_, mismatches) = try self.agreement(on: ProposedDefinition(arguments))
        return .with {
            for (organization, fields) in mismatches {
                $0.approvals[organization] = fields.isEmpty
                if !fields.isEmpty { $0.mismatches[organization] = .with { $0.items = fields } }
            }
        }
    }

    private func agreement(
        on proposed: ProposedDefinition
    ) throws -> (definition: ChaincodeDefinition, mismatches: [String: [String]]) {
        let current = try self.currentSequence(of: proposed.name)
        guard proposed.sequence == current &+ 1 else {
            throw ContractError(
                """
                requested sequence is \(proposed.sequence), but new definition must be sequence \
                \(current &+ 1)
                """
            )
        }
        let definition = ChaincodeDefinition(
            sequence: proposed.sequence,
            parameters: try self.withDefaults(proposed)
        )
        return (definition, try self.mismatches(with: definition, of: proposed.name))
    }

    /// For each organization, in what its approval differs from `definition`; empty if it agrees.
    private func mismatches(
        with definition: ChaincodeDefinition,
        of name: String
    ) throws -> [String: [String]] {
        let approval = LifecycleState.approvalName(name, sequence: definition.sequence)
        let expected = try LifecycleRecord(definition.parameters)
        var mismatches: [String: [String]] = [:]
        for organization in self.organizations {
            let collection = LifecycleState.implicitCollection(of: organization)
            mismatches[organization] = try expected.mismatches(LifecycleState.definitions, approval) { key in
                try self.state.privateHash(namespace: Self.namespace, collection: collection, key: key)
            }
        }
        return mismatches
    }

    private var organizations: [String] {
        (self.configuration.application?.organizations ?? []).map(\.mspID.description).sorted()
    }

    // MARK: Queries

    func definition(
        _ arguments: Lifecycle_QueryChaincodeDefinitionArgs
    ) throws -> Lifecycle_QueryChaincodeDefinitionResult {
        guard let definition = try self.committed(arguments.name) else {
            throw LifecycleContract.NotDefined(description: "namespace \(arguments.name) is not defined")
        }
        let mismatches = try self.mismatches(with: definition, of: arguments.name)
        return .with {
            $0.sequence = definition.sequence
            $0.version = definition.version
            $0.endorsementPlugin = definition.endorsementPlugin
            $0.validationPlugin = definition.validationPlugin
            $0.validationParameter = definition.validationParameter
            $0.collections = definition.collections
            $0.initRequired = definition.initRequired
            $0.approvals = mismatches.mapValues(\.isEmpty)
        }
    }

    func allDefinitions() throws -> Lifecycle_QueryChaincodeDefinitionsResult {
        let prefix = LifecycleState.metadataKey(LifecycleState.definitions, "")
        let rows = try self.state.range(namespace: Self.namespace, start: prefix, end: prefix + "\u{7F}")
        var names: [String] = []
        while let row = try rows.next() {
            names.append(String(decoding: row.key.utf8.dropFirst(prefix.utf8.count), as: UTF8.self))
        }
        var result = Lifecycle_QueryChaincodeDefinitionsResult()
        for name in names {
            guard let definition = try self.committed(name) else { continue }
            result.chaincodeDefinitions.append(
                .with {
                    $0.name = name
                    $0.sequence = definition.sequence
                    $0.version = definition.version
                    $0.endorsementPlugin = definition.endorsementPlugin
                    $0.validationPlugin = definition.validationPlugin
                    $0.validationParameter = definition.validationParameter
                    $0.collections = definition.collections
                    $0.initRequired = definition.initRequired
                }
            )
        }
        return result
    }

    func approved(
        _ arguments: Lifecycle_QueryApprovedChaincodeDefinitionArgs
    ) throws -> Lifecycle_QueryApprovedChaincodeDefinitionResult {
        var sequence = arguments.sequence
        var found: (parameters: ChaincodeParameters, packageID: String)?
        if sequence == 0 {
            // The latest: the approval of the next definition if there is one, else of the committed one.
            let current = try self.currentSequence(of: arguments.name)
            sequence = current &+ 1
            found = try self.ownApproval(arguments.name, sequence)
            if found == nil { sequence = current }
        }
        if found == nil, sequence > 0 { found = try self.ownApproval(arguments.name, sequence) }
        guard let found else {
            throw ContractError(
                """
                could not fetch approved chaincode definition (name: '\(arguments.name)', \
                sequence: '\(sequence)') on channel '\(self.channel)'
                """
            )
        }
        return .with {
            $0.sequence = sequence
            $0.version = found.parameters.version
            $0.endorsementPlugin = found.parameters.endorsementPlugin
            $0.validationPlugin = found.parameters.validationPlugin
            $0.validationParameter = found.parameters.validationParameter
            $0.collections = found.parameters.collections
            $0.initRequired = found.parameters.initRequired
            $0.source = Self.source(found.packageID)
        }
    }

    func allApproved() throws -> Lifecycle_QueryApprovedChaincodeDefinitionsResult {
        let prefix = LifecycleState.metadataKey(LifecycleState.definitions, "")
        let rows = try self.state.privateRange(
            namespace: Self.namespace,
            collection: self.ownCollection,
            start: prefix,
            end: prefix + "\u{7F}"
        )
        var result = Lifecycle_QueryApprovedChaincodeDefinitionsResult()
        while let row = try rows.next() {
            let parts = String(decoding: row.key.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
                .split(separator: "#")
            guard parts.count == 2, let sequence = Int64(parts[1]),
                let approval = try self.ownApproval(String(parts[0]), sequence)
            else { throw MalformedLifecycleState(key: row.key, reason: "not the name of an approval") }
            result.approvedChaincodeDefinitions.append(
                .with {
                    $0.name = String(parts[0])
                    $0.sequence = sequence
                    $0.version = approval.parameters.version
                    $0.endorsementPlugin = approval.parameters.endorsementPlugin
                    $0.validationPlugin = approval.parameters.validationPlugin
                    $0.validationParameter = approval.parameters.validationParameter
                    $0.collections = approval.parameters.collections
                    $0.initRequired = approval.parameters.initRequired
                    $0.source = Self.source(approval.packageID)
                }
            )
        }
        return result
    }

    private static func source(_ packageID: String) -> Lifecycle_ChaincodeSource {
        .with {
            if packageID.isEmpty { $0.unavailable = .init() } else { $0.localPackage.packageID = packageID }
        }
    }

    private func ownApproval(
        _ name: String,
        _ sequence: Int64
    ) throws -> (parameters: ChaincodeParameters, packageID: String)? {
        let approval = LifecycleState.approvalName(name, sequence: sequence)
        guard let record = try self.ownRecord(LifecycleState.definitions, approval) else { return nil }
        let parameters = try LifecycleState.parameters(record, approval)
        guard let source = try self.ownRecord(LifecycleState.sources, approval) else {
            throw ContractError("could not fetch chaincode-source metadata for \(approval)")
        }
        return (parameters, try LifecycleState.data(source, "PackageID", approval).string)
    }
}

// MARK: - State

extension LifecycleLedger {
    /// The sequence of the committed definition, 0 if there is none.
    func currentSequence(of name: String) throws -> Int64 {
        let key = LifecycleState.sequenceKey(of: name)
        guard let value = try self.publicValue(key) else { return 0 }
        guard case .int64(let sequence)? = try Lifecycle_StateData(serializedBytes: value).type else {
            throw MalformedLifecycleState(key: key, reason: "not a number")
        }
        return sequence
    }

    func committed(_ name: String) throws -> ChaincodeDefinition? {
        try LifecycleState.definition(of: name, read: self.publicValue)
    }

    private func publicValue(_ key: String) throws -> Data? {
        try self.state.value(namespace: ChaincodeName.lifecycle, key: key)
    }

    private func ownValue(_ key: String) throws -> Data? {
        try self.state.privateValue(
            namespace: ChaincodeName.lifecycle,
            collection: LifecycleState.implicitCollection(of: self.ownOrganization.description),
            key: key
        )
    }

    private func ownRecord(_ namespace: String, _ name: String) throws -> LifecycleRecord? {
        try LifecycleState.record(namespace, name, read: self.ownValue)
    }

    private func writePublic(_ record: LifecycleRecord, _ name: String) throws {
        let known = try LifecycleState.record(LifecycleState.definitions, name, read: self.publicValue)
        for change in try record.changes(from: known, LifecycleState.definitions, name) {
            // An empty value stands for a deletion, here as in Fabric.
            try self.state.setValue(
                change.value,
                namespace: ChaincodeName.lifecycle,
                key: change.key
            )
        }
    }

    private func writeOwn(_ record: LifecycleRecord, _ namespace: String, _ name: String) throws {
        let known = try self.ownRecord(namespace, name)
        let collection = LifecycleState.implicitCollection(of: self.ownOrganization.description)
        for change in try record.changes(from: known, namespace, name) {
            try self.state.setPrivateValue(
                change.value,
                namespace: ChaincodeName.lifecycle,
                collection: collection,
                key: change.key
            )
        }
    }
}

extension LifecycleRecord {
    /// What must be written so that this record replaces `known`: only what differs, metadata last; an empty
    /// value deletes.
    func changes(
        from known: LifecycleRecord?,
        _ namespace: String,
        _ name: String
    ) throws -> [(key: String, value: Data)] {
        var changes: [(key: String, value: Data)] = []
        for field in self.fields {
            let old = known?.fields.first { $0.name == field.name }?.value
            if old != field.value {
                changes.append((LifecycleState.fieldKey(namespace, name, field.name), field.value))
            }
        }
        let metadata = try self.metadata
        if try known?.metadata != metadata {
            changes.append((LifecycleState.metadataKey(namespace, name), metadata))
        }
        for field in known?.fields ?? [] where !self.fields.contains(where: { $0.name == field.name }) {
            changes.append((LifecycleState.fieldKey(namespace, name, field.name), Data()))
        }
        return changes
    }
}
