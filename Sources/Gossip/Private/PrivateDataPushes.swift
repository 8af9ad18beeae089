internal import Channel
internal import FabricProtos
internal import Foundation

/// Private data that this peer has endorsed, on its way to as many others as its collections want.
///
/// Of each eligible organization one peer first, chosen by chance, then any eligible ones. A push has succeeded once
/// `required_peer_count` peers have acknowledged it, whichever of those it was sent to; Fabric's peers wait for the first
/// ones that they chose, so that one slow peer fails an endorsement although others have the data.
///
/// - Source: Fabric v3.1, package `gossip/privdata`, distributor.
struct PrivateDataPushes {
    /// One endorsed transaction.
    private struct Push {
        var deadline: Duration
        var collections: [Collection]
    }

    /// What one collection of the transaction still waits for.
    private struct Collection {
        var name: String
        var required: Int
        /// Peers that have not answered, by the nonce of the message to them.
        var waiting: [UInt64: PKIID]
        var acknowledged = 0
        var refusals: [String] = []
    }

    private var pushes: [UInt64: Push] = [:]
    /// The push that each message belongs to.
    private var requests: [UInt64: UInt64] = [:]

    /// Endorsed transactions whose private data is on its way at once; Fabric takes 2,500 proposals at once.
    static let maximumPushes = 5_000

    mutating func push(
        _ payloads: [Gossip_PrivatePayload],
        _ request: UInt64,
        _ channel: ChannelID,
        _ surroundings: PrivateDataSurroundings?,
        _ context: inout GossipContext
    ) {
        guard let surroundings, self.pushes.count < Self.maximumPushes, self.pushes[request] == nil else {
            let reason =
                surroundings == nil
                ? "gossip does not know the channel yet; try again"
                : "\(self.pushes.count) endorsed transactions wait for their private data to be sent; try again later"
            return Self.end(request, "private data was not sent to other peers: \(reason)", channel, &context)
        }
        var plans: [(payload: Gossip_PrivatePayload, collection: Collection, targets: [PKIID])] = []
        for payload in payloads {
            let name = "collection \(payload.collectionName) of \(payload.namespace)"
            guard let config = payload.config else {
                return Self.end(request, "\(name) comes without its definition", channel, &context)
            }
            let required = Int(max(0, config.requiredPeerCount))
            let maximum = max(required, Int(config.maximumPeerCount))
            guard maximum > 0 else { continue }
            let members = CollectionMembers(
                config.memberOrgsPolicy.signaturePolicy,
                surroundings.configuration
            )
            let eligible = surroundings.peers(of: members, context)
            guard eligible.count >= required else {
                let known = Self.counts(eligible, of: members, context)
                return Self.end(
                    request,
                    "\(name) wants \(required) other peers to hold its private data before it is endorsed, and "
                        + "\(eligible.count) can be reached: \(known); start more peers of these organizations, "
                        + "or define the collection with a lower required peer count",
                    channel,
                    &context
                )
            }
            let collection = Collection(name: name, required: required, waiting: [:])
            plans.append((payload, collection, Self.choose(maximum, of: eligible, &context)))
        }
        var push = Push(deadline: context.now + context.options.pushAckTimeout, collections: [])
        for plan in plans {
            var collection = plan.collection
            for target in plan.targets {
                let nonce = context.random.next()
                var message = surroundings.message(nonce: nonce)
                message.privateData.payload = plan.payload
                context.send(message, to: target)
                collection.waiting[nonce] = target
                self.requests[nonce] = request
            }
            push.collections.append(collection)
        }
        self.pushes[request] = push
        self.settle(request, channel, &context)
    }

    mutating func acknowledged(
        _ acknowledgement: Gossip_Acknowledgement,
        _ message: ReceivedMessage,
        _ channel: ChannelID,
        _ context: inout GossipContext
    ) {
        let nonce = message.message.nonce
        guard let request = self.requests[nonce], var push = self.pushes[request],
            let index = push.collections.firstIndex(where: { $0.waiting[nonce] == message.sender })
        else { return }
        push.collections[index].waiting[nonce] = nil
        self.requests[nonce] = nil
        if acknowledgement.error.isEmpty {
            push.collections[index].acknowledged += 1
        } else {
            push.collections[index].refusals.append(
                "\(context.name(of: message.sender)) answered: \(acknowledgement.error.prefix(200))"
            )
        }
        self.pushes[request] = push
        self.settle(request, channel, &context)
    }

    mutating func tick(_ channel: ChannelID, _ context: inout GossipContext) {
        for (request, push) in self.pushes.sorted(by: { $0.key < $1.key })
        where push.deadline <= context.now {
            for index in push.collections.indices {
                for peer in push.collections[index].waiting.values.sorted() {
                    self.pushes[request]?.collections[index].refusals.append(
                        "\(context.name(of: peer)) did not acknowledge within \(context.options.pushAckTimeout)"
                    )
                }
            }
            self.settle(request, channel, isLate: true, &context)
        }
    }

    /// Ends a push that has reached enough peers, or can't any more.
    private mutating func settle(
        _ request: UInt64,
        _ channel: ChannelID,
        isLate: Bool = false,
        _ context: inout GossipContext
    ) {
        guard let push = self.pushes[request] else { return }
        var failure: String?
        for collection in push.collections where collection.acknowledged < collection.required {
            let possible = isLate ? 0 : collection.waiting.count
            guard collection.acknowledged + possible < collection.required else { return }
            failure =
                "\(collection.name) wants \(collection.required) other peers to hold its private data before it is "
                + "endorsed, and \(collection.acknowledged) acknowledged it: "
                + collection.refusals.joined(separator: "; ")
        }
        self.pushes[request] = nil
        // Messages to further peers go their way; nobody waits for the acknowledgements.
        for nonce in push.collections.flatMap(\.waiting.keys) { self.requests[nonce] = nil }
        context.effects.append(.privateData(channel, .pushed(request: request, failure: failure)))
    }

    private static func end(
        _ request: UInt64,
        _ failure: String,
        _ channel: ChannelID,
        _ context: inout GossipContext
    ) {
        context.effects.append(.privateData(channel, .pushed(request: request, failure: failure)))
    }

    /// One of each organization first, then any.
    private static func choose(
        _ count: Int,
        of eligible: [PKIID],
        _ context: inout GossipContext
    ) -> [PKIID] {
        var rest = context.shuffled(eligible)
        var seen = Set<MSPID?>()
        let first = rest.filter { seen.insert(context.identities.mspID(of: $0)).inserted }
        rest.removeAll { first.contains($0) }
        return Array((first + rest).prefix(count))
    }

    /// How many peers of each organization can be reached, in words.
    private static func counts(
        _ peers: [PKIID],
        of collection: CollectionMembers,
        _ context: GossipContext
    ) -> String {
        let known = Dictionary(
            grouping: peers,
            by: { context.identities.mspID(of: $0)?.description ?? "" }
        )
        let organizations = Set(collection.organizations).union(known.keys).sorted()
        guard !organizations.isEmpty else { return "its policy names no organization" }
        return organizations.map { "\($0) \(known[$0]?.count ?? 0)" }.joined(separator: ", ")
    }
}

extension Gossip_PrivatePayload {
    /// The definition of its collection.
    var config: Protos_StaticCollectionConfig? {
        self.collectionConfigs.config.map(\.staticCollectionConfig)
            .first { $0.name.utf8.elementsEqual(self.collectionName.utf8) }
    }
}
