internal import Channel
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import SwiftProtobuf

/// Which policies a transaction has to satisfy, as far as its first endorsement tells.
struct EndorsementPlan {
    let configuration: ChannelConfiguration
    /// The definitions of contracts on the channel.
    let definition: (String) throws -> ChaincodeDefinition?

    /// The policies that apply to `interest`.
    ///
    /// - Throws: ``GatewayFailure`` (FAILED_PRECONDITION) if a contract or collection is not defined.
    func policies(for interest: Protos_ChaincodeInterest) throws -> [Protos_ApplicationPolicy] {
        var policies: [Protos_ApplicationPolicy] = []
        for call in interest.chaincodes {
            guard call.name != ChaincodeName.lifecycle else {
                policies.append(.reference("/Channel/Application/LifecycleEndorsement"))
                continue
            }
            let definition = try self.existing(call.name)
            if !call.disregardNamespacePolicy {
                policies.append(try Protos_ApplicationPolicy(policyBytes: definition.validationParameter))
            }
            for collection in call.collectionNames {
                if let policy = try self.policy(ofCollection: collection, in: definition, call.name) {
                    policies.append(policy)
                }
            }
            policies += call.keyPolicies.map { .signature($0) }
        }
        return policies
    }

    /// Checks that a contract is defined.
    ///
    /// - Throws: ``GatewayFailure`` (FAILED_PRECONDITION) if it isn't.
    func checkDefined(_ chaincode: String) throws {
        if chaincode != ChaincodeName.lifecycle { _ = try self.existing(chaincode) }
    }

    private func existing(_ chaincode: String) throws -> ChaincodeDefinition {
        if let definition = try self.definition(chaincode) { return definition }
        throw GatewayFailure(
            .failedPrecondition,
            "chaincode \(chaincode) is not defined on channel \(self.configuration.channelID)"
        )
    }

    private func policy(
        ofCollection name: String,
        in definition: ChaincodeDefinition,
        _ chaincode: String
    ) throws -> Protos_ApplicationPolicy? {
        let implicit = "_implicit_org_"
        if name.hasPrefix(implicit) {
            let organizations = self.configuration.application?.organizations ?? []
            guard
                let owner = organizations.first(where: {
                    $0.mspID.description == name.dropFirst(implicit.count)
                })
            else { return nil }
            return .reference("/Channel/Application/\(owner.name)/Endorsement")
        }
        guard let collection = definition.parameters.collection(name) else {
            throw GatewayFailure(
                .failedPrecondition,
                "collection \(name) is not defined for chaincode \(chaincode) "
                    + "on channel \(self.configuration.channelID)"
            )
        }
        return collection.hasEndorsementPolicy ? collection.endorsementPolicy : nil
    }
}

extension Protos_ApplicationPolicy {
    static func reference(_ path: String) -> Protos_ApplicationPolicy {
        var policy = Protos_ApplicationPolicy()
        policy.channelConfigPolicyReference = path
        return policy
    }

    static func signature(_ envelope: Common_SignaturePolicyEnvelope) -> Protos_ApplicationPolicy {
        var policy = Protos_ApplicationPolicy()
        policy.signaturePolicy = envelope
        return policy
    }
}
