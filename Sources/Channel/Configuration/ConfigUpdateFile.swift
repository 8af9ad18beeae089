internal import Cryptography
package import FabricProtos
package import FoundationEssentials
internal import SwiftProtobuf

/// A configuration update as it travels from one organization's administrator to the next, and at last to an orderer.
///
/// It is a `common.Envelope` of type CONFIG_UPDATE, as Fabric's `peer channel signconfigtx` and `peer channel update`
/// read and write it: each administrator adds a signature, and the envelope's own signature is the last signer's.
package struct ConfigUpdateFile: Sendable {
    package let channelID: ChannelID
    /// The update with the signatures that it has.
    package private(set) var content: Common_ConfigUpdateEnvelope

    /// A new update without signatures.
    package init(_ update: Common_ConfigUpdate) throws {
        self.channelID = try ChannelID(update.channelID)
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        self.content = try .with { $0.configUpdate = try update.serializedBytes(options: options) }
    }

    /// Reads a file.
    ///
    /// - Throws: ``ConfigUpdateError`` if it holds something else.
    package init(serialized: Data) throws(ConfigUpdateError) {
        do {
            let headers = try EnvelopeHeaders(Common_Envelope(serializedBytes: serialized))
            guard headers.channel.type == Int32(Common_HeaderType.configUpdate.rawValue) else {
                throw ConfigUpdateError(
                    reason: "its header type is \(headers.channel.type), not CONFIG_UPDATE"
                )
            }
            let content = try Common_ConfigUpdateEnvelope(serializedBytes: headers.payload.data)
            let update = try Common_ConfigUpdate(serializedBytes: content.configUpdate)
            guard update.channelID == headers.channel.channelID else {
                throw ConfigUpdateError(
                    reason:
                        "its header says channel \"\(headers.channel.channelID)\", its update \"\(update.channelID)\""
                )
            }
            self.channelID = try ChannelID(update.channelID)
            self.content = content
        } catch let error as ConfigUpdateError {
            throw error
        } catch {
            throw ConfigUpdateError(reason: "this is no envelope with a configuration update: \(error)")
        }
    }

    /// Who has signed, as their certificates say; nothing is checked.
    package var signers: [String] {
        self.content.signatures.map { signature in
            guard let header = try? Common_SignatureHeader(serializedBytes: signature.signatureHeader),
                let identity = try? Msp_SerializedIdentity(serializedBytes: header.creator)
            else { return "somebody unreadable" }
            guard let certificate = try? Certificate(pem: identity.idBytes) else { return identity.mspid }
            return "\(identity.mspid) \(certificate.subject)"
        }
    }

    /// Whether there is a signature by the same certificate.
    package func isSigned(by signer: SigningIdentity) -> Bool {
        self.content.signatures.contains { signature in
            (try? Common_SignatureHeader(serializedBytes: signature.signatureHeader))?.creator
                == signer.serialized
        }
    }

    /// Adds a signature.
    ///
    /// - Parameters:
    ///   - signer: an administrator.
    ///   - nonce: 24 random bytes, never used before.
    /// - Throws: `CryptographyError` if the key can't sign.
    package mutating func sign(by signer: SigningIdentity, nonce: Data) throws {
        var header = Common_SignatureHeader()
        header.creator = signer.serialized
        header.nonce = nonce
        var signature = Common_ConfigSignature()
        signature.signatureHeader = try header.serializedBytes()
        signature.signature = try signer.sign(signature.signatureHeader + self.content.configUpdate)
        self.content.signatures.append(signature)
    }

    /// The envelope without a signature of its own: what a file holds before anybody has signed.
    package func unsignedEnvelope() throws -> Common_Envelope {
        let header = Common_ChannelHeader.with {
            $0.type = Int32(Common_HeaderType.configUpdate.rawValue)
            $0.channelID = self.channelID.description
        }
        let payload = try Common_Payload.with {
            $0.header.channelHeader = try header.serializedBytes()
            $0.data = try self.content.serializedBytes()
        }
        return try .with { $0.payload = try payload.serializedBytes() }
    }

    /// The envelope signed by whoever hands it on; that signature counts for no policy of the update.
    package func envelope(by signer: SigningIdentity, nonce: Data, timestamp: Date) throws -> Common_Envelope
    {
        try .signed(
            .configUpdate,
            channel: self.channelID.description,
            data: self.content.serializedBytes(),
            signer: signer,
            nonce: nonce,
            timestamp: timestamp
        )
    }
}
