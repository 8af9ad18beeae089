package import Channel
package import Foundation

/// Somebody's wish to read something that the peer holds, or to have it execute something.
package struct AccessRequest: Sendable {
    /// Who asks.
    package enum Requester: Sendable {
        /// The signer of these bytes; the signature is still to be checked.
        case signed(SignedData)
        /// A valid identity whose signature over the request has been checked already.
        case verified(Identity)
    }

    /// The name of the right that is needed, as in the channel's access control list: "event/Block",
    /// "qscc/GetChainInfo", "gateway/CommitStatus", "peer/Propose".
    package var resource: String
    /// The channel that holds what is asked for; `nil` for what belongs to the peer itself.
    package var channel: ChannelID?
    package var requester: Requester
    /// What is asked for, in words for the record: "blocks from 17", "transaction 5e0e…".
    package var subject: String
    /// The time at which the requester's certificate must not have expired; `nil` to let expired ones pass.
    package var unexpiredAt: Date?

    package init(
        resource: String,
        channel: ChannelID?,
        requester: Requester,
        subject: String = "",
        unexpiredAt: Date? = nil
    ) {
        self.resource = resource
        self.channel = channel
        self.requester = requester
        self.subject = subject
        self.unexpiredAt = unexpiredAt
    }

    /// The requester's serialized identity, as it came.
    package var identity: Data {
        switch self.requester {
        case .signed(let signed): signed.identity
        case .verified(let identity): identity.serialized
        }
    }
}

/// One answer of the ``AccessGate``: what is written down about every access, granted or refused.
package struct AccessRecord: Sendable, CustomStringConvertible {
    package var request: AccessRequest
    /// Why the access was refused; `nil` if it was granted.
    package var refusal: String?

    package var isGranted: Bool { self.refusal == nil }

    package var description: String {
        let place = self.request.channel.map { " on channel \($0)" } ?? ""
        let subject = self.request.subject.isEmpty ? "" : " (\(self.request.subject))"
        return "\(self.request.resource)\(place)\(subject): "
            + (self.refusal.map { "refused: \($0)" } ?? "granted")
    }
}

/// An access that is refused.
package struct AccessDenied: Error, Sendable, CustomStringConvertible {
    package var resource: String
    package var channel: String?
    package var reason: String

    package var description: String { self.reason }
}
