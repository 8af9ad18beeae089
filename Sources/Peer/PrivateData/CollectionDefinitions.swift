internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// The definitions of private collections, among them those that organizations have without any.
enum CollectionDefinitions {
    /// The definition of a contract's collection; `nil` if it has none of that name.
    static func config(
        _ collection: String,
        of definition: ChaincodeDefinition?
    ) -> Protos_StaticCollectionConfig? {
        guard let organization = LifecycleState.organization(ofImplicitCollection: collection) else {
            return definition?.parameters.collection(collection)
        }
        return self.implicit(collection, organization)
    }

    /// The collection that every contract has for an organization: its members alone have the data, for ever.
    private static func implicit(
        _ name: String,
        _ organization: String
    ) -> Protos_StaticCollectionConfig? {
        guard let organization = try? MSPID(organization) else { return nil }
        return .with {
            $0.name = name
            $0.memberOrgsPolicy.signaturePolicy = .members(of: [organization], atLeast: 1)
        }
    }
}
