/// Names of chaincodes (contracts): grammar, and those the node keeps for itself.
///
/// - Source: Fabric v3, package `core/chaincode/lifecycle`, rules for names and versions.
package enum ChaincodeName {
    /// The contract that manages all other contracts' definitions.
    package static let lifecycle = "_lifecycle"
    /// Queries of the ledger.
    package static let ledgerQueries = "qscc"
    /// Queries and commands about channels.
    package static let channelConfiguration = "cscc"
    /// The contract of the old lifecycle: not callable, but a namespace that appears in read sets.
    package static let legacyLifecycle = "lscc"

    /// Contracts that are part of every peer and answer with version ``systemVersion``.
    package static let system: Set<String> = [
        lifecycle, ledgerQueries, channelConfiguration, legacyLifecycle,
    ]
    /// The version that a system contract's responses carry.
    package static let systemVersion = "syscc"

    private static let reserved: Set<String> = ["cscc", "escc", "lscc", "qscc", "vscc"]

    /// Checks the name of a contract that is to be defined on a channel.
    ///
    /// - Throws: ``InvalidName`` with the grammar.
    package static func validate(_ name: String) throws(InvalidName) {
        guard name.wholeMatch(of: /[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*/) != nil else {
            throw InvalidName(
                kind: "chaincode",
                text: name,
                rule: "consist of letters and digits, with single '-' or '_' between them"
            )
        }
        guard !Self.reserved.contains(name) else {
            throw InvalidName(kind: "chaincode", text: name, rule: "not be the name of a system chaincode")
        }
    }

    /// Checks the version of a contract that is to be defined on a channel.
    ///
    /// - Throws: ``InvalidName`` with the grammar.
    package static func validate(version: String) throws(InvalidName) {
        guard version.wholeMatch(of: /[A-Za-z0-9_.+\-]+/) != nil else {
            throw InvalidName(
                kind: "chaincode version",
                text: version,
                rule: "consist of letters, digits, '_', '.', '+' and '-'"
            )
        }
    }
}
