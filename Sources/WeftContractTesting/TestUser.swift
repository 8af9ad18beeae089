internal import Channel

/// Somebody who calls contracts in a test; made by ``ContractHarness/user(_:of:role:attributes:)``.
public struct TestUser: Sendable {
    /// What a member of an organization may be.
    public enum Role: String, Sendable {
        /// Proposes transactions.
        case client
        /// Administers the organization.
        case admin
    }

    /// The common name.
    public let name: String
    /// The organization's MSP identifier.
    public let mspID: String

    let identity: SigningIdentity
}
