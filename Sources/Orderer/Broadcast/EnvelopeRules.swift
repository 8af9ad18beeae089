internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation

/// What a client's envelope must satisfy to be ordered, under one configuration.
///
/// Pure: the same envelope, configuration and time give the same answer. The order of the checks is Fabric's, since
/// it decides which status a client sees.
///
/// Source: Fabric v3.1, package `orderer/common/msgprocessor`.
struct EnvelopeRules: Sendable {
    let configuration: ChannelConfiguration
    let now: Date
    /// Whether an expired certificate is refused; a key of the node's configuration turns it off.
    var checksExpiration = true
    /// Who is known to satisfy the policy.
    var writers: KnownWriters?

    /// What an envelope asks for, by its header's type.
    enum Kind: Equatable, Sendable {
        case normal
        case configUpdate
    }

    /// Tells a normal envelope from a configuration update.
    ///
    /// - Throws: ``Refusal`` for the types that only orderers make.
    static func kind(_ headers: EnvelopeHeaders) throws(Refusal) -> Kind {
        switch Common_HeaderType(rawValue: Int(headers.channel.type)) {
        case .configUpdate: return .configUpdate
        case .config, .ordererTransaction:
            throw .badRequest(
                "message of type \(headers.channel.type) can't be broadcast: only orderers make it"
            )
        default: return .normal
        }
    }

    /// Checks a normal envelope.
    func checkNormal(_ headers: EnvelopeHeaders) throws(Refusal) {
        guard !self.isMaintenance else {
            throw .unavailable(
                "normal transactions are rejected: maintenance mode of channel \(self.channel)"
            )
        }
        try self.checkCommon(headers)
    }

    /// Checks that hold for every envelope that is to stand in a block: its size, its creator, its signature.
    func checkCommon(_ headers: EnvelopeHeaders) throws(Refusal) {
        guard !headers.payloadBytes.isEmpty else {
            throw .badRequest("message payload is empty: send a signed payload")
        }
        try self.checkSize(headers.payloadBytes.count + headers.envelopeSignature.count)
        let writer = self.writers?.identity(headers.signature.creator, under: self.configuration)
        try self.checkExpiration(headers, writer)
        try self.checkPolicy(headers, writer)
        guard !headers.envelopeSignature.isEmpty else {
            // Peers refuse a block with such an envelope for ever, whatever the policy says.
            throw .badRequest("the envelope has no signature: sign the payload")
        }
    }

    private func checkSize(_ size: Int) throws(Refusal) {
        guard let limit = self.configuration.orderer?.batch.absoluteMaxBytes else { return }
        guard size <= limit else {
            throw .badRequest(
                "message payload is \(size) bytes and exceeds maximum allowed \(limit) bytes "
                    + "(AbsoluteMaxBytes of channel \(self.channel))"
            )
        }
    }

    private func checkExpiration(_ headers: EnvelopeHeaders, _ writer: Identity?) throws(Refusal) {
        guard self.checksExpiration, self.configuration.capabilities.checksExpiration else { return }
        // An identity that can't be read is left to the policy, which says why.
        let creator = headers.signature.creator
        let expiry = writer?.certificate.notAfter ?? self.configuration.directory.expiry(of: creator)
        guard let expiry, self.now > expiry else { return }
        let name = (try? self.configuration.directory.identity(from: creator))?.description ?? "a stranger"
        throw .badRequest("the certificate of \(name) expired at \(expiry): renew it and sign again")
    }

    private func checkPolicy(_ headers: EnvelopeHeaders, _ writer: Identity?) throws(Refusal) {
        // Whose signature doesn't hold is told below, in the policy's words.
        if let writer, (try? writer.verify(headers.envelopeSignature, of: headers.payloadBytes)) != nil {
            return
        }
        let path = self.isMaintenance ? "/Channel/Orderer/Writers" : "/Channel/Writers"
        do {
            try self.configuration.policies.evaluate(path, [headers.signedData])
        } catch {
            throw .forbidden("policy \(path) of channel \(self.channel) is not satisfied: \(error)")
        }
        guard let writers,
            let creator = try? self.configuration.directory.identity(from: headers.signature.creator)
        else { return }
        writers.add(creator, under: self.configuration)
    }

    private var channel: ChannelID { self.configuration.channelID }
    private var isMaintenance: Bool { self.configuration.orderer?.isMaintenance ?? false }
}
