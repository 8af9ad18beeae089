package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// What organizations approve: everything about a contract but its code and its sequence number.
///
/// - Source: Fabric v3.1, `core/chaincode/lifecycle`, `ChaincodeParameters`.
package struct ChaincodeParameters: Equatable, Sendable {
    /// The default endorsement plugin: one signature over the response, by the peer.
    package static let standardEndorsementPlugin = "escc"
    /// The default validation plugin: endorsement policies.
    package static let standardValidationPlugin = "vscc"
    /// The policy of contracts that name none.
    package static let standardPolicyReference = "/Channel/Application/Endorsement"

    package var version: String
    package var initRequired: Bool
    package var endorsementPlugin: String
    package var validationPlugin: String
    /// A serialized `protos.ApplicationPolicy`.
    package var validationParameter: Data
    package var collections: Protos_CollectionConfigPackage

    package init(
        version: String,
        initRequired: Bool = false,
        endorsementPlugin: String = Self.standardEndorsementPlugin,
        validationPlugin: String = Self.standardValidationPlugin,
        validationParameter: Data,
        collections: Protos_CollectionConfigPackage = .init()
    ) {
        self.version = version
        self.initRequired = initRequired
        self.endorsementPlugin = endorsementPlugin
        self.validationPlugin = validationPlugin
        self.validationParameter = validationParameter
        self.collections = collections
    }

    /// The serialized `ApplicationPolicy` that stands for the channel's default endorsement policy.
    package static var standardValidationParameter: Data {
        let policy = Protos_ApplicationPolicy.with {
            $0.channelConfigPolicyReference = Self.standardPolicyReference
        }
        // A message of one string can't fail to encode.
        return (try? policy.serializedData()) ?? Data()
    }

    /// The static collection of that name in the definition.
    package func collection(_ name: String) -> Protos_StaticCollectionConfig? {
        for config in self.collections.config {
            if case .staticCollectionConfig(let collection)? = config.payload, collection.name == name {
                return collection
            }
        }
        return nil
    }
}

/// A contract as the channel has agreed on it: committed parameters and their sequence number.
///
/// - Source: Fabric v3.1, `core/chaincode/lifecycle`, `ChaincodeDefinition`.
package struct ChaincodeDefinition: Equatable, Sendable {
    /// 1 for the first definition; each later one is one higher.
    package var sequence: Int64
    package var parameters: ChaincodeParameters

    package init(sequence: Int64, parameters: ChaincodeParameters) {
        self.sequence = sequence
        self.parameters = parameters
    }

    package var version: String { self.parameters.version }
    package var initRequired: Bool { self.parameters.initRequired }
    package var endorsementPlugin: String { self.parameters.endorsementPlugin }
    package var validationPlugin: String { self.parameters.validationPlugin }
    /// A serialized `protos.ApplicationPolicy`.
    package var validationParameter: Data { self.parameters.validationParameter }
    package var collections: Protos_CollectionConfigPackage { self.parameters.collections }
}
