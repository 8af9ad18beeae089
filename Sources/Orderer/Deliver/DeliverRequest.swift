internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// How a request for blocks is bound to the connection on which it comes.
enum TLSBinding: Equatable, Sendable {
    /// The server does not ask for client certificates, so requests are bound to nothing.
    case none
    /// With mutual TLS a request names the SHA-256 of the client's certificate; `nil` if there is none.
    case certificate(hash: Data?)
}

/// The checks of a request for blocks that need no channel.
///
/// Source: Fabric v3.1, package `common/deliver`.
struct DeliverRequest: Sendable {
    let headers: EnvelopeHeaders

    /// Checks headers, timestamp and TLS binding of `envelope`.
    init(
        _ envelope: Common_Envelope,
        binding: TLSBinding,
        window: Duration,
        now: Date
    ) throws(Refusal) {
        do {
            self.headers = try EnvelopeHeaders(envelope)
        } catch {
            throw .badRequest("\(error)")
        }
        let channel = self.headers.channel
        guard channel.hasTimestamp else {
            throw .badRequest("the channel header has no timestamp: set the time of the request")
        }
        let sent = Double(channel.timestamp.seconds) + Double(channel.timestamp.nanos) / 1e9
        let distance = abs(now.timeIntervalSince1970 - sent)
        guard distance <= window.inSeconds else {
            throw .badRequest(
                "the request's timestamp is \(Int(exactly: distance.rounded()) ?? Int.max) s away from this node's clock, "
                    + "at most \(Int(window.inSeconds)) s are allowed: check both clocks"
            )
        }
        guard case .certificate(let hash) = binding else { return }
        guard let hash else {
            throw .badRequest("the client presented no TLS certificate, which this node requires for Deliver")
        }
        guard !channel.tlsCertHash.isEmpty else {
            throw .badRequest("the channel header has no TLS certificate hash, which mutual TLS requires")
        }
        guard channel.tlsCertHash == hash else {
            throw .badRequest(
                "the channel header's TLS certificate hash is not that of the client's certificate"
            )
        }
    }

    /// What is asked for.
    func seekInfo() throws(Refusal) -> Orderer_SeekInfo {
        do {
            return try Orderer_SeekInfo(serializedBytes: self.headers.payload.data)
        } catch {
            throw .badRequest("the payload is no seek info: \(error)")
        }
    }
}
