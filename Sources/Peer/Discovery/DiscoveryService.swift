internal import Channel
package import FabricProtos
internal import Foundation
package import GRPCCore
package import Logging
internal import SwiftProtobuf

/// The gRPC service `discovery.Discovery`: tells members of channels which peers there are, who must endorse what, and
/// whom to trust.
///
/// - Source: Fabric v3.1, package `discovery`, and the documentation's "Service Discovery".
package struct DiscoveryService: Discovery_Discovery.SimpleServiceProtocol {
    /// How many requests may be answered at once.
    package static let defaultConcurrency = 500

    /// Rights that the channel's access control list, or the peer, gives.
    enum Resource {
        static let channel = "discovery/Discover"
        static let local = "discovery/LocalPeers"
        static let localForMembers = "discovery/LocalPeersForMembers"
    }

    /// What discovery needs of the peer that it is part of.
    package struct Surroundings: Sendable {
        package var channels: ChannelRegistry
        package var access: AccessGate
        package var members: any ChannelMembers
        /// The definition of a contract on a channel, as the last committed block left it.
        package var definition: @Sendable (String, PeerChannel) throws -> ChaincodeDefinition?
        /// Threads for what may touch the disk, or takes its time.
        package var readers: BlockingExecutor
        /// Whether all members of the peer's organization may ask for the peers that are alive, not only administrators
        /// (`peer.discovery.orgMembersAllowedAccess`).
        package var membersMayAskLocally: Bool
        package var logger: Logger

        package init(
            channels: ChannelRegistry,
            access: AccessGate,
            members: any ChannelMembers,
            definition: @escaping @Sendable (String, PeerChannel) throws -> ChaincodeDefinition?,
            readers: BlockingExecutor,
            membersMayAskLocally: Bool = false,
            logger: Logger
        ) {
            self.channels = channels
            self.access = access
            self.members = members
            self.definition = definition
            self.readers = readers
            self.membersMayAskLocally = membersMayAskLocally
            self.logger = logger
        }
    }

    private let surroundings: Surroundings
    private let limits: DiscoveryLimits
    private let requirements: EndorsementRequirements
    private let admission: CallAdmission

    /// - Parameters:
    ///   - surroundings: what it needs of the peer.
    ///   - limits: how much a request may ask for.
    ///   - requirements: where computed layouts are kept.
    package init(
        _ surroundings: Surroundings,
        limits: DiscoveryLimits = DiscoveryLimits(),
        requirements: EndorsementRequirements = EndorsementRequirements()
    ) {
        self.surroundings = surroundings
        self.limits = limits
        self.requirements = requirements
        self.admission = CallAdmission(service: "/discovery.Discovery", limit: Self.defaultConcurrency)
    }

    package func discover(
        request: Discovery_SignedRequest,
        context: ServerContext
    ) async throws -> Discovery_Response {
        try await self.admission.admit {
            try await withTaskExecutorPreference(self.surroundings.readers) {
                try await self.respond(to: request)
            }
        }
    }

    /// Answers each query of a request, in their order.
    ///
    /// What the request says of its sender's TLS certificate is not looked at, as in Fabric v3.1: its `discover` gives the hash
    /// of the PEM file.
    ///
    /// - Throws: an error of code UNKNOWN if the request as a whole is refused.
    package func respond(
        to signed: Discovery_SignedRequest
    ) async throws(RPCError) -> Discovery_Response {
        let request = try self.unpack(signed)
        let signature = SignedData(
            data: signed.payload,
            identity: request.authentication.clientIdentity,
            signature: signed.signature
        )
        // Who may ask about a channel is decided once for all queries: they bear the same signature.
        var verdicts: [String: PeerChannel?] = [:]
        var localVerdict: Bool?
        var response = Discovery_Response()
        for query in request.queries {
            var result = Discovery_QueryResult()
            if query.channel.isEmpty {
                let isAllowed = localVerdict ?? self.mayAskLocally(signature)
                localVerdict = isAllowed
                result = isAllowed ? self.local(query) : .failure("access denied")
            } else {
                let channel = verdicts[query.channel] ?? self.channel(query.channel, for: signature)
                verdicts[query.channel] = .some(channel)
                result = channel.map { self.answer(query, about: $0) } ?? .failure("access denied")
            }
            response.results.append(result)
        }
        return response
    }

    // MARK: The request as a whole

    private func unpack(_ signed: Discovery_SignedRequest) throws(RPCError) -> Discovery_Request {
        guard signed.payload.count <= self.limits.requestBytes else {
            throw self.refusal(
                "the request has \(signed.payload.count) bytes; at most \(self.limits.requestBytes) are allowed"
            )
        }
        let request: Discovery_Request
        do {
            request = try Discovery_Request(serializedBytes: signed.payload, options: PolicyDecoding.options)
        } catch {
            throw self.refusal("failed parsing request: \(error)")
        }
        guard request.hasAuthentication else {
            throw self.refusal("access denied, no authentication info in request")
        }
        guard !request.authentication.clientIdentity.isEmpty else {
            throw self.refusal("access denied, client identity wasn't supplied")
        }
        guard request.queries.count <= self.limits.queries else {
            throw self.refusal(
                "the request has \(request.queries.count) queries; at most \(self.limits.queries) are allowed"
            )
        }
        let interests = request.queries.reduce(0) { $0 + $1.ccQuery.interests.count }
        guard interests <= self.limits.interests else {
            throw self.refusal(
                "the request has \(interests) interests; at most \(self.limits.interests) are allowed"
            )
        }
        return request
    }

    private func refusal(_ message: String) -> RPCError {
        self.surroundings.logger.warning("refused a request", metadata: ["reason": "\(message)"])
        return RPCError(code: .unknown, message: message)
    }

    // MARK: Who may ask

    /// The channel called `name`, if the signer may ask about it.
    ///
    /// Whether there is such a channel is told to nobody else.
    private func channel(_ name: String, for signature: SignedData) -> PeerChannel? {
        guard let id = try? ChannelID(name), let channel = self.surroundings.channels[id] else {
            self.surroundings.logger.warning(
                "refused a query",
                metadata: ["channel": "\(name.prefix(64))", "reason": "this peer has not joined it"]
            )
            return nil
        }
        return self.isAllowed(Resource.channel, channel: id, signature) ? channel : nil
    }

    private func mayAskLocally(_ signature: SignedData) -> Bool {
        let resource = self.surroundings.membersMayAskLocally ? Resource.localForMembers : Resource.local
        return self.isAllowed(resource, channel: nil, signature)
    }

    private func isAllowed(_ resource: String, channel: ChannelID?, _ signature: SignedData) -> Bool {
        do throws(AccessDenied) {
            try self.surroundings.access.authorize(
                AccessRequest(resource: resource, channel: channel, requester: .signed(signature))
            )
            return true
        } catch {
            return false
        }
    }

    // MARK: Queries

    private static let unknownQuery = "unknown or missing request type"

    private func local(_ query: Discovery_Query) -> Discovery_QueryResult {
        guard case .localPeers = query.query else { return .failure(Self.unknownQuery) }
        let members = self.surroundings.members.localMembers().filter { !$0.endpoint.isEmpty }
        return .with { result in
            for member in members.sorted(by: { ($0.mspID, $0.endpoint) < ($1.mspID, $1.endpoint) }) {
                result.members.peersByOrg[member.mspID.description, default: Discovery_Peers()].peers.append(
                    Discovery_Peer(member)
                )
            }
        }
    }

    private func answer(_ query: Discovery_Query, about channel: PeerChannel) -> Discovery_QueryResult {
        let queries = DiscoveryQueries(
            channel: channel,
            members: self.surroundings.members,
            definition: self.surroundings.definition,
            requirements: self.requirements,
            limits: self.limits
        )
        do {
            var result = Discovery_QueryResult()
            switch query.query {
            case .configQuery: result.configResult = try queries.configuration()
            case .peerQuery(let query): result.members = try queries.peers(query.filter)
            case .ccQuery(let query): result.ccQueryRes = try queries.endorsers(query)
            case .localPeers, nil: return .failure(Self.unknownQuery)
            }
            return result
        } catch {
            self.surroundings.logger.notice(
                "a query has no answer",
                metadata: ["channel": "\(channel.id)", "reason": "\(error)"]
            )
            return .failure("\(error)")
        }
    }
}

extension Discovery_QueryResult {
    fileprivate static func failure(_ content: String) -> Self {
        .with { $0.error.content = content }
    }
}
