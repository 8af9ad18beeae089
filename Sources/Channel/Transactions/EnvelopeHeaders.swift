package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// An envelope whose payload or headers can't be read.
package struct MalformedEnvelope: Error, Equatable, Sendable, CustomStringConvertible {
    /// The part at fault: "payload", "header", "channel header", "signature header".
    package var part: String
    package var reason: String

    package init(part: String, reason: String) {
        self.part = part
        self.reason = reason
    }

    package var description: String { "malformed envelope: the \(self.part) \(self.reason)" }
}

/// An envelope's payload and its two headers, decoded once and carried along.
package final class EnvelopeHeaders: Sendable {
    /// The payload's bytes as received, which the signature covers.
    package let payloadBytes: Data
    package let payload: Common_Payload
    package let channel: Common_ChannelHeader
    package let signature: Common_SignatureHeader
    /// The envelope's signature over ``payloadBytes``.
    package let envelopeSignature: Data

    /// Decodes the payload and headers of `envelope`.
    ///
    /// - Throws: ``MalformedEnvelope`` naming the part that is missing or can't be read.
    package init(_ envelope: Common_Envelope) throws(MalformedEnvelope) {
        self.payloadBytes = envelope.payload
        self.envelopeSignature = envelope.signature
        self.payload = try decode("payload") { try Common_Payload(slicing: envelope.payload) }
        guard self.payload.hasHeader else {
            throw MalformedEnvelope(part: "header", reason: "is missing")
        }
        let header = self.payload.header
        self.channel = try decode("channel header") {
            try Common_ChannelHeader(serializedBytes: header.channelHeader)
        }
        self.signature = try decode("signature header") {
            try Common_SignatureHeader(slicing: header.signatureHeader)
        }
    }

    /// The payload as its creator signed it.
    package var signedData: SignedData {
        SignedData(
            data: self.payloadBytes,
            identity: self.signature.creator,
            signature: self.envelopeSignature
        )
    }
}

private func decode<Part>(_ part: String, _ body: () throws -> Part) throws(MalformedEnvelope) -> Part {
    do {
        return try body()
    } catch {
        throw MalformedEnvelope(part: part, reason: "can't be decoded: \(error)")
    }
}
