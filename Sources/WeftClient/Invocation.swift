public import Foundation

/// A call of a contract's function.
public struct Invocation: Sendable {
    /// The contract's name on the channel.
    public var contract: String
    /// The function's name, then its arguments.
    public var arguments: [Data]
    /// Data for the endorsing peers alone, which never enters the ledger.
    public var transient: [String: Data]
    /// The organizations, by MSP identifier, that must endorse (or answer); empty to let the gateway choose.
    public var organizations: [String]
    /// Whether this is the first call of a contract whose definition asks for one.
    public var isInit: Bool

    /// A call whose arguments are texts.
    public init(_ contract: String, _ function: String, _ arguments: [String] = []) {
        self.init(contract: contract, arguments: ([function] + arguments).map { Data($0.utf8) })
    }

    /// A call whose arguments are bytes, the function's name first.
    public init(
        contract: String,
        arguments: [Data],
        transient: [String: Data] = [:],
        organizations: [String] = [],
        isInit: Bool = false
    ) {
        self.contract = contract
        self.arguments = arguments
        self.transient = transient
        self.organizations = organizations
        self.isInit = isInit
    }
}
