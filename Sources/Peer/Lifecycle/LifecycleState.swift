internal import Cryptography
package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// A record of the lifecycle's state that can't be read.
package struct MalformedLifecycleState: Error, Equatable, Sendable, CustomStringConvertible {
    package var key: String
    package var reason: String

    package var description: String { "lifecycle state, key \(self.key): \(self.reason)" }
}

/// A structure as the lifecycle stores it: its type and its fields, each encoded as `StateData`.
///
/// Stored as one key per field and one key that lists the fields, under a namespace and a name:
///
/// | key | value |
/// |---|---|
/// | `<namespace>/metadata/<name>` | `StateMetadata`: the type, and the fields in the order of declaration |
/// | `<namespace>/fields/<name>/<field>` | `StateData` |
///
/// Approvals of organizations are compared by the hashes of these values, so every peer must encode them
/// bit for bit alike.
///
/// - Source: Fabric v3.1, `core/chaincode/lifecycle/serializer.go`.
package struct LifecycleRecord: Equatable, Sendable {
    package var type: String
    package var fields: [(name: String, value: Data)]

    package var metadata: Data {
        get throws {
            try Lifecycle_StateMetadata.with {
                $0.datatype = self.type
                $0.fields = self.fields.map(\.name)
            }.serializedData()
        }
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.type == right.type
            && left.fields.elementsEqual(right.fields) { $0.name == $1.name && $0.value == $1.value }
    }
}

/// Keys and encodings of what `_lifecycle` stores.
package enum LifecycleState {
    /// Where definitions are stored: in public state once committed, and in organizations' own as approvals.
    package static let definitions = "namespaces"
    /// Where an organization stores which package it runs.
    package static let sources = "chaincode-sources"

    package static func metadataKey(_ namespace: String, _ name: String) -> String {
        "\(namespace)/metadata/\(name)"
    }

    package static func fieldKey(_ namespace: String, _ name: String, _ field: String) -> String {
        "\(namespace)/fields/\(name)/\(field)"
    }

    /// The key that every transaction of `chaincode` reads, so that it conflicts with a new definition.
    package static func sequenceKey(of chaincode: String) -> String {
        self.fieldKey(self.definitions, chaincode, "Sequence")
    }

    /// The name of an approval: chaincode and sequence.
    package static func approvalName(_ chaincode: String, sequence: Int64) -> String {
        "\(chaincode)#\(sequence)"
    }

    /// The collection in which the organization's own data is.
    package static func implicitCollection(of mspID: String) -> String { "_implicit_org_\(mspID)" }

    /// The organization whose implicit collection `collection` is, `nil` if it isn't one.
    package static func organization(ofImplicitCollection collection: String) -> String? {
        let prefix = self.implicitCollection(of: "")
        return collection.hasPrefix(prefix) ? String(collection.dropFirst(prefix.count)) : nil
    }

    /// The committed definition of `chaincode`, `nil` if there is none; `read` gives the value of a key of
    /// namespace `_lifecycle`.
    package static func definition(
        of chaincode: String,
        read: (_ key: String) throws -> Data?
    ) throws -> ChaincodeDefinition? {
        guard let record = try self.record(self.definitions, chaincode, read: read) else { return nil }
        let place = self.metadataKey(self.definitions, chaincode)
        guard record.type == "ChaincodeDefinition" else {
            throw MalformedLifecycleState(key: place, reason: "not a chaincode type: \(record.type)")
        }
        guard case .int64(let sequence)? = try self.data(record, "Sequence", place).type else {
            throw MalformedLifecycleState(key: place, reason: "field Sequence is not a number")
        }
        return ChaincodeDefinition(sequence: sequence, parameters: try self.parameters(record, place))
    }

    /// The parameters that a record of type `ChaincodeDefinition` or `ChaincodeParameters` holds.
    package static func parameters(
        _ record: LifecycleRecord,
        _ place: String
    ) throws -> ChaincodeParameters {
        let endorsement = try Lifecycle_ChaincodeEndorsementInfo(
            serializedBytes: try self.bytes(record, "EndorsementInfo", place)
        )
        let validation = try Lifecycle_ChaincodeValidationInfo(
            serializedBytes: try self.bytes(record, "ValidationInfo", place)
        )
        return ChaincodeParameters(
            version: endorsement.version,
            initRequired: endorsement.initRequired,
            endorsementPlugin: endorsement.endorsementPlugin,
            validationPlugin: validation.validationPlugin,
            validationParameter: validation.validationParameter,
            collections: try .init(serializedBytes: try self.bytes(record, "Collections", place))
        )
    }

    /// Reads a record: its metadata first, then every field that the metadata names.
    package static func record(
        _ namespace: String,
        _ name: String,
        read: (_ key: String) throws -> Data?
    ) throws -> LifecycleRecord? {
        let key = self.metadataKey(namespace, name)
        guard let encoded = try read(key) else { return nil }
        let metadata = try Lifecycle_StateMetadata(serializedBytes: encoded)
        var fields: [(name: String, value: Data)] = []
        for field in metadata.fields {
            let value = try read(self.fieldKey(namespace, name, field)) ?? Data()
            fields.append((field, value))
        }
        return LifecycleRecord(type: metadata.datatype, fields: fields)
    }

    /// The field's `StateData`.
    package static func data(
        _ record: LifecycleRecord,
        _ field: String,
        _ place: String
    ) throws -> Lifecycle_StateData {
        guard let entry = record.fields.first(where: { $0.name == field }) else {
            throw MalformedLifecycleState(key: place, reason: "field \(field) is missing")
        }
        return try Lifecycle_StateData(serializedBytes: entry.value)
    }

    private static func bytes(
        _ record: LifecycleRecord,
        _ field: String,
        _ place: String
    ) throws -> Data {
        guard case .bytes(let bytes)? = try self.data(record, field, place).type else {
            throw MalformedLifecycleState(key: place, reason: "field \(field) does not hold bytes")
        }
        return bytes
    }
}

extension LifecycleRecord {
    /// The record of what an organization approves.
    package init(_ parameters: ChaincodeParameters) throws {
        self.init(type: "ChaincodeParameters", fields: try Self.fields(parameters))
    }

    /// The record of what the channel has committed.
    package init(_ definition: ChaincodeDefinition) throws {
        let sequence = try Lifecycle_StateData.with { $0.int64 = definition.sequence }.serializedData()
        self.init(
            type: "ChaincodeDefinition",
            fields: [("Sequence", sequence)] + (try Self.fields(definition.parameters))
        )
    }

    /// The record of the package that an organization runs; empty if it has none.
    package init(packageID: String) throws {
        let value = try Lifecycle_StateData.with { $0.string = packageID }.serializedData()
        self.init(type: "ChaincodeLocalPackage", fields: [("PackageID", value)])
    }

    private static func fields(_ parameters: ChaincodeParameters) throws -> [(name: String, value: Data)] {
        let endorsement = Lifecycle_ChaincodeEndorsementInfo.with {
            $0.version = parameters.version
            $0.initRequired = parameters.initRequired
            $0.endorsementPlugin = parameters.endorsementPlugin
        }
        let validation = Lifecycle_ChaincodeValidationInfo.with {
            $0.validationPlugin = parameters.validationPlugin
            $0.validationParameter = parameters.validationParameter
        }
        func encoded(_ bytes: Data) throws -> Data {
            try Lifecycle_StateData.with { $0.bytes = bytes }.serializedData()
        }
        return [
            ("EndorsementInfo", try encoded(try endorsement.serializedData())),
            ("ValidationInfo", try encoded(try validation.serializedData())),
            ("Collections", try encoded(try parameters.collections.serializedData())),
        ]
    }

    /// Compares this record with the hashes of what is stored.
    ///
    /// Every hash is read, also when an earlier one differs, so that all endorsers record the same reads.
    /// `hash` gives SHA-256 of the value under a key. The answer names the fields that differ, or just the
    /// type if the metadata differs.
    package func mismatches(
        _ namespace: String,
        _ name: String,
        hash: (_ key: String) throws -> Data?
    ) throws -> [String] {
        let metadataMatches =
            try hash(LifecycleState.metadataKey(namespace, name)) == Digest.sha256(try self.metadata)
        var differing: [String] = []
        for field in self.fields {
            let stored = try hash(LifecycleState.fieldKey(namespace, name, field.name))
            if stored != Digest.sha256(field.value) { differing.append(field.name) }
        }
        return metadataMatches ? differing : [self.type]
    }
}
