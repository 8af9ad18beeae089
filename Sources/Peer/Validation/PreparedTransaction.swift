package import Channel
internal import FabricProtos
package import Foundation

/// One transaction of a block, decoded, with all its signatures checked: the part of validation that depends
/// on nothing but the block and the configuration in force, and that costs nearly all of the time.
package final class PreparedTransaction: Sendable {
    /// What was decoded, or why nothing could be.
    package let decoded: Result<DecodedTransaction, InvalidTransaction>
    /// Why the creator, or the creator's signature, is refused.
    package let creatorRefusal: String?
    /// The endorsers whose signatures hold, each once, in the order of the transaction.
    package let endorsers: [Identity]
    /// The endorsements that don't count, and why.
    package let rejectedEndorsements: [RejectedSignature]

    /// Decodes `bytes` and checks the creator's and the endorsers' signatures.
    ///
    /// Endorsements are only checked if nothing before them has failed.
    ///
    /// - Parameters:
    ///   - bytes: The envelope as it stands in the block.
    ///   - configuration: The configuration in force.
    ///   - own: The endorsements that this peer has made itself, whose signatures need no second look.
    package convenience init(
        _ bytes: Data,
        configuration: ChannelConfiguration,
        own: OwnEndorsements? = nil
    ) {
        let decoded: DecodedTransaction
        do {
            decoded = try DecodedTransaction.decode(bytes)
        } catch {
            self.init(decoded: .failure(error))
            return
        }
        if let refusal = Self.refusal(ofCreatorOf: decoded, configuration: configuration) {
            self.init(decoded: .success(decoded), creatorRefusal: refusal)
            return
        }
        guard case .success(.endorser(let transaction)) = decoded.body else {
            self.init(decoded: .success(decoded))
            return
        }
        let verified = SignatureSet.verified(transaction.signatureSet, in: configuration.directory) {
            own?.take($0) ?? false
        }
        self.init(
            decoded: .success(decoded),
            endorsers: verified.identities,
            rejectedEndorsements: verified.rejected
        )
    }

    private init(
        decoded: Result<DecodedTransaction, InvalidTransaction>,
        creatorRefusal: String? = nil,
        endorsers: [Identity] = [],
        rejectedEndorsements: [RejectedSignature] = []
    ) {
        self.decoded = decoded
        self.creatorRefusal = creatorRefusal
        self.endorsers = endorsers
        self.rejectedEndorsements = rejectedEndorsements
    }

    /// Why the creator of `transaction` is not accepted, `nil` if it is.
    ///
    /// The creator must be a valid member of an organization of the channel and must have signed the payload;
    /// no policy is asked, and an expired certificate is no reason, since peers check at different times.
    private static func refusal(
        ofCreatorOf transaction: DecodedTransaction,
        configuration: ChannelConfiguration
    ) -> String? {
        let channel = transaction.headers.channel.channelID
        guard channel == configuration.channelID.description else {
            return "the transaction is for channel \(channel.prefix(80)), this is \(configuration.channelID)"
        }
        let signed = transaction.signedData
        do {
            let creator = try configuration.directory.identity(from: signed.identity)
            try configuration.directory.validate(creator)
            try creator.verify(signed.signature, of: signed.data)
            return nil
        } catch {
            return "\(error)"
        }
    }
}
