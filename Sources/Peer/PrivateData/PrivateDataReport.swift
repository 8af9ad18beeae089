internal import Channel
internal import FabricProtos
package import Foundation
internal import Gossip
internal import Ledger
internal import Operations
internal import SwiftProtobuf

/// What private data a peer lacks, since when, and what it has tried: what `weft private status` shows.
///
/// It names blocks, transactions, contracts, collections and peers; private data itself, or hashes of it, it doesn't hold.
package struct PrivateDataReport: Codable, Sendable, Equatable {
    package struct Channel: Codable, Sendable, Equatable {
        package var channel: String
        /// The number of blocks.
        package var height: UInt64
        /// Why the peer asks nobody; `nil` if it does.
        package var idle: String?
        /// How often it asks, in seconds.
        package var interval: Double
        /// How many sets of private writes are missing; at most ``PrivateDataReport/countLimit``.
        package var total: Int
        /// The newest of them.
        package var missing: [Missing]
    }

    package struct Missing: Codable, Sendable, Equatable {
        package var block: UInt64
        package var transaction: Int
        package var transactionID: String
        /// When the transaction was proposed; its block was committed without the data soon after.
        package var time: Date?
        package var contract: String
        package var collection: String
        /// When others were last asked for it; `nil` if they were not since the peer started.
        package var lastTried: Date?
        /// When they will be asked again, at the earliest; `nil` if they will not, or it is not known yet.
        package var nextTry: Date?
        package var attempts: [Attempt]
        /// Why there was nobody to ask, or nobody further, or why nobody will be asked.
        package var reason: String
    }

    package struct Attempt: Codable, Sendable, Equatable {
        package var peer: String
        package var organization: String?
        package var reason: String
    }

    package var channels: [Channel]

    /// How many missing sets are described for each channel, and counted.
    package static let describedLimit = 100
    package static let countLimit = 100_000

    package init(channels: [Channel]) { self.channels = channels }
}

extension PrivateDataReport.Channel {
    /// What is missing on a channel; reads the disk.
    init(_ channel: PeerChannel, _ link: PrivateDataLink, _ identity: RenewableIdentity) throws {
        var standings = CollectionStandings(channel, identity: identity.current.serialized)
        try channel.ledger.claimPrivateData(&standings)
        var missing: [PrivateDataReport.Missing] = []
        var total = 0
        try channel.ledger.forEachMissingPrivateData { block, place in
            total += 1
            if missing.count < PrivateDataReport.describedLimit {
                let standing = try standings.standing(of: place.collection, in: place.namespace)
                missing.append(try .init(place, block: block, channel, standing, identity.mspID))
            }
            return total < PrivateDataReport.countLimit
        }
        let options = link.options
        self.init(
            channel: channel.id.description,
            height: channel.ledger.height,
            idle: link.exchange == nil
                ? "the peer has no gossip"
                : options.reconciliationEnabled
                    ? nil : "peer.gossip.pvtData.reconciliationEnabled is false in its configuration",
            interval: options.reconcileSleepInterval / .seconds(1),
            total: total,
            missing: missing
        )
    }
}

extension PrivateDataReport.Missing {
    fileprivate init(
        _ place: MissingPrivateData,
        block: BlockNumber,
        _ channel: PeerChannel,
        _ standing: CollectionStandings.Standing,
        _ organization: MSPID
    ) throws {
        let envelope = try channel.ledger.envelope(block: block, index: place.transaction)
        let headers = envelope.flatMap { try? DecodedTransaction.decode($0).headers.channel }
        let trial = channel.missingPrivateData.trial(PrivateDataKey(block: block, place))
        self.init(
            block: block,
            transaction: place.transaction,
            transactionID: headers?.txID ?? "",
            time: headers.map { Date(timeIntervalSince1970: TimeInterval($0.timestamp.seconds)) },
            contract: place.namespace,
            collection: place.collection,
            lastTried: trial?.time,
            nextTry: standing == .member ? trial?.next : nil,
            attempts: (trial?.attempts ?? []).map {
                .init(peer: $0.peer, organization: $0.mspID?.description, reason: $0.reason)
            },
            reason: standing.obstacle(for: organization) ?? trial?.reason ?? ""
        )
    }
}

extension CollectionStandings.Standing {
    /// Why a peer of an organization does not ask for a collection's data; `nil` if it does.
    fileprivate func obstacle(for organization: MSPID) -> String? {
        switch self {
        case .member: nil
        case .notMember:
            "\(organization) is no member of the collection any more: it is not asked for, and peers do not give it"
        case .undefined:
            "the contract's definition does not have the collection any more: nobody may have its data"
        }
    }
}

/// `/private` of a peer's operations service.
struct PrivateDataRoute: Sendable {
    let channels: ChannelRegistry
    let identity: RenewableIdentity
    let link: PrivateDataLink
    let readers: BlockingExecutor

    var route: HTTPRoute {
        HTTPRoute("/private", requiresClientCertificate: true) { await self.answer($0) }
    }

    private func answer(_ request: HTTPExchangeRequest) async -> HTTPExchangeResponse {
        guard request.method == "GET" else {
            return HTTPExchangeResponse(status: 405, fields: [("Allow", "GET")])
        }
        do {
            let report = try await withTaskExecutorPreference(self.readers) { try await self.read() }
            let encoder = JSONEncoder()
            encoder.dateEncodingStrategy = .iso8601
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return .json(200, String(decoding: try encoder.encode(report), as: UTF8.self) + "\n")
        } catch {
            return .text(500, "the private data can't be looked through: \(error)\n")
        }
    }

    private func read() async throws -> PrivateDataReport {
        PrivateDataReport(channels: try self.channels.list.map { try .init($0, self.link, self.identity) })
    }
}
