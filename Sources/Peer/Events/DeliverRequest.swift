internal import Channel
internal import Cryptography
internal import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// A request for blocks, checked as far as that needs no channel.
struct DeliverRequest: Sendable {
    let channel: String
    let seek: Result<Orderer_SeekInfo, DeliverRefusal>
    let signed: SignedData

    /// How far the request's timestamp may be off the server's clock.
    static let timeWindow: TimeInterval = 15 * 60

    /// Reads the headers of `envelope`.
    ///
    /// - Parameters:
    ///   - envelope: the request as it came.
    ///   - now: the server's clock.
    ///   - certificateHash: what the request must say about the connection's TLS certificate.
    /// - Throws: ``DeliverRefusal`` with status BAD_REQUEST.
    init(
        _ envelope: Common_Envelope,
        now: Date,
        certificateHash: ClientCertificateHash
    ) throws(DeliverRefusal) {
        let headers: EnvelopeHeaders
        do {
            headers = try EnvelopeHeaders(envelope)
        } catch {
            throw DeliverRefusal(.badRequest, "\(error)")
        }
        guard headers.channel.hasTimestamp else {
            throw DeliverRefusal(.badRequest, "the request has no timestamp")
        }
        let difference = abs(headers.channel.timestamp.date.timeIntervalSince(now))
        guard difference <= Self.timeWindow else {
            throw DeliverRefusal(
                .badRequest,
                "the request's timestamp is \(Int(clamping: Int64(min(difference, 1e15)))) s off this peer's clock, "
                    + "more than \(Int(Self.timeWindow)) s; set the clocks"
            )
        }
        if case .required(let hash) = certificateHash, headers.channel.tlsCertHash != hash {
            throw DeliverRefusal(
                .badRequest,
                "tls_cert_hash is not that of the certificate this connection was made with"
            )
        }
        self.channel = headers.channel.channelID
        self.signed = headers.signedData
        do {
            self.seek = .success(try Orderer_SeekInfo(serializedBytes: headers.payload.data))
        } catch {
            self.seek = .failure(DeliverRefusal(.badRequest, "SeekInfo can't be decoded: \(error)"))
        }
    }
}

/// What a deliver request has to say about the connection's TLS certificate.
package enum ClientCertificateHash: Equatable, Sendable {
    /// Clients need no certificate: nothing is checked.
    case notRequired
    /// The request must carry this hash; an empty one is met by no request that names a certificate.
    case required(Data)
}

/// Why blocks are not delivered, with the status that the client gets.
struct DeliverRefusal: Error, CustomStringConvertible {
    var status: Common_Status
    var reason: String

    init(_ status: Common_Status, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    var description: String { "\(self.status): \(self.reason)" }
}

/// The blocks that a request asks for, resolved against the height of the ledger.
struct DeliverRange: Equatable, Sendable {
    /// The first block.
    var start: UInt64
    /// The block after which the request is done; one that never comes means that it goes on for ever.
    var stop: UInt64

    /// - Parameters:
    ///   - seek: start and stop as they were asked for.
    ///   - height: the number of the next block.
    /// - Throws: ``DeliverRefusal`` with status BAD_REQUEST or NOT_FOUND.
    init(_ seek: Orderer_SeekInfo, height: UInt64) throws(DeliverRefusal) {
        guard seek.hasStart, seek.hasStop else {
            throw DeliverRefusal(.badRequest, "the request lacks \(seek.hasStart ? "stop" : "start")")
        }
        let newest = height == 0 ? 0 : height - 1
        switch seek.start.type {
        case .oldest: self.start = 0
        case .newest: self.start = newest
        case .nextCommit: self.start = height
        case .specified(let position):
            guard position.number <= height else {
                throw DeliverRefusal(
                    .notFound,
                    "block \(position.number) is asked for, the next block of this ledger is \(height)"
                )
            }
            self.start = position.number
        case nil: throw DeliverRefusal(.notFound, "the start position is of no known kind")
        }
        switch seek.stop.type {
        case .oldest: self.stop = self.start
        case .newest: self.stop = newest
        case .specified(let position):
            guard position.number >= self.start else {
                throw DeliverRefusal(
                    .badRequest,
                    "the stop position, block \(position.number), is before the start, block \(self.start)"
                )
            }
            self.stop = position.number
        // Not resolved by real nodes either: stands for number 0, so that it ends at the genesis block only.
        case .nextCommit, nil: self.stop = 0
        }
    }
}
