internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Answers the queries of discovery about one channel, for somebody who may ask.
struct DiscoveryQueries: Sendable {
    let channel: PeerChannel
    let members: any ChannelMembers
    let definition: @Sendable (String, PeerChannel) throws -> ChaincodeDefinition?
    let requirements: EndorsementRequirements
    let limits: DiscoveryLimits

    /// Why a query has no answer, in words for its sender.
    struct Failure: Error, CustomStringConvertible {
        var description: String

        init(_ description: String) { self.description = description }
    }

    // MARK: Peers

    /// The peers of the channel by organization; of organizations without peers the list is empty.
    ///
    /// - Parameter filter: leaves out peers that haven't its chaincodes or are no members of its collections.
    /// - Returns: the peers with what they told of themselves.
    /// - Throws: ``Failure`` or ``InvalidInterest`` for a filter that names what isn't there; the ledger's error.
    func peers(_ filter: Protos_ChaincodeInterest) throws -> Discovery_PeerMembershipResult {
        let configuration = self.channel.configuration
        var members = self.members.members(of: self.channel.id).filter { !$0.endpoint.isEmpty }
        if !filter.chaincodes.isEmpty {
            let criteria = try self.criteria(filter, configuration)
            members = members.filter {
                EndorserCandidate($0).exclusion(by: criteria, configuration.directory) == nil
            }
        }
        var result = Discovery_PeerMembershipResult()
        for organization in configuration.application?.organizations ?? [] {
            result.peersByOrg[organization.mspID.description] = Discovery_Peers()
        }
        for member in members.inOrder {
            result.peersByOrg[member.mspID.description, default: Discovery_Peers()].peers.append(
                Discovery_Peer(member)
            )
        }
        return result
    }

    // MARK: Endorsers

    func endorsers(_ query: Discovery_ChaincodeQuery) throws -> Discovery_ChaincodeQueryResult {
        guard !query.interests.isEmpty else {
            throw Failure("chaincode query must have at least one chaincode interest")
        }
        for interest in query.interests {
            guard !interest.chaincodes.isEmpty else {
                throw Failure("chaincode interest must contain at least one chaincode")
            }
            guard interest.chaincodes.allSatisfy({ !$0.name.isEmpty }) else {
                throw Failure("chaincode name in interest cannot be empty")
            }
        }
        return try .with { result in
            result.content = try query.interests.map { interest in
                do {
                    return try self.descriptor(for: interest)
                } catch {
                    throw Failure("failed constructing descriptor for \(Self.text(of: interest)): \(error)")
                }
            }
        }
    }

    private func descriptor(for interest: Protos_ChaincodeInterest) throws -> Discovery_EndorsementDescriptor
    {
        let configuration = self.channel.configuration
        let candidates = self.members.members(of: self.channel.id).filter { !$0.endpoint.isEmpty }
            .inOrder.map(EndorserCandidate.init)
        let selection = try EndorserSelection(
            self.criteria(interest, configuration),
            among: candidates,
            under: configuration,
            requirements: self.requirements
        )
        let layouts = selection.layouts(of: selection.eligible).filter {
            $0.endorsers(among: selection.eligible, satisfying: selection.satisfies) != nil
        }
        guard !layouts.isEmpty else {
            throw Failure("no peer combination can satisfy the endorsement policy: \(selection.shortage())")
        }
        let principals = Set(layouts.flatMap { $0.quantities.entries.map(\.principal) }).sorted()
        // Opaque to clients, as the principals behind them are nobody's business.
        let groups = Dictionary(
            uniqueKeysWithValues: principals.enumerated().map { ($0.element, "G\($0.offset)") }
        )
        return .with { descriptor in
            descriptor.chaincode = interest.chaincodes.first?.name ?? ""
            for (principal, group) in groups {
                descriptor.endorsersByGroups[group] = .with { peers in
                    peers.peers = selection.eligible
                        .filter { selection.satisfies($0, principal) }
                        .compactMap { candidates[$0].member.map(Discovery_Peer.init) }
                }
            }
            descriptor.layouts = layouts.map { layout in
                .with {
                    for entry in layout.quantities.entries {
                        guard let group = groups[entry.principal] else { continue }
                        $0.quantitiesByGroup[group] = UInt32(clamping: entry.count)
                    }
                }
            }
        }
    }

    private func criteria(
        _ interest: Protos_ChaincodeInterest,
        _ configuration: ChannelConfiguration
    ) throws -> EndorsementCriteria {
        try self.check(interest)
        return try EndorsementCriteria(of: interest, under: configuration) { name in
            try self.definition(name, self.channel)
        }
    }

    private func check(_ interest: Protos_ChaincodeInterest) throws {
        let limits = self.limits
        guard interest.chaincodes.count <= limits.chaincodes else {
            throw Failure(
                "it names \(interest.chaincodes.count) chaincodes; at most \(limits.chaincodes) are allowed"
            )
        }
        for call in interest.chaincodes where call.collectionNames.count > limits.collections {
            throw Failure(
                "it names \(call.collectionNames.count) collections of chaincode \(call.name.prefix(64)); "
                    + "at most \(limits.collections) are allowed"
            )
        }
        let keys = interest.chaincodes.reduce(0) { $0 + $1.keyPolicies.count }
        guard keys <= limits.keyPolicies else {
            throw Failure("it has \(keys) policies of keys; at most \(limits.keyPolicies) are allowed")
        }
    }

    /// An interest in few words, for an error.
    private static func text(of interest: Protos_ChaincodeInterest) -> String {
        let calls = interest.chaincodes.prefix(5).map { call in
            let collections = call.collectionNames.prefix(5).map { " collection_names:\"\($0.prefix(64))\"" }
            return "chaincodes:{name:\"\(call.name.prefix(64))\"\(collections.joined())}"
        }
        return calls.joined(separator: " ")
    }

    // MARK: Configuration

    /// The MSPs of all organizations, and where orderers are reached.
    ///
    /// The endpoints are each organization's own if any organization has some; else the channel's, for each one.
    ///
    /// - Source: Fabric v3.1, package `discovery/support/config`.
    func configuration() throws -> Discovery_ConfigResult {
        let configuration = self.channel.configuration
        let groups = configuration.config.channelGroup.groups
        var result = Discovery_ConfigResult()
        for section in ["Orderer", "Application"] {
            for group in (groups[section]?.groups ?? [:]).values {
                let config = try Msp_MSPConfig(serializedBytes: group.values["MSP"]?.value ?? Data())
                guard config.type == 0 else { continue }  // Of X.509 certificates; others have no such form.
                let msp = try Msp_FabricMSPConfig(serializedBytes: config.config)
                result.msps[msp.name] = msp
            }
        }
        let orderers = configuration.orderer?.organizations ?? []
        let haveOwn = orderers.contains { !$0.endpoints.isEmpty }
        for organization in orderers {
            let addresses = haveOwn ? organization.endpoints : configuration.ordererAddresses
            result.orderers[organization.mspID.description] = .with {
                $0.endpoint = addresses.compactMap(Discovery_Endpoint.init(address:))
            }
        }
        return result
    }
}

extension Array<ChannelMember> {
    /// In an order that doesn't change from answer to answer.
    fileprivate var inOrder: [ChannelMember] {
        self.sorted { ($0.mspID, $0.endpoint) < ($1.mspID, $1.endpoint) }
    }
}

extension Discovery_Peer {
    init(_ member: ChannelMember) {
        self.init()
        self.stateInfo = member.stateInfo
        self.membershipInfo = member.alive
        self.identity = member.identity
    }

    init(_ member: LocalMember) {
        self.init()
        self.membershipInfo = member.alive
        self.identity = member.identity
    }
}

extension Discovery_Endpoint {
    /// `nil` for what isn't `host:port`.
    init?(address: String) {
        guard let colon = address.lastIndex(of: ":"),
            let port = UInt32(address[address.index(after: colon)...])
        else { return nil }
        self.init()
        let host = address[..<colon]
        self.host =
            host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
        self.port = port
    }
}
