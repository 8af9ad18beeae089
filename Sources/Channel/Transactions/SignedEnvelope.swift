package import FabricProtos
package import Foundation
internal import SwiftProtobuf

extension Common_Envelope {
    /// Wraps `data` in a payload with headers and signs it.
    ///
    /// - Parameters:
    ///   - type: What `data` is.
    ///   - channel: The channel that it concerns.
    ///   - data: A serialized message.
    ///   - signer: The creator.
    ///   - nonce: 24 random bytes, never used before.
    ///   - timestamp: The creator's time.
    ///   - tlsCertificateHash: SHA-256 of the DER of the TLS client certificate, which servers that require one
    ///     compare for Deliver; empty without mutual TLS.
    /// - Returns: The envelope, ready to be sent.
    /// - Throws: `CryptographyError` if the key can't sign.
    package static func signed(
        _ type: Common_HeaderType,
        channel: String,
        data: Data,
        signer: SigningIdentity,
        nonce: Data,
        timestamp: Date,
        tlsCertificateHash: Data = Data()
    ) throws -> Common_Envelope {
        var channelHeader = Common_ChannelHeader()
        channelHeader.type = Int32(type.rawValue)
        channelHeader.timestamp = Google_Protobuf_Timestamp(date: timestamp)
        channelHeader.channelID = channel
        channelHeader.tlsCertHash = tlsCertificateHash
        var signatureHeader = Common_SignatureHeader()
        signatureHeader.creator = signer.serialized
        signatureHeader.nonce = nonce
        var payload = Common_Payload()
        payload.header.channelHeader = try channelHeader.serializedBytes()
        payload.header.signatureHeader = try signatureHeader.serializedBytes()
        payload.data = data
        return try Self.signed(payload: payload.serializedBytes(), signer: signer)
    }

    /// Signs the bytes of a payload that is already put together.
    package static func signed(payload: Data, signer: SigningIdentity) throws -> Common_Envelope {
        var envelope = Common_Envelope()
        envelope.payload = payload
        envelope.signature = try signer.sign(payload)
        return envelope
    }
}

extension Orderer_SeekInfo {
    /// A request for the blocks from `start` to `stop`.
    package init(
        from start: Orderer_SeekPosition,
        to stop: Orderer_SeekPosition,
        behavior: SeekBehavior = .blockUntilReady,
        contentType: SeekContentType = .block
    ) {
        self.init()
        self.start = start
        self.stop = stop
        self.behavior = behavior
        self.contentType = contentType
    }
}

extension Orderer_SeekPosition {
    /// The block of the given number; as a stop, `UInt64.max` means for ever.
    package static func block(_ number: BlockNumber) -> Orderer_SeekPosition {
        var position = Orderer_SeekPosition()
        position.specified.number = number
        return position
    }

    package static var oldestBlock: Orderer_SeekPosition {
        var position = Orderer_SeekPosition()
        position.oldest = Orderer_SeekOldest()
        return position
    }

    package static var newestBlock: Orderer_SeekPosition {
        var position = Orderer_SeekPosition()
        position.newest = Orderer_SeekNewest()
        return position
    }

    package static var nextCommitted: Orderer_SeekPosition {
        var position = Orderer_SeekPosition()
        position.nextCommit = Orderer_SeekNextCommit()
        return position
    }
}
