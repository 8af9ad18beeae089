package import FabricProtos
package import FoundationEssentials
package import SwiftProtobuf

/// How policies are decoded.
package enum PolicyDecoding {
    /// How deep messages may be nested in a policy: five hundred rules in one another.
    ///
    /// Fabric's decoder stops at 10,000; ours uses the stack, so it stops where every thread has room. Other
    /// messages keep to 100.
    package static let nestingLimit = 1_000

    package static var options: BinaryDecodingOptions {
        var options = BinaryDecodingOptions()
        options.messageDepthLimit = Self.nestingLimit
        return options
    }
}

extension Common_SignaturePolicyEnvelope {
    /// Decodes a policy of signatures, nested as deeply as ``PolicyDecoding/nestingLimit`` allows.
    package init(policyBytes bytes: Data) throws {
        try self.init(serializedBytes: bytes, options: PolicyDecoding.options)
    }
}

extension Protos_ApplicationPolicy {
    /// Decodes a contract's policy, nested as deeply as ``PolicyDecoding/nestingLimit`` allows.
    package init(policyBytes bytes: Data) throws {
        try self.init(serializedBytes: bytes, options: PolicyDecoding.options)
    }
}
