internal import Channel
internal import FabricProtos
public import Foundation
internal import SwiftProtobuf

/// Who must endorse a change, as a policy of a single key.
///
/// A key without one is governed by the policy of its collection, or of the contract.
public struct EndorsementPolicy: Equatable, Sendable, CustomStringConvertible {
    /// The policy as Fabric stores it, a serialized `common.SignaturePolicyEnvelope`.
    public let serialized: Data

    /// A policy as Fabric stores it.
    public init(serialized: Data) {
        self.serialized = serialized
    }

    /// A policy in Fabric's policy language, such as `AND('Org1MSP.peer', 'Org2MSP.peer')`.
    ///
    /// - Throws: ``ContractError`` that names what is wrong with the text.
    public init(_ text: String) throws {
        do {
            self.serialized = try PolicyExpression.parse(text).serializedBytes()
        } catch {
            throw ContractError("the endorsement policy \"\(text)\" can't be used: \(error)")
        }
    }

    /// A peer of each of these organizations must endorse.
    ///
    /// The bytes are those of Fabric's library for such policies.
    ///
    /// - Throws: ``ContractError`` if there is none.
    public static func all(of mspIDs: [String]) throws -> Self {
        try Self(count: Set(mspIDs).count, of: mspIDs)
    }

    /// A peer of at least one of these organizations must endorse.
    ///
    /// - Throws: ``ContractError`` if there is none.
    public static func any(of mspIDs: [String]) throws -> Self {
        try Self(count: 1, of: mspIDs)
    }

    /// Peers of `count` of these organizations must endorse.
    ///
    /// - Throws: ``ContractError`` if there are not as many, or none is needed.
    public init(count: Int, of mspIDs: [String]) throws {
        let names = Set(mspIDs).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        guard count > 0, count <= names.count else {
            throw ContractError("an endorsement policy needs 1 to \(names.count) of \(names), not \(count)")
        }
        let policy = try Common_SignaturePolicyEnvelope.with { policy in
            policy.identities = try names.map { try .role(.peer, of: $0) }
            policy.rule.nOutOf.n = Int32(clamping: count)
            policy.rule.nOutOf.rules = names.indices.map { index in
                .with { $0.signedBy = Int32(clamping: index) }
            }
        }
        self.serialized = try policy.serializedBytes()
    }

    /// The organizations that the policy names, in ascending order.
    public var organizations: [String] {
        guard let policy = try? Common_SignaturePolicyEnvelope(serializedBytes: self.serialized) else {
            return []
        }
        return Set(policy.identities.compactMap(\.mspIdentifier)).sorted()
    }

    /// The policy in the policy language.
    public var description: String {
        guard let policy = try? Common_SignaturePolicyEnvelope(serializedBytes: self.serialized) else {
            return "a malformed policy"
        }
        return PolicyExpression.text(policy)
    }
}
