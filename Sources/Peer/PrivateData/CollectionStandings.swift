internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger

/// What a peer is to the private collections of a channel: under the definitions in force, whatever they were before.
///
/// - Source: Fabric v3.1, package `core/ledger/kvledger`, collection eligibility notifier; it looks when a definition
///   changes, and not again.
struct CollectionStandings {
    enum Standing: Equatable {
        case member
        case notMember
        /// There is no such collection.
        case undefined
    }

    private struct Name: Hashable {
        var namespace: String
        var collection: String
    }

    private let configuration: ChannelConfiguration
    private let state: CommittedState
    private let identity: Identity?
    private var rules = NamespaceRulesCache()
    private var definitions: [String: ChaincodeDefinition?] = [:]
    private var known: [Name: Standing] = [:]

    /// - Parameters:
    ///   - channel: the channel as it is now.
    ///   - identity: the peer's serialized identity.
    init(_ channel: PeerChannel, identity: Data) {
        self.configuration = channel.configuration
        self.state = CommittedState(channel.ledger.snapshot())
        self.identity = try? self.configuration.directory.identity(from: identity)
    }

    mutating func standing(of collection: String, in namespace: String) throws -> Standing {
        let name = Name(namespace: namespace, collection: collection)
        if let standing = self.known[name] { return standing }
        let standing = try self.judge(collection, namespace)
        self.known[name] = standing
        return standing
    }

    mutating func definition(of namespace: String) throws -> ChaincodeDefinition? {
        if let definition = self.definitions[namespace] { return definition }
        let definition = try self.state.definition(of: namespace)
        self.definitions[namespace] = .some(definition)
        return definition
    }

    private mutating func judge(_ collection: String, _ namespace: String) throws -> Standing {
        guard try CollectionDefinitions.config(collection, of: self.definition(of: namespace)) != nil else {
            return .undefined
        }
        let rules = try self.rules.rules(of: namespace, configuration: self.configuration, state: self.state)
        guard let identity, let rules else { return .notMember }
        return rules.isMember(identity, ofCollection: collection) ? .member : .notMember
    }
}

extension Ledger {
    /// Notes as missing what this peer may have since it became a member of a collection.
    ///
    /// - Returns: how many sets of private writes that are.
    @discardableResult
    func claimPrivateData(_ standings: inout CollectionStandings) throws -> Int {
        try self.claimPrivateData { try standings.standing(of: $1, in: $0) == .member }
    }
}
