package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// Why a transaction is invalid, with Fabric's code for it.
package struct InvalidTransaction: Error, Equatable, Sendable, CustomStringConvertible {
    package var code: Protos_TxValidationCode
    package var reason: String

    package init(_ code: Protos_TxValidationCode, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    package var description: String { "\(self.code): \(self.reason)" }
}

/// One envelope of a block, decoded once for every check that follows.
///
/// Validation goes in Fabric's order: what ``decode(_:)`` refuses; the creator's signature (``signedData``);
/// ``body`` if it failed with a code that ``BodyFailure/precedesDuplicateCheck`` says comes first; the search
/// for an earlier transaction of the same identifier; any other failure of ``body``; the policies.
///
/// - Source: Fabric v3, packages `core/common/validation` and `core/committer/txvalidator`.
package final class DecodedTransaction: Sendable {
    package enum Body: Sendable {
        case endorser(EndorserTransaction)
        case config(Common_ConfigEnvelope)
    }

    /// A body that can't be accepted, and when that is found out.
    package struct BodyFailure: Error, Sendable {
        package var invalid: InvalidTransaction
        /// Whether this is found before the ledger is searched for a transaction of the same identifier.
        package var precedesDuplicateCheck: Bool
    }

    package let headers: EnvelopeHeaders
    package let body: Result<Body, BodyFailure>

    private init(headers: EnvelopeHeaders, body: Result<Body, BodyFailure>) {
        self.headers = headers
        self.body = body
    }

    /// The identifier in the channel header, as it stands there.
    package var transactionID: String { self.headers.channel.txID }

    /// The payload as its creator signed it.
    package var signedData: SignedData { self.headers.signedData }

    /// Decodes one envelope of a block.
    ///
    /// - Throws: ``InvalidTransaction`` for an envelope, payload or common header that is refused before any
    ///   signature is looked at.
    package static func decode(_ bytes: Data) throws(InvalidTransaction) -> DecodedTransaction {
        guard let envelope = try? Common_Envelope(slicing: bytes) else {
            throw InvalidTransaction(.invalidOtherReason, "the envelope can't be decoded")
        }
        let headers: EnvelopeHeaders
        do {
            headers = try EnvelopeHeaders(envelope)
        } catch {
            throw InvalidTransaction(error.part == "payload" ? .badPayload : .badCommonHeader, "\(error)")
        }
        try Self.checkCommonHeader(headers)
        return DecodedTransaction(headers: headers, body: Self.decodeBody(headers))
    }

    /// The identifier under which an envelope is found in a ledger's index, valid or not: the channel header's,
    /// or, where that is empty, the one computed from the signature header.
    ///
    /// `nil` for an envelope whose headers can't be read: such a transaction is not indexed.
    package static func indexedIdentifier(of bytes: Data) -> String? {
        guard let envelope = try? Common_Envelope(slicing: bytes),
            let headers = try? EnvelopeHeaders(envelope)
        else { return nil }
        return headers.indexedIdentifier
    }

    private static func checkCommonHeader(_ headers: EnvelopeHeaders) throws(InvalidTransaction) {
        let types: [Common_HeaderType] = [.endorserTransaction, .configUpdate, .config]
        guard types.contains(where: { Int32($0.rawValue) == headers.channel.type }) else {
            throw InvalidTransaction(
                .badCommonHeader,
                "header type \(headers.channel.type) is none of CONFIG, CONFIG_UPDATE, ENDORSER_TRANSACTION"
            )
        }
        guard headers.channel.epoch == 0 else {
            throw InvalidTransaction(.badCommonHeader, "epoch is \(headers.channel.epoch), it must be 0")
        }
        guard !headers.signature.nonce.isEmpty else {
            throw InvalidTransaction(.badCommonHeader, "the signature header has no nonce")
        }
        guard !headers.signature.creator.isEmpty else {
            throw InvalidTransaction(.badCommonHeader, "the signature header has no creator")
        }
    }

    private static func decodeBody(_ headers: EnvelopeHeaders) -> Result<Body, BodyFailure> {
        func early(_ code: Protos_TxValidationCode, _ reason: String) -> Result<Body, BodyFailure> {
            .failure(BodyFailure(invalid: InvalidTransaction(code, reason), precedesDuplicateCheck: true))
        }
        switch headers.channel.type {
        case Int32(Common_HeaderType.endorserTransaction.rawValue):
            return EndorserTransaction.decode(headers).map(Body.endorser)
        case Int32(Common_HeaderType.config.rawValue):
            guard !headers.payload.data.isEmpty else {
                return early(.invalidConfigTransaction, "the configuration is empty")
            }
            guard let config = try? Common_ConfigEnvelope(serializedBytes: headers.payload.data) else {
                return early(.invalidConfigTransaction, "the configuration can't be decoded")
            }
            return .success(.config(config))
        default:
            return early(.unsupportedTxPayload, "a CONFIG_UPDATE has no place in a block")
        }
    }
}

extension EnvelopeHeaders {
    /// The identifier under which this transaction is indexed: see ``DecodedTransaction/indexedIdentifier(of:)``.
    package var indexedIdentifier: String {
        self.channel.txID.isEmpty
            ? TransactionID(nonce: self.signature.nonce, creator: self.signature.creator).description
            : self.channel.txID
    }
}
